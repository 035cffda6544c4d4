"""Utterances whose samples are in memory: kept recordings, and pieces cut out of longer ones.

Shapes: T samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asradapt.audio import Recording, load_audio
from asradapt.audio_checks import LevelMeter, is_silent
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
