"""What of a batch of logits the beam search looks at: frames that are not plainly blank, tokens with some hope.

Letters: B batch, F frames, T kept frames, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.decoding.greedy import BLANK
from asradapt.features import mask


@dataclass(frozen=True, eq=False)
class Kept:
    """The frames of a batch that the search looks at, the row with the most first.

    Attributes:
        order: (B,) the row of the batch that stands in each place.
        counts: How many frames of each place are kept, falling.
        frame: (B, T) their frame numbers.
        logp: (B, T, V) their log probabilities.
        tokens: (B, T, C) tokens without the blank, likeliest first.
        rank: (B, T, V) the place of every token among those; the blank last.
        usable: (B, T, C) which of them are considered.
        widest: For every kept frame the most tokens that any row considers.
        blanks: (B, T) log probability of the blanks that were skipped right before.
        skipped: (B, T) whether there were any.
        rest: (B,) log probability of the blanks skipped behind the last kept frame.
    """

    order: Tensor
    counts: list[int]
    frame: Tensor
    logp: Tensor
    tokens: Tensor
    rank: Tensor
    usable: Tensor
    widest: list[int]
    blanks: Tensor
    skipped: Tensor
    rest: Tensor


def keep_frames(logits: Tensor, frames: Tensor, *, skip: float, floor: float, most: int) -> Kept:
    """Choose frames and tokens of every row by that row alone.

    Frames whose blank is likelier than `skip` only separate tokens (phone-synchronous decoding, Chen et al. 2016).

    Args:
        logits: (B, F, V).
        frames: (B,) true frame counts.
        skip: Probability of the blank from which a frame is skipped; above 1 none is.
        floor: Tokens less likely than this, in nats below the likeliest of the frame, are left out.
        most: Most tokens of a frame, the blank not counted.
    """
    logp = logits.log_softmax(dim=-1)
    real = mask(frames, logp.shape[1])
    blank = logp[:, :, BLANK]
    kept = real & (blank.exp() <= skip)
    counts = kept.sum(dim=1)
    order = torch.argsort(counts, descending=True, stable=True)
    longest = int(counts.max()) if len(counts) else 0
    frame = torch.argsort((~kept).to(torch.uint8), dim=1, stable=True)[order, :longest]  # kept ones, in order
    row = order[:, None]
    inside = mask(counts[order], longest)
    blanks, skipped, rest = _between(torch.where(real & ~kept, blank, 0.0)[order], frame, inside)
    chosen = logp[row, frame]  # (B, T, V)
    tokens, rank, usable = _tokens(chosen, floor, most)
    usable &= inside[:, :, None]
    widest = usable.sum(dim=2).amax(dim=0).tolist() if longest else []
    return Kept(order, counts[order].tolist(), frame, chosen, tokens, rank, usable, widest, blanks, skipped, rest)


def _between(blank: Tensor, frame: Tensor, inside: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log probability of what was skipped before every kept frame, whether any was, and that behind the last."""
    running = torch.nn.functional.pad(blank.cumsum(dim=1), (1, 0))  # (B, F + 1), before each frame
    before = running.gather(1, frame) * inside
    last = torch.nn.functional.pad(before[:, :-1], (1, 0))
    gap = torch.diff(torch.nn.functional.pad(frame, (1, 0), value=-1), dim=1) > 1
    spent = before.amin(dim=1) if before.shape[1] else running[:, 0]  # sums of logarithms only fall
    return before - last, gap & inside, running[:, -1] - spent


def _tokens(logp: Tensor, floor: float, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """The likeliest tokens of every frame (B, T, C), the place of every token, and which are considered."""
    size = logp.shape[-1]
    real = logp.clone()
    real[:, :, BLANK] = -torch.inf
    order = real.argsort(dim=-1, descending=True, stable=True)
    rank = torch.empty_like(order).scatter_(-1, order, torch.arange(size, device=logp.device).expand_as(order))
    tokens = order[:, :, : min(most, size - 1)]
    usable = logp.gather(-1, tokens) >= logp.amax(dim=-1, keepdim=True) - floor
    return tokens, rank, usable
