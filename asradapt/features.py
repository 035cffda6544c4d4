"""Batched log-mel features: waveforms in, normalised frames out, padding never leaks.

Letters: B batch, T samples, F frames, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
import torchaudio
from torch import Tensor


@dataclass(frozen=True)
class FeatureOptions:
    """How log-mel features are computed; stored with a model, so that they always agree.

    Attributes:
        sample_rate: Samples per second of the waveforms.
        window: Length of the analysis window in samples (25 ms at 16 kHz).
        hop: Samples from frame to frame (10 ms at 16 kHz).
        fft: Length of the Fourier transform in samples.
        mels: Number M of mel bands (HTK scale).
        low: Lowest frequency in Hz.
        high: Highest frequency in Hz.
        floor: Power below which the logarithm is cut, so that digital silence stays finite.
    """

    sample_rate: int = 16000
    window: int = 400
    hop: int = 160
    fft: int = 512
    mels: int = 80
    low: float = 20.0
    high: float = 7600.0
    floor: float = 1e-5


def frame_count(samples: Tensor, options: FeatureOptions) -> Tensor:
    """Number of frames of waveforms of the given lengths: one per begun hop, at least one."""
    return torch.clamp((samples + options.hop - 1) // options.hop, min=1)


def mask(lengths: Tensor, frames: int) -> Tensor:
    """Which frames are real: (B,) lengths to a (B, F) boolean mask."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


@lru_cache(maxsize=8)
def _mel_matrix(options: FeatureOptions, device: str) -> Tensor:
    """The (fft/2+1, M) mel filter bank."""
    matrix: Tensor = torchaudio.functional.melscale_fbanks(
        n_freqs=options.fft // 2 + 1,
        f_min=options.low,
        f_max=options.high,
        n_mels=options.mels,
        sample_rate=options.sample_rate,
        mel_scale="htk",
    )
    return matrix.to(device)


@lru_cache(maxsize=8)
def _window(options: FeatureOptions, device: str) -> Tensor:
    return torch.hann_window(options.window, periodic=True).to(device)


def log_mel(waveforms: Tensor, lengths: Tensor, options: FeatureOptions) -> tuple[Tensor, Tensor]:
    """Log-mel power of a padded batch (Davis and Mermelstein 1980, without the cosine transform).

    Frame `f` is centred on sample `f * hop + hop / 2`; what lies outside a waveform's own length counts
    as zero, so padding never reaches a real frame.

    Args:
        waveforms: (B, T) float32 in [-1, 1], padded at the end.
        lengths: (B,) true lengths in samples.
        options: The analysis.

    Returns:
        Features (B, F, M), not normalised, and frame counts (B,).
    """
    frames = frame_count(lengths, options)
    real = mask(lengths, waveforms.shape[1])
    left = (options.window - options.hop) // 2
    total = (int(frames.max()) - 1) * options.hop + options.window
    right = max(0, total - left - waveforms.shape[1])
    padded = torch.nn.functional.pad(waveforms * real, (left, right))[:, :total]
    framed = padded.unfold(1, options.window, options.hop)  # (B, F, window)
    device = str(waveforms.device)
    spectrum = torch.fft.rfft(framed * _window(options, device), n=options.fft)
    power = spectrum.real.square() + spectrum.imag.square()
    mel = power @ _mel_matrix(options, device)
    return torch.log(mel.clamp(min=options.floor)), frames


def normalise(features: Tensor, frames: Tensor, floor: float = 0.1) -> Tensor:
    """Zero mean per band and unit variance over all bands, within each row's own frames.

    The mean per band removes the channel; one variance for all bands keeps empty bands (telephone
    speech) at zero instead of blowing their noise up.

    Args:
        features: (B, F, M).
        frames: (B,) true frame counts.
        floor: Least standard deviation, in nepers of power, for rows that hardly change.

    Returns:
        (B, F, M), zero outside the true frames.
    """
    real = mask(frames, features.shape[1])[:, :, None]
    count = frames[:, None, None].to(features.dtype)
    mean = (features * real).sum(1, keepdim=True) / count
    centred = (features - mean) * real
    variance = centred.square().sum((1, 2), keepdim=True) / (count * features.shape[2])
    return centred / variance.sqrt().clamp(min=floor)
