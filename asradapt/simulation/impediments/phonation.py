"""Voices that are flat, shaky or breathy.

All three are among the signs by which Darley, Aronson and Brown, "Differential diagnostic patterns of
dysarthria" (1969), tell its kinds apart.

Shapes: T samples at 16 kHz, F frames, K frequencies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import HOP, N_FFT, SAMPLE_RATE, inverse_stft, log_envelope, stft
from asradapt.simulation.impediments.impediment import register
from asradapt.simulation.psola import with_pitch
from asradapt.simulation.voicing import STEP, track_pitch

_SHAKE_F0 = 0.12
_SHAKE_LEVEL = 0.4
_BREATH_HZ = 700.0  # above it breath is heard first (Klatt and Klatt 1990)


@register("monopitch", "a melody that is flat")
def monopitch(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Draw the pitch to its median; at strength 1 there is one pitch."""
    f0 = track_pitch(samples)
    voiced = f0 > 0
    if not voiced.any():
        return samples
    wanted = np.where(voiced, np.median(f0[voiced]) ** strength * f0 ** (1 - strength), 0.0)
    return with_pitch(samples, f0, wanted)


@register("tremor", "a voice that shakes 4 to 7 times a second")
def shake(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Let pitch and loudness swing: Winholtz and Ramig, "Vocal tremor analysis" (1992)."""
    rate, phase = rng.uniform(4, 7), rng.uniform(0, 2 * np.pi)
    f0 = track_pitch(samples)
    wanted = f0 * (1 + _SHAKE_F0 * strength * _swing(np.arange(len(f0)) * STEP, rate, phase))
    shaken = with_pitch(samples, f0, wanted) if f0.any() else samples
    gain = 1 + _SHAKE_LEVEL * strength * _swing(np.arange(len(samples)), rate, phase)
    return np.asarray(shaken * gain, dtype=np.float32)


def _swing(places: NDArray[np.int_], rate: float, phase: float) -> NDArray[np.float64]:
    return np.asarray(np.sin(2 * np.pi * rate * places / SAMPLE_RATE + phase))


@register("breathiness", "a voice with breath; a whisper at strength 1")
def breathe(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Replace the voice by noise of the same envelope, the higher frequencies first.

    Klatt and Klatt, "Analysis, synthesis, and perception of voice quality variations among female and male
    talkers" (1990): breathy voices have noise in place of harmonics in the third formant and above.
    """
    spectra = stft(samples)  # (F, K)
    envelope = log_envelope(np.log(np.abs(spectra) + 1e-6))
    noise = stft(rng.standard_normal(len(samples), dtype=np.float32)) * np.exp(envelope)
    powers = [np.sum(np.square(np.abs(part)), axis=1, keepdims=True) for part in (spectra, noise)]
    noise *= np.sqrt(powers[0] / (powers[1] + 1e-9))
    hertz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    # The share of noise rises with frequency, and reaches 1 everywhere at strength 1.
    share = strength ** (2 / (1 + np.square(hertz / _BREATH_HZ)) + 0.25)
    share = share * _voiced(samples, len(spectra))[:, None]
    return inverse_stft(spectra * np.sqrt(1 - share) + noise * np.sqrt(share), len(samples))


def _voiced(samples: Samples, frames: int) -> NDArray[np.float32]:
    """1 at the short-time spectra (F,) with a voice, 0 at the others, with slopes between them."""
    voiced = (track_pitch(samples) > 0).astype(np.float32)
    wide = np.convolve(voiced, np.ones(5, dtype=np.float32), mode="same") > 0
    centres = np.arange(frames) * HOP - N_FFT // 2
    return np.interp(centres / STEP, np.arange(len(wide)), wide).astype(np.float32)
