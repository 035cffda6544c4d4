"""Change a voice: its vocal tract by warping the spectral envelope, its pitch by resampling, its loudness.

Shapes: T samples, F frames, K = N_FFT / 2 + 1 frequencies.
"""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.errors import SpeechError

SAMPLE_RATE = 16_000
N_FFT = 512
HOP = 128
_LIFTER_S = 0.0018  # cepstra below this quefrency are the envelope: above it lies the pitch (to 400 Hz)
_WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
_SILENCE_RMS = 1e-3


def resample(samples: Samples, rate: float, *, factor: float = 1.0) -> Samples:
    """Bring samples to 16 kHz, with pitch and formants `factor` times as high and `1 / factor` as long.

    Ask a synthesiser for speech stretched by `factor` and the duration comes out as if nothing was done:
    that is a shorter or longer vocal tract without a time-stretching artefact.
    """
    if rate * factor == SAMPLE_RATE:
        return samples
    return np.asarray(soxr.resample(samples, rate * factor, SAMPLE_RATE), dtype=np.float32)


def shift_formants(samples: Samples, factor: float) -> Samples:
    """Move the formants of 16 kHz samples to `factor` times their frequency; the pitch stays.

    Each short-time spectrum is divided by its cepstrally smoothed envelope and multiplied by that envelope
    stretched along frequency (the source-filter view of voice conversion).

    Args:
        samples: (T,).
        factor: 0.5 to 2; above 1 is a shorter vocal tract.

    Returns:
        Samples (T,).
    """
    if factor == 1.0 or not len(samples):
        return samples
    spectra = stft(samples)  # (F, K)
    envelope = log_envelope(np.log(np.abs(spectra) + 1e-6))
    change = _stretched(envelope, factor) - envelope
    return inverse_stft(spectra * np.exp(np.clip(change, -4.0, 4.0)), len(samples))


def at_level(samples: Samples, decibels: float) -> Samples:
    """Scale to a loudness (root mean square relative to full scale), as far as that does not clip.

    Raises:
        SpeechError: The samples are silent, as when a voice lacks a sound.
    """
    power = float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
    if power < _SILENCE_RMS:
        raise SpeechError("silence: the voice may lack a sound of this text")
    gain = 10 ** (decibels / 20) / power
    return samples * np.float32(min(gain, 0.98 / float(np.abs(samples).max())))


def stft(samples: Samples) -> NDArray[np.complex64]:
    """Short-time spectra (F, K) of samples (T,); `inverse_stft` gives the samples back."""
    padded = np.pad(samples, (N_FFT, N_FFT + HOP))
    frames = np.lib.stride_tricks.sliding_window_view(padded, N_FFT)[::HOP]  # (F, N_FFT)
    return np.asarray(np.fft.rfft(frames * _WINDOW, axis=1), dtype=np.complex64)


def inverse_stft(spectra: NDArray[np.complex64], length: int) -> Samples:
    """Samples (`length`,) whose short-time spectra come nearest to (F, K), in the sense of least squares."""
    frames = np.fft.irfft(spectra, n=N_FFT, axis=1).astype(np.float32) * _WINDOW
    total, weight = (np.zeros(len(frames) * HOP + N_FFT, dtype=np.float32) for _ in range(2))
    overlap = N_FFT // HOP
    for shift in range(overlap):  # frames of one residue do not overlap: they are added as one piece
        own = frames[shift::overlap]
        place = slice(shift * HOP, shift * HOP + own.size)
        total[place] += own.ravel()
        weight[place] += np.tile(np.square(_WINDOW), len(own))
    inside = slice(N_FFT, N_FFT + length)
    return np.asarray(total[inside] / np.maximum(weight[inside], 1e-6), dtype=np.float32)


def log_envelope(log_magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """The smooth part of log spectra (F, K): their cepstra, cut off softly below the pitch's quefrency."""
    cepstra = np.fft.irfft(log_magnitudes, n=N_FFT, axis=1)
    quefrency = np.minimum(np.arange(N_FFT), N_FFT - np.arange(N_FFT)) / SAMPLE_RATE
    lifter = 1 / (1 + np.exp((quefrency - _LIFTER_S) / (_LIFTER_S / 16)))
    return np.asarray(np.fft.rfft(cepstra * lifter, axis=1).real, dtype=np.float32)


def _stretched(envelope: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The envelope (F, K) read at `frequency / factor`; beyond its end it stays level."""
    last = envelope.shape[1] - 1
    places = np.minimum(np.arange(last + 1) / factor, last)
    low = np.floor(places).astype(int)
    share = (places - low).astype(np.float32)
    high = np.minimum(low + 1, last)
    return np.asarray(envelope[:, low] * (1 - share) + envelope[:, high] * share, dtype=np.float32)
