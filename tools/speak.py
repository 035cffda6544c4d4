"""Free synthesisers as functions: a text in, samples out.

flite (Carnegie Mellon University, BSD-like licence, voices included) and espeak-ng are run as
short processes that write their WAV to a pipe: about 10 ms a sentence for diphone voices, 60 ms for
statistical ones. Used by `simulate_speech.py` and `make_demo.py`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
_TIMEOUT_S = 60

Samples = NDArray[np.float32]


class SpeechError(RuntimeError):
    """The synthesiser failed or returned no speech."""


def flite(text: str, *, voice: str, stretch: float = 1.0, f0: float | None = None) -> tuple[Samples, int]:
    """Speak with flite.

    Args:
        text: What to say.
        voice: A name of `flite -lv`.
        stretch: Duration factor, 1.2 is slower.
        f0: Mean fundamental frequency in Hz; some voices (rms) ignore it.

    Returns:
        The samples in [-1, 1] and their sample rate.
    """
    options = ["--setf", f"duration_stretch={stretch:.4f}"]
    if f0 is not None:
        options += ["--setf", f"int_f0_target_mean={f0:.2f}"]
    return _run(["flite", "-voice", voice, *options, "-t", text, "-o", "/dev/stdout"])


def espeak(text: str, *, voice: str, words_per_minute: int = 160, pitch: int = 50) -> tuple[Samples, int]:
    """Speak with espeak-ng; `voice` may carry a variant (`en-us+f3`), `pitch` is 0-99.

    `en-gb+f3` ignores its variant, `en+f3` is the same accent and works.
    """
    options = ["-v", voice, "-s", str(words_per_minute), "-p", str(pitch)]
    return _run(["espeak-ng", *options, "--stdout", text])


def warp(samples: Samples, rate: int, *, factor: float = 1.0) -> Samples:
    """Bring samples to 16 kHz, with pitch and formants `factor` times as high and `1 / factor` as long.

    Ask the synthesiser for speech stretched by `factor` and the duration comes out as if unwarped:
    that is a shorter or longer vocal tract without a time-stretching artefact.
    """
    return np.asarray(soxr.resample(samples, rate * factor, SAMPLE_RATE), dtype=np.float32)


def at_level(samples: Samples, decibels: float) -> Samples:
    """Scale to a loudness (root mean square relative to full scale), as far as that does not clip."""
    power = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    if power < 1e-3:
        # What flite returns when its voice lacks a sound.
        raise SpeechError("silence")
    gain = 10 ** (decibels / 20) / power
    return samples * np.float32(min(gain, 0.98 / float(np.abs(samples).max())))


def with_effects(samples: Samples, effects: Sequence[str]) -> Samples:
    """Pass 16 kHz samples through a chain of sox effects, such as `("pitch", "150", "tempo", "0.9")`."""
    if not effects:
        return samples
    kind = ["-t", "f32", "-r", str(SAMPLE_RATE), "-c", "1"]
    # Headroom first: sox would clip what an effect makes louder.
    command = ["sox", "-D", *kind, "-", *kind, "-", "gain", "-6", *effects]
    raw = samples.tobytes()
    done = subprocess.run(command, input=raw, capture_output=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        raise SpeechError(f"sox: {done.stderr.decode(errors='replace').strip()}")
    return np.frombuffer(done.stdout, dtype=np.float32)


def _run(command: list[str]) -> tuple[Samples, int]:
    done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0 or len(done.stdout) < 46:
        message = done.stderr.decode(errors="replace").strip()
        raise SpeechError(f"{command[0]} said nothing (exit code {done.returncode}): {message}")
    return _decode_wav(done.stdout)


def _decode_wav(wav: bytes) -> tuple[Samples, int]:
    # Written to a pipe, the header's sizes may be wrong: all that follows `data` is samples.
    start = wav.index(b"data", 12) + 8
    rate = int.from_bytes(wav[24:28], "little")
    end = len(wav) - (len(wav) - start) % 2
    samples = np.frombuffer(wav[start:end], dtype="<i2")
    return samples.astype(np.float32) / 32768.0, rate
