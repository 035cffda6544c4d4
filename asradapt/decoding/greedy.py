"""Greedy CTC decoding of a padded batch: best token per frame, repeats merged, blanks dropped.

Letters: B batch, F frames, V tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asradapt.features import mask

BLANK = 0


def best_path(logits: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
    """The best token of every frame and whether it starts a new output token.

    Args:
        logits: (B, F, V).
        frames: (B,) true frame counts.

    Returns:
        Token indices (B, F) and a boolean mask (B, F) of the frames that emit.
    """
    best = logits.argmax(dim=-1)
    previous = torch.nn.functional.pad(best[:, :-1], (1, 0), value=BLANK)
    emits = (best != BLANK) & (best != previous) & mask(frames, best.shape[1])
    return best, emits


def greedy_decode(logits: Tensor, frames: Tensor, tokens: Sequence[str]) -> list[str]:
    """Text of every row by greedy CTC decoding (Graves et al. 2006), with single spaces between words.

    Args:
        logits: (B, F, V); index 0 is the blank.
        frames: (B,) true frame counts; what lies behind them is ignored.
        tokens: The V tokens.

    Returns:
        B texts.
    """
    best, emits = best_path(logits, frames)
    emitted = torch.where(emits, best, torch.full_like(best, BLANK)).cpu().tolist()  # one transfer
    texts = ("".join(tokens[index] for index in row if index != BLANK) for row in emitted)
    return [" ".join(text.split()) for text in texts]
