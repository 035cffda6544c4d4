"""Where a voice sounds and how high: loudness and pitch of short frames.

Shapes: T samples at 16 kHz, F frames, one every `STEP` samples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE

STEP = 160
"""Samples from frame to frame: frame `f` is centred at sample `f * STEP`."""
F0_RANGE = (60.0, 500.0)
"""Pitches in Hz that are looked for."""
_FRAME = 800  # 50 ms: three periods of the lowest pitch
_FFT = 2048
_PERIODIC = 0.5  # autocorrelation above which a frame is voiced
_OCTAVE_COST = 0.02  # of a period twice as long
_AUDIBLE_DB = 35.0  # below the loudest frame; what is softer is not voiced
_FAR = 1.7  # as a factor on the median pitch: further away it is a mistake of the tracker


def loudness(samples: Samples) -> NDArray[np.float64]:
    """Power of each frame (F,) in dB relative to full scale."""
    frames = _frames(samples, 2 * STEP)
    return np.asarray(10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-10), dtype=np.float64)


def track_pitch(samples: Samples) -> NDArray[np.float64]:
    """Pitch of each frame (F,) in Hz, 0 where it is not voiced.

    The autocorrelation of the windowed frame is divided by that of the window, and its best peak taken:
    Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of
    a sampled sound" (1993), without the search for a path.
    """
    window = np.hanning(_FRAME)
    frames = _frames(samples, _FRAME)
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    shortest, longest = (int(SAMPLE_RATE / hertz) for hertz in F0_RANGE[::-1])
    # At longer lags the window leaves nothing to divide by.
    likeness = _autocorrelation(frames)[:, : longest + 1] / _autocorrelation(window[None])[:, : longest + 1]
    lags = np.arange(shortest, longest)
    best = shortest + np.argmax(likeness[:, lags] - _OCTAVE_COST * np.log2(lags / shortest), axis=1)
    left, peak, right = (likeness[np.arange(len(frames)), best + shift] for shift in (-1, 0, 1))
    bend = left - 2 * peak + right
    periods = best + np.clip(0.5 * (left - right) / np.where(bend < 0, bend, -1.0), -0.5, 0.5)
    power = loudness(samples)
    voiced = (peak > _PERIODIC) & (power > power.max() - _AUDIBLE_DB)
    return _without_jumps(np.where(voiced, SAMPLE_RATE / periods, 0.0))


def _without_jumps(f0: NDArray[np.float64]) -> NDArray[np.float64]:
    voiced = f0 > 0
    if not voiced.any():
        return f0
    ratio = f0 / np.median(f0[voiced])
    return np.where(voiced & (ratio < _FAR) & (ratio > 1 / _FAR), f0, 0.0)


def _frames(samples: Samples, size: int) -> NDArray[np.float64]:
    """Frames (F, `size`) centred at multiples of `STEP`."""
    padded = np.pad(samples.astype(np.float64), (size // 2, size))
    count = len(samples) // STEP + 1
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::STEP][:count]


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """Autocorrelation (F, lags) relative to that at lag 0."""
    power = np.square(np.abs(np.fft.rfft(frames, _FFT, axis=1)))
    product = np.fft.irfft(power, _FFT, axis=1)
    return np.asarray(product / np.maximum(product[:, :1], 1e-9), dtype=np.float64)


def runs(marks: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end of each run of true marks (F,)."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marks, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in zip(edges[::2], edges[1::2], strict=True)]
