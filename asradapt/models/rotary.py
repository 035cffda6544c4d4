"""Rotary positions of queries and keys (Su et al. 2021, arXiv 2104.09864), with few passes over the memory.

What autograd makes of the plain formula takes twice the time on a CPU; the gradient is the rotation back.

Letters: B batch, F frames, H heads, D width.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor


class Angles(NamedTuple):
    """What a rotation multiplies by.

    Attributes:
        cosine: (F, 1, 1, D/H), for both halves of a head.
        sine: The same, negative for the first half.
    """

    cosine: Tensor
    sine: Tensor


def angles_of(frames: int, frequencies: Tensor) -> Angles:
    """The angles of so many frames for the frequencies (D/H/2,) of a head, in radians a frame."""
    positions = torch.arange(frames, dtype=torch.float32, device=frequencies.device)
    angles = (positions[:, None] * frequencies)[:, None, None, :]
    sine = angles.sin()
    return Angles(angles.cos().repeat(1, 1, 1, 2), torch.cat((-sine, sine), dim=-1))


def rotate(x: Tensor, angles: Angles) -> Tensor:
    """Queries and keys (B, F, 2, H, D/H), rotated by their places in fp32."""
    if not (torch.is_grad_enabled() and x.requires_grad):
        return _turned(x.float(), angles.cosine, angles.sine).to(x.dtype)
    turned: Tensor = _Rotation.apply(x.float(), angles.cosine, angles.sine)  # type: ignore[no-untyped-call]
    return turned.to(x.dtype)


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    half = x.shape[-1] // 2
    turned = x * cosine
    turned[..., :half].addcmul_(x[..., half:], sine[..., :half])
    turned[..., half:].addcmul_(x[..., :half], sine[..., half:])
    return turned


class _Rotation(torch.autograd.Function):
    """`_turned` with its gradient."""

    @staticmethod
    def forward(context: Any, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        context.save_for_backward(cosine, sine)
        return _turned(x, cosine, sine)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        cosine, sine = context.saved_tensors
        return _turned(gradient, cosine, -sine), None, None
