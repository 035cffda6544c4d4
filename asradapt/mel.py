"""Mel filter banks and window shapes of the three families in use: librosa (HTK and Slaney), torchaudio, Kaldi.

Letters: M mel bands.
"""

from __future__ import annotations

import torch
import torchaudio
from torch import Tensor

SCALES = ("htk", "slaney", "kaldi")
TAPERS = ("hann", "hamming", "povey")
TOGETHER = 16  # filters in a part


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
    """A filter bank in parts of sixteen filters, each without the rows that are zero in all of them.

    A filter is zero outside of its triangle. Multiplied part by part the bank takes a fifth of the operations;
    with fewer filters in a part processors would do no less, as sixteen fill their registers.

    Args:
        bank: (N, M), the rows in the order of frequency.

    Returns:
        For every part its rows, its columns, and the bank there; the columns of all parts are those of the bank.
    """
    parts = []
    for first in range(0, bank.shape[1], TOGETHER):
        columns = slice(first, min(first + TOGETHER, bank.shape[1]))
        used = bank[:, columns].any(dim=1).nonzero().flatten().tolist() or [0]
        rows = slice(used[0], used[-1] + 1)
        parts.append((rows, columns, bank[rows, columns].contiguous()))
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
