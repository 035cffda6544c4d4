"""Batched log-mel features: waveforms in, normalised frames out, padding never leaks.

Letters: B batch, T samples, F frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeVar

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from asradapt.feature_options import KALDI, LIBROSA, FeatureOptions
from asradapt.mel import banded, filter_bank, taper

__all__ = [
    "KALDI",
    "LIBROSA",
    "FeatureOptions",
    "LogMel",
    "frame_count",
    "log_mel",
    "mask",
    "normalise",
    "resample",
]

Number = TypeVar("Number", int, Tensor)
CPU_CHUNK = 640  # frames at once and for each thread at most: their spectra stay in the processor's cache
GPU_CHUNK = 131_072  # and here they fill the device; about 1 GB


def _count(samples: Number, options: FeatureOptions) -> Number:
    if options.framing == "hop":
        return (samples + options.hop - 1) // options.hop
    if options.framing == "centre":
        return samples // options.hop + 1
    return (samples - options.window) // options.hop + 1


def frame_count(samples: Tensor, options: FeatureOptions) -> Tensor:
    """Number of frames of waveforms of the given lengths, at least one."""
    return torch.clamp(_count(samples, options), min=1)


def mask(lengths: Tensor, frames: int) -> Tensor:
    """Which frames are real: (B,) lengths to a (B, F) boolean mask."""
    return torch.arange(frames, device=lengths.device)[None, :] < lengths[:, None]


def _padded(waveforms: Tensor, lengths: Tensor, left: int, total: int) -> Tensor:
    """Waveforms (B, T) as (B, total), beginning at `left`, zero outside their own lengths."""
    if waveforms.device.type == "cpu" and not torch.compiler.is_compiling():
        result = waveforms.new_empty(len(waveforms), total)
        for row, source, length in zip(result, waveforms, lengths.tolist(), strict=True):
            end = left + min(length, total - left)  # one copy; a mask would go through memory three times more
            row[:left], row[left:end], row[end:] = 0, source[: end - left], 0
        return result
    clean = waveforms * mask(lengths, waveforms.shape[1])
    return functional.pad(clean, (left, max(0, total - left - waveforms.shape[1])))[:, :total]


def _framed(waveforms: Tensor, lengths: Tensor, frames: int, options: FeatureOptions) -> Tensor:
    """Overlapping frames (B, F, window), a view of the masked and padded waveforms (B, T)."""
    before = {"hop": (options.window - options.hop) // 2, "centre": options.window // 2, "inside": 0}
    total = (frames - 1) * options.hop + options.window
    padded = _padded(waveforms, lengths, before[options.framing], total)
    return padded.unfold(1, options.window, options.hop)


def _prepared(framed: Tensor, options: FeatureOptions) -> Tensor:
    """Frames (..., window) without their mean and with high frequencies lifted, where the analysis asks for it."""
    if options.remove_mean:
        framed = framed - framed.mean(dim=-1, keepdim=True)
    if options.preemphasis:
        previous = torch.cat((framed[..., :1], framed[..., :-1]), dim=-1)
        framed = framed - options.preemphasis * previous
    return framed


def _squares(frames: Tensor, fft: int) -> Tensor:
    """Squares of the real and imaginary parts of spectra, side by side: (..., fft + 2) or one pair less."""
    return torch.view_as_real(torch.fft.rfft(frames, n=fft)).flatten(-2).square_()


def _parts(rows: int, frames: int, chunk: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows and frames of at most `chunk` frames that cover the batch, smaller ones last."""
    high = max(1, chunk // frames)
    wide = -(-frames // -(-frames // chunk))
    for frame in range(0, frames, wide):
        for row in range(0, rows, high):
            yield slice(row, row + high), slice(frame, frame + wide)


class LogMel(nn.Module):
    """The analysis as a module with its window and filters as buffers: for `torch.compile`, which takes it whole.

    Args:
        options: The analysis.
    """

    shape: Tensor
    bank: Tensor

    def __init__(self, options: FeatureOptions) -> None:
        super().__init__()
        self.options = options
        bank = filter_bank(
            fft=options.fft,
            mels=options.mels,
            rate=options.sample_rate,
            low=options.low,
            high=options.high,
            scale=options.scale,
            unit_area=options.unit_area,
        )
        self.register_buffer("shape", taper(options.taper, options.window), persistent=False)
        # each row twice, for the squares of real and imaginary parts: the filters add them up on the way
        self.register_buffer("bank", bank.repeat_interleave(2, dim=0), persistent=False)
        self._bands = banded(self.bank)  # for the CPU

    @torch.no_grad()
    def forward(
        self, waveforms: Tensor, lengths: Tensor, chunk: int = 0, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """See `log_mel`."""
        options = self.options
        counts = frame_count(lengths, options)
        # the longest row is data: a graph knows the width of the batch alone
        width = max(1, _count(waveforms.shape[1], options))
        frames = width if torch.compiler.is_compiling() else int(counts.max())
        framed = _framed(waveforms.float(), lengths, frames, options)
        result = torch.empty(len(framed), frames, options.mels, dtype=dtype, device=waveforms.device)
        if waveforms.device.type == "cpu" and not torch.compiler.is_compiling():
            self._in_cache(framed, result, chunk or CPU_CHUNK * torch.get_num_threads())
        else:
            for rows, part in _parts(len(framed), frames, chunk or GPU_CHUNK):
                windowed = _prepared(framed[rows, part], options) * self.shape
                power = _squares(windowed, options.fft) @ self.bank
                result[rows, part] = power.clamp_(min=options.floor).log_()
        return result, counts

    def _in_cache(self, framed: Tensor, result: Tensor, chunk: int) -> None:
        """Features of frames (B, F, window) into `result` (B, F, M), in memory that is used over and over."""
        options, (rows, frames, _) = self.options, framed.shape
        most = min(rows * frames, chunk)
        # behind a frame's samples there are zeros, up to the length of the Fourier transform
        padded, power = framed.new_zeros(most, options.fft), framed.new_empty(most, options.mels)
        windowed, bands = padded[:, : options.window], [power[:, bands] for _, bands, _ in self._bands]
        for part in _parts(rows, frames, chunk):
            block, target = _prepared(framed[part], options), result[part]
            if (count := block.shape[0] * block.shape[1]) < len(power):  # the blocks become smaller, never larger
                padded, windowed, power = padded[:count], windowed[:count], power[:count]
                bands = [one[:count] for one in bands]
            torch.mul(block, self.shape, out=windowed.view(block.shape))
            squares = _squares(padded, options.fft)
            for found, (bins, _, bank) in zip(bands, self._bands, strict=True):
                torch.mm(squares[:, bins], bank, out=found)
            target.copy_(power.clamp_(min=options.floor).log_().view(target.shape))


@lru_cache(maxsize=16)
def _analysis(options: FeatureOptions, device: str) -> LogMel:
    return LogMel(options).to(device)


def log_mel(
    waveforms: Tensor,
    lengths: Tensor,
    options: FeatureOptions,
    *,
    chunk: int = 0,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor]:
    """Log-mel power of a padded batch (Davis and Mermelstein 1980, without the cosine transform).

    What lies outside a waveform's own length counts as zero, so padding never reaches a real frame. Frames are
    computed in blocks, so the memory beside input and output does not grow with the batch.

    Args:
        waveforms: (B, T) in [-1, 1], padded at the end, on any device.
        lengths: (B,) true lengths in samples.
        options: The analysis.
        chunk: Frames in a block; 0 for what suits the device.
        dtype: Type of the result; the computation is in fp32.

    Returns:
        Features (B, F, M), not normalised, and frame counts (B,).
    """
    result: tuple[Tensor, Tensor] = _analysis(options, str(waveforms.device))(waveforms, lengths, chunk, dtype)
    return result


@torch.no_grad()
def resample(waveforms: Tensor, lengths: Tensor, rate: int, new_rate: int) -> tuple[Tensor, Tensor]:
    """Change the sample rate of a padded batch on its device by windowed sinc interpolation (Smith 1984).

    Args:
        waveforms: (B, T), padded at the end with anything.
        lengths: (B,) true lengths in samples.
        rate: Samples per second.
        new_rate: Samples per second of the result.

    Returns:
        Waveforms (B, T'), zero beyond their ends, and their lengths (B,), rounded up.
    """
    clean = waveforms * mask(lengths, waveforms.shape[1])
    new_lengths = (lengths * new_rate + rate - 1) // rate
    changed: Tensor = torchaudio.functional.resample(clean, rate, new_rate, lowpass_filter_width=32)
    return changed * mask(new_lengths, changed.shape[1]), new_lengths


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
