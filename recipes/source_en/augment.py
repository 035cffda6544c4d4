"""Changes to log-mel frames that make few voices and rooms stand for many (all in the feature domain)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.features import mask, normalise


def warp(x: Tensor, lengths: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Change speed (time axis) and vocal-tract length (mel axis) of (B, F, M), each row differently."""
    batch, frames, mels = x.shape
    at = x.device
    speed = 1 + options["time"] * (2 * torch.rand(batch, device=at) - 1)
    tract = 1 + options["warp"] * (2 * torch.rand(batch, device=at) - 1)
    new = (lengths / speed).long().clamp(min=1)
    times = torch.arange(int(new.max()), device=at)[None, :] * speed[:, None]  # source frame of every new frame
    times = torch.minimum(times, (lengths - 1)[:, None].float())
    bands = (torch.arange(mels, device=at)[None, :] * tract[:, None]).clamp(max=mels - 1)
    grid_t = (2 * times / max(frames - 1, 1) - 1)[:, :, None].expand(-1, -1, mels)
    grid_m = (2 * bands / (mels - 1) - 1)[:, None, :].expand(-1, times.shape[1], -1)
    grid = torch.stack((grid_m, grid_t), dim=-1)
    return functional.grid_sample(x[:, None], grid, align_corners=True)[:, 0], new


def noise(x: Tensor, lengths: Tensor, share: float) -> Tensor:
    """Add stationary coloured noise at 5 to 30 dB to a share of the rows."""
    batch, _, mels = x.shape
    real = mask(lengths, x.shape[1])[:, :, None]
    loud = ((x * real).sum((1, 2)) / (lengths * mels)) + 2.0  # near the level of speech
    knots = torch.randn(batch, 1, 6, device=x.device) * 1.5
    colour = functional.interpolate(knots, size=mels, mode="linear", align_corners=True)
    level = loud[:, None, None] - (5 + 25 * torch.rand(batch, 1, 1, device=x.device)) * 0.2303 + colour
    flicker = (-torch.rand_like(x).clamp(min=1e-6).log()).clamp(min=1e-3).log()  # power of one frame of noise
    noisy = torch.logaddexp(x, level + flicker)
    chosen = (torch.rand(batch, device=x.device) < share)[:, None, None]
    return torch.where(chosen, noisy, x)


def telephone(x: Tensor, share: float, floor: float = -11.5) -> Tensor:
    """Cut a share of the rows above 3.4 to 4 kHz (bands 56 to 61 of 80), as 8 kHz recordings are."""
    batch, _, mels = x.shape
    edge = torch.randint(56, 62, (batch, 1, 1), device=x.device)
    bands = torch.arange(mels, device=x.device)[None, None, :]
    cut = (torch.rand(batch, 1, 1, device=x.device) < share) & (bands >= edge)
    return torch.where(cut, torch.full_like(x, floor), x)


def spec_augment(x: Tensor, lengths: Tensor, options: dict[str, Any]) -> Tensor:
    """Zero bands and stretches of time (Park et al. 2019, arXiv 1904.08779)."""
    batch, frames, mels = x.shape
    at = x.device
    keep = torch.ones(batch, frames, mels, dtype=torch.bool, device=at)
    for _ in range(options["frequency_masks"]):
        width = torch.randint(0, options["frequency_width"] + 1, (batch, 1, 1), device=at)
        start = (torch.rand(batch, 1, 1, device=at) * (mels - width)).long()
        band = torch.arange(mels, device=at)[None, None, :]
        keep &= ~((band >= start) & (band < start + width))
    for _ in range(options["time_masks"]):
        span = (torch.rand(batch, device=at) * options["time_share"] * lengths).long()[:, None, None]
        start = (torch.rand(batch, 1, 1, device=at) * (lengths[:, None, None] - span)).long()
        time = torch.arange(frames, device=at)[None, :, None]
        keep &= ~((time >= start) & (time < start + span))
    return x * keep


def augment(x: Tensor, lengths: Tensor, options: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Everything above, with normalisation in between: raw log-mel to training input."""
    x, lengths = warp(x, lengths, options)
    x = telephone(noise(x, lengths, options["noise"]), options["telephone"])
    return spec_augment(normalise(x, lengths), lengths, options), lengths
