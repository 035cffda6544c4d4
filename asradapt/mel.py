"""Mel filter banks and window shapes of the three families in use: librosa (HTK and Slaney), torchaudio, Kaldi.

Letters: M mel bands.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torchaudio
from torch import Tensor

SCALES = ("htk", "slaney", "kaldi")
TAPERS = ("hann", "hamming", "povey")


def filter_bank(*, fft: int, mels: int, rate: int, low: float, high: float, scale: str, unit_area: bool) -> Tensor:
    """Triangular filters on a mel scale, (fft/2+1, M).

    Args:
        fft: Length of the Fourier transform.
        mels: Number M of bands.
        rate: Samples per second.
        low: Lowest frequency in Hz.
        high: Highest frequency in Hz.
        scale: `htk` (O'Shaughnessy 1987) and `slaney` (Auditory Toolbox 1998) are triangles over Hz; `kaldi` is
            the HTK scale with triangles over mel.
        unit_area: Filters of equal area (Slaney's normalisation) instead of equal height.
    """
    if scale == "kaldi":
        # The 1127 ln form that Kaldi writes is HTK's scale with other digits; its triangles are linear in mel.
        return _kaldi_bank(fft, mels, rate, low, high)
    bank: Tensor = torchaudio.functional.melscale_fbanks(
        n_freqs=fft // 2 + 1,
        f_min=low,
        f_max=high,
        n_mels=mels,
        sample_rate=rate,
        norm="slaney" if unit_area else None,
        mel_scale=scale,
    )
    return bank


def banded(bank: Tensor) -> list[tuple[slice, slice, Tensor]]:
    """A filter bank in three parts that together hold all of it but most of its zeros.

    A filter is zero outside of its triangle; low frequencies have most of the filters. Multiplied part by part the
    bank takes a third of the operations.

    Args:
        bank: (N, M), the rows in the order of frequency.

    Returns:
        For every part its rows, its columns, and the bank there.
    """
    count, parts = len(bank), []
    for first, last in pairwise((0, count // 4, count // 2, count)):
        bands = bank[first:last].any(dim=0).nonzero().flatten().tolist()
        if bands:
            columns = slice(bands[0], bands[-1] + 1)
            parts.append((slice(first, last), columns, bank[first:last, columns].contiguous()))
    return parts


def _kaldi_bank(fft: int, mels: int, rate: int, low: float, high: float) -> Tensor:
    """Kaldi's filters, with a zero row for the Nyquist frequency, which Kaldi leaves out."""
    from torchaudio.compliance.kaldi import get_mel_banks

    # 100 and -500 are Kaldi's defaults for speaker warping, which a factor of 1 switches off
    bank, _ = get_mel_banks(mels, fft, float(rate), low, high, 100.0, -500.0, 1.0)
    return torch.nn.functional.pad(bank.T, (0, 0, 0, 1)).contiguous()


def taper(kind: str, window: int) -> Tensor:
    """Window shape (window,): periodic Hann as in librosa, symmetric Hamming and Povey as in Kaldi."""
    if kind == "hann":
        return torch.hann_window(window, periodic=True)
    if kind == "hamming":
        return torch.hamming_window(window, periodic=False)
    return torch.hann_window(window, periodic=False) ** 0.85
