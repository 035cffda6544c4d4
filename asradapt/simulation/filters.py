"""Filtering in the frequency domain, without delay.

Shapes: T samples at 16 kHz, K frequencies.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE

Gains = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Factors (K,) at frequencies (K,) in Hz."""

_FRAME = 400  # 25 ms
_ACTIVE_DB = 30.0  # frames this far below the loudest are pauses


def shape(samples: Samples, gains: Gains) -> Samples:
    """Multiply the spectrum of samples (T,) by real gains: zero phase, so nothing moves in time."""
    size = fast_size(
        len(samples) + SAMPLE_RATE // 20
    )  # some silence, so that the end does not ring into the start
    spectrum = np.fft.rfft(samples, size) * gains(frequencies(size))
    return np.asarray(np.fft.irfft(spectrum, size)[: len(samples)], dtype=np.float32)


def frequencies(size: int) -> NDArray[np.float64]:
    """The frequencies (K,) in Hz of a real transform of `size` samples."""
    return np.fft.rfftfreq(size, 1 / SAMPLE_RATE).astype(np.float64)


def fast_size(least: int) -> int:
    """A length of at least `least` whose Fourier transform is fast: 2, 3 or 5 times a power of two, or near."""
    power = 1 << max(least - 1, 1).bit_length()
    return min(size for size in (power, power * 5 // 8, power * 3 // 4, power * 15 // 16) if size >= least)


def high_pass(cutoff: float, order: int = 2) -> Gains:
    """Gains that fall by `6 * order` dB an octave below a cutoff in Hz, where they are 1/2."""

    def gains(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        ratio = (hertz / cutoff) ** order
        return np.asarray(ratio / (1 + ratio))

    return gains


def low_pass(cutoff: float, order: int = 2) -> Gains:
    """Gains that fall by `6 * order` dB an octave above a cutoff in Hz, where they are 1/2."""
    return lambda hertz: np.asarray(1 / (1 + (hertz / cutoff) ** order))


def level(samples: Samples) -> float:
    """Root mean square of the frames that are not pauses: 0 for silence."""
    if len(samples) < _FRAME:
        return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    powers = np.mean(np.square(frames, dtype=np.float64), axis=1)
    active = powers >= powers.max() * 10 ** (-_ACTIVE_DB / 10)
    return float(np.sqrt(powers[active].mean()))
