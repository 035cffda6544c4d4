"""A voice of sums of sines: words of voiced sounds whose pitch and envelope are known."""

from __future__ import annotations

import numpy as np

RATE = 16_000
WORDS = ((0.1, 0.55), (0.75, 1.2), (1.45, 2.1))  # seconds: start and end
SECONDS = 2.3
FORMANTS = ((600.0, 1200.0), (350.0, 2100.0), (450.0, 900.0))


def make_voice(low: float = 110.0, high: float = 150.0) -> np.ndarray:
    """Samples (T,) of three words, each gliding from the high pitch to the low one."""
    rng = np.random.default_rng(0)
    samples = 1e-4 * rng.standard_normal(round(SECONDS * RATE))
    for (start, end), formants in zip(WORDS, FORMANTS, strict=True):
        first, last = round(start * RATE), round(end * RATE)
        samples[first:last] += _word(last - first, low, high, formants)
    return samples.astype(np.float32)


def _word(length: int, low: float, high: float, formants: tuple[float, float]) -> np.ndarray:
    f0 = np.linspace(high, low, length)
    phase = 2 * np.pi * np.cumsum(f0) / RATE
    word = np.zeros(length)
    for harmonic in range(1, 30):
        hertz = harmonic * (low + high) / 2
        gain = sum(np.exp(-0.5 * ((hertz - formant) / 150) ** 2) for formant in formants) + 0.02
        word += gain * np.cos(harmonic * phase)
    ramp = np.minimum(1, np.minimum(np.arange(length), np.arange(length)[::-1]) / (0.03 * RATE))
    return 0.05 * word * ramp
