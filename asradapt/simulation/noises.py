"""Noise that is added to speech.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.filters import level, shape

_VOICES = 6


def add_noise(samples: Samples, colour: str, snr: float, rng: np.random.Generator) -> Samples:
    """Add noise to samples (T,), at `snr` dB below the level of what is not a pause; silence stays silent."""
    noise = NOISES[colour](samples, rng)
    power = level(noise)
    if not power:
        return samples
    return np.asarray(samples + noise * (level(samples) / power * 10 ** (-snr / 20)), dtype=np.float32)


def _white(samples: Samples, rng: np.random.Generator) -> Samples:
    return rng.standard_normal(len(samples), dtype=np.float32)


def _pink(samples: Samples, rng: np.random.Generator) -> Samples:
    return shape(_white(samples, rng), lambda hertz: 1 / np.sqrt(np.maximum(hertz, 30.0)))


def _brown(samples: Samples, rng: np.random.Generator) -> Samples:
    return shape(_white(samples, rng), lambda hertz: 1 / np.maximum(hertz, 30.0))


def _babble(samples: Samples, rng: np.random.Generator) -> Samples:
    """Many talk at once: the speech itself, backwards, from several places, at several speeds."""
    total = np.zeros(len(samples), dtype=np.float32)
    places = np.arange(len(samples))
    for speed in rng.uniform(0.8, 1.25, size=_VOICES):
        start = rng.integers(max(len(samples), 1))
        total += samples[::-1][(start + (places * speed).astype(int)) % len(samples)] if len(samples) else 0
    return total


def _hum(samples: Samples, rng: np.random.Generator) -> Samples:
    """Mains: 50 or 60 Hz with harmonics, over a little pink noise."""
    seconds = np.arange(len(samples)) / SAMPLE_RATE
    mains = rng.choice([50.0, 60.0])
    harmonics = np.arange(1, 13)
    strengths = rng.uniform(0.2, 1, size=12) / harmonics
    phases = rng.uniform(0, 2 * np.pi, size=12)
    total = np.zeros(len(samples), dtype=np.float32)
    for number, strength, phase in zip(harmonics, strengths, phases, strict=True):
        total += (strength * np.sin(2 * np.pi * mains * number * seconds + phase)).astype(np.float32)
    pink = _pink(samples, rng)
    return total + pink * np.float32(0.2 * level(total) / (level(pink) or 1.0))


NOISES: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "babble": _babble,
    "brown": _brown,
    "hum": _hum,
    "pink": _pink,
    "white": _white,
}
"""Kinds of noise: functions of the speech and of a random generator, to samples (T,) of any level."""
