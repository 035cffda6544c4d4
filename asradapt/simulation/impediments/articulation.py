"""Sounds that come out unclear: blurred, or through the nose.

Shapes: T samples at 16 kHz, F frames, K frequencies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import N_FFT, SAMPLE_RATE, inverse_stft, log_envelope, stft
from asradapt.simulation.filters import shape
from asradapt.simulation.impediments.impediment import register

_BLUR_HZ = 500.0
_BLUR_FRAMES = 6.0  # of 8 ms
_LEAK_FRAMES = 2.0
_CENTRAL = 0.5  # of the way to the average sound
_AUDIBLE = 3.5  # nepers below the loudest frame


@register("imprecise", "sounds that run into each other, and vowels that are all alike")
def blur(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Blur the spectral envelope over frequency and time, and draw it to the speaker's average.

    Slow and small movements of the tongue smear transitions and shrink the space of vowels: Kent and Kim,
    "Toward an acoustic typology of motor speech disorders" (2003).
    """
    spectra = stft(samples)
    envelope = log_envelope(np.log(np.abs(spectra) + 1e-5))
    blurred = _smooth(envelope, strength * _BLUR_FRAMES, axis=0)
    blurred = _smooth(blurred, strength * _BLUR_HZ / (SAMPLE_RATE / N_FFT), axis=1)
    blurred += _CENTRAL * strength * _to_average(blurred)
    # The loudness is kept, but for closures, into which what is around them leaks.
    wanted = _smooth(_amplitude(envelope), strength * _LEAK_FRAMES, axis=0)
    blurred += np.log(wanted / _amplitude(blurred))
    return inverse_stft(spectra * np.exp(np.clip(blurred - envelope, -4.0, 3.0)), len(samples))


def _amplitude(envelope: NDArray[np.float32]) -> NDArray[np.float32]:
    """Root mean square over frequency (F, 1) of what an envelope (F, K) lets through."""
    return np.asarray(np.sqrt(np.mean(np.exp(2 * envelope), axis=1, keepdims=True)), dtype=np.float32)


def _to_average(envelope: NDArray[np.float32]) -> NDArray[np.float32]:
    """What changes the sound of each frame (F, K) to the average of the audible ones, at its own loudness."""
    loud = envelope.mean(axis=1, keepdims=True)
    shapes = envelope - loud
    audible = loud[:, 0] > loud.max() - _AUDIBLE
    change = shapes[audible].mean(axis=0) - shapes
    return np.where(audible[:, None], change, 0.0).astype(np.float32)


def _smooth(values: NDArray[np.float32], deviation: float, *, axis: int) -> NDArray[np.float32]:
    """Convolve with a Gaussian along an axis; the ends are held."""
    reach = int(3 * deviation) + 1
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / deviation))
    weights /= weights.sum()
    ends = [(0, 0), (0, 0)]
    ends[axis] = (reach, reach)
    padded = np.pad(values, ends, mode="edge")
    size = 1 << (padded.shape[axis] - 1).bit_length()
    product = np.fft.rfft(padded, size, axis=axis)
    spectrum = np.fft.rfft(weights, size)
    product *= spectrum[:, None] if axis == 0 else spectrum[None]
    smooth = np.fft.irfft(product, size, axis=axis)
    inside = slice(2 * reach, 2 * reach + values.shape[axis])
    return np.asarray(smooth[inside] if axis == 0 else smooth[:, inside], dtype=np.float32)


@register("nasality", "a voice through the nose")
def nasal(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Add a resonance near 270 Hz, take out the first formant's region, and soften what is above.

    Chen, "Acoustic correlates of English and French nasalized vowels" (1997).
    """

    def gains(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        resonance = 8 * np.exp(-0.5 * np.square((hertz - 270) / 90))
        gap = -16 * np.exp(-0.5 * np.square((hertz - 750) / 220))
        above = -7 / (1 + np.exp(-(hertz - 1800) / 300))
        return np.asarray(10 ** (strength * (resonance + gap + above) / 20))

    return shape(samples, gains)
