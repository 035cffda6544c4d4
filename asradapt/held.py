"""Utterances whose samples are in memory: kept recordings, and pieces cut out of longer ones.

Shapes: T samples.
"""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asradapt.audio import MAX_PEAK, Recording, load_audio
from asradapt.audio_checks import LevelMeter, is_silent
from asradapt.errors import AudioError
from asradapt.types import Utterance


@dataclass(frozen=True, eq=False, kw_only=True)
class Held(Utterance):
    """An utterance with its samples; `audio` only says where they came from.

    Attributes:
        samples: (T,) mono samples in [-1, 1].
        sample_rate: Their rate in Hz.
        kept: Whether they are kept with the speaker already.
    """

    samples: npt.NDArray[np.float32]
    sample_rate: int
    kept: bool = False


def hold(audio: Path, text: str | None, speaker: str, samples: npt.NDArray[np.float32], sample_rate: int) -> Held:
    """An utterance of samples (T,) at `sample_rate` Hz."""
    return Held(audio, text, speaker, samples=samples, sample_rate=sample_rate)


def from_samples(
    samples: npt.ArrayLike, sample_rate: int, *, text: str | None = None, speaker: str | None = None, name: str
) -> Held:
    """An utterance of samples in memory, to enrol from or to transcribe like a file.

    Args:
        samples: (T,) mono: numbers with a point in [-1, 1], or 16 or 32 bit integers.
        sample_rate: Their rate in Hz.
        text: What is said; None where it is not known.
        speaker: Who says it; None where it is not known.
        name: What stands for a file's name in results and errors; each recording should have its own.

    Raises:
        AudioError: If they are not of one channel, empty, not finite, or of another type or range.
    """
    try:
        given, rate = np.asarray(samples), operator.index(sample_rate)
    except (TypeError, ValueError) as error:
        raise AudioError(f"{name}: samples and a whole number of Hz make audio ({error})") from error
    if not name:
        raise AudioError("samples in memory need a name, by which results and errors tell them apart")
    if given.ndim != 1:
        raise AudioError(f"{name}: samples must be of one channel, (T,), not {given.shape}; mix the channels")
    if rate <= 0 or not len(given):
        raise AudioError(f"{name}: {len(given)} samples at {rate} Hz are no audio")
    if given.dtype in (np.int16, np.int32):
        given = given / -float(np.iinfo(given.dtype).min)
    elif given.dtype.kind != "f":
        raise AudioError(f"{name}: samples are floats or 16 or 32 bit integers, not {given.dtype}")
    made = np.array(given, dtype=np.float32)  # a copy: who streams uses the same buffer again
    if not np.isfinite(made).all():
        raise AudioError(f"{name}: samples hold values that are not finite")
    if (loudest := float(np.abs(made).max())) > MAX_PEAK:
        raise AudioError(f"{name}: samples reach {loudest:g}, where 1 is full scale; divide them by what that is")
    return Held(Path(name), text, speaker, samples=made, sample_rate=rate)


def recording_of(utterance: Utterance, sample_rate: int, max_seconds: float | None) -> Recording:
    """The recording of an utterance, from memory or from its file.

    Raises:
        AudioError: The file cannot be used, or is longer than `max_seconds`.
    """
    if not isinstance(utterance, Held):
        return load_audio(utterance.audio, sample_rate, max_seconds=max_seconds)
    samples = utterance.samples
    if utterance.sample_rate != sample_rate:
        import soxr

        samples = soxr.resample(samples, utterance.sample_rate, sample_rate, quality="HQ").astype(np.float32)
    meter = LevelMeter()
    if len(utterance.samples):
        meter.add(utterance.samples[:, None])
    seconds = len(utterance.samples) / utterance.sample_rate
    silent = is_silent(samples, sample_rate)
    return Recording(samples, sample_rate, seconds, utterance.sample_rate, 1, meter.peak, meter.clipped, silent)
