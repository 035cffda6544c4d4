"""The log-mel features of Whisper in batches, on any device: a recording's own frames, and the silence behind.

The library's own extractor fills every recording with silence to a window of 30 s. The frames behind a recording
all hold one number, which follows from the recording's loudest band; so only its own frames are kept, and
`fill_window` puts the others back, exactly as they were.

Letters: B batch, T samples, F frames, W frames of a whole window, M mel bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.features import mask

FLOOR = -10.0  # log10 of the least power
RANGE = 8.0  # decades below the loudest band of a recording in which differences count


def _scaled(decades: float | Tensor) -> Any:
    """Powers in decades as the network takes them."""
    return (decades + 4.0) / 4.0


SILENCE = _scaled(FLOOR)


@dataclass(eq=False)
class MelWindow:
    """How the features of a checkpoint are computed.

    Attributes:
        sample_rate: Samples per second.
        fft: Length of the Fourier transform and of its Hann window, in samples.
        hop: Samples from frame to frame.
        frames: Number W of frames of a whole window.
        filters: (fft/2+1, M) the mel filters.
    """

    sample_rate: int
    fft: int
    hop: int
    frames: int
    filters: Tensor

    @property
    def seconds(self) -> float:
        """Length of a window."""
        return self.frames * self.hop / self.sample_rate

    def to(self, device: torch.device | str) -> MelWindow:
        """Compute on another device."""
        self.filters = self.filters.to(device)
        return self

    def counts(self, lengths: Tensor) -> Tensor:
        """Frames (B,) that see some of a recording of so many samples (B,)."""
        reached = torch.div(lengths + self.fft // 2 + self.hop - 1, self.hop, rounding_mode="floor")
        return reached.clamp(min=1, max=self.frames)

    def __call__(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) to features (B, F, M), zero behind each recording, and frame counts (B,).

        What lies behind a window is left out, as the library does.
        """
        longest = self.frames * self.hop
        lengths, waveforms = lengths.clamp(max=longest), waveforms[:, :longest]
        waveforms = waveforms * mask(lengths, waveforms.shape[1])
        missing = min(longest, waveforms.shape[1] + 2 * self.fft) - waveforms.shape[1]
        window = torch.hann_window(self.fft, device=waveforms.device)
        spectrum = torch.stft(
            functional.pad(waveforms, (0, missing)), self.fft, self.hop, window=window, return_complex=True
        )
        frames = self.counts(lengths)
        power = spectrum[..., :-1].abs().square()[..., : int(frames.max())].transpose(1, 2)  # (B, F, fft/2+1)
        decades = (power @ self.filters).clamp(min=10**FLOOR).log10()
        inside = mask(frames, decades.shape[1])[:, :, None]
        loudest = decades.masked_fill(~inside, FLOOR).amax(dim=(1, 2), keepdim=True)
        return _scaled(torch.maximum(decades, loudest - RANGE)) * inside, frames


def silence(features: Tensor, frames: Tensor) -> Tensor:
    """What features (B, F, M) hold behind each recording, (B, 1, 1)."""
    inside = mask(frames, features.shape[1])[:, :, None]
    loudest = features.masked_fill(~inside, -torch.inf).amax(dim=(1, 2), keepdim=True)
    return (loudest - RANGE / 4.0).clamp(min=SILENCE)


def fill_window(features: Tensor, frames: Tensor, level: Tensor, whole: int) -> Tensor:
    """Features (B, F, M) to whole windows (B, W, M), `level` (B, 1, 1) behind each recording."""
    features = features[:, :whole]
    inside = mask(frames, features.shape[1])[:, :, None]
    known = torch.where(inside, features, level.to(features.dtype))
    rest = level.to(features.dtype).expand(-1, whole - features.shape[1], features.shape[2])
    return torch.cat((known, rest), dim=1)
