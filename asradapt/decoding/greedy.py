"""Greedy CTC decoding of a padded batch: best token per frame, repeats merged, blanks dropped.

Everything is computed where the logits are, without a loop over frames, and comes over in one transfer.

Letters: B batch, F frames, V tokens, L tokens of the longest text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asradapt.features import mask

BLANK = 0


@dataclass(frozen=True, eq=False)
class Emissions:
    """The tokens of every row with the frames they were heard in; BLANK behind the end of a row.

    Attributes:
        tokens: (B, L) token indices.
        first: (B, L) the frame in which each begins.
        last: (B, L) its last frame.
        probability: (B, L) the most that the model gave it in one of its frames.
    """

    tokens: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]


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


def collect(path: Tensor, emits: Tensor, frames: Tensor, probability: Tensor) -> Emissions:
    """The tokens of every row from what every frame holds.

    Args:
        path: (B, F) the token of every frame.
        emits: (B, F) whether it starts a new output token.
        frames: (B,) true frame counts.
        probability: (B, F) probability of that token in that frame.
    """
    rows, count = path.shape
    longest = int(emits.sum(dim=1).max()) if rows and count else 0
    inside = (path != BLANK) & mask(frames, count)
    place = torch.where(inside, emits.cumsum(dim=1) - 1, longest)  # what is no token goes behind the longest
    time = torch.arange(count, device=path.device).expand(rows, -1)
    empty = torch.zeros(rows, longest + 1, device=path.device)  # float32 holds frames up to 2**24
    columns = [
        empty.scatter(1, place, path.float()),
        empty.scatter_reduce(1, place, time.float(), "amin", include_self=False),
        empty.scatter_reduce(1, place, time.float(), "amax", include_self=False),
        empty.scatter_reduce(1, place, probability.float(), "amax", include_self=False),
    ]
    tokens, first, last, sure = torch.stack(columns)[:, :, :longest].cpu().numpy()  # one transfer
    return Emissions(
        tokens.astype(np.int64), first.astype(np.int64), last.astype(np.int64), sure.astype(np.float64)
    )


def greedy_emissions(logits: Tensor, frames: Tensor) -> Emissions:
    """Tokens of every row by greedy CTC decoding (Graves et al. 2006), with their frames and probabilities.

    Args:
        logits: (B, F, V); index 0 is the blank.
        frames: (B,) true frame counts; what lies behind them is ignored.
    """
    best, emits = best_path(logits, frames)
    return collect(best, emits, frames, logits.softmax(dim=-1).amax(dim=-1))


def letters_expected(logits: Tensor, frames: Tensor) -> list[float]:
    """How many tokens of every row's greedy text are expected to be right: the sum of their probabilities.

    Args:
        logits: (B, F, V); index 0 is the blank.
        frames: (B,) true frame counts; what lies behind them is ignored.
    """
    found: list[float] = greedy_emissions(logits, frames).probability.sum(axis=1).tolist()
    return found


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
    emitted = torch.where(emits, best, torch.full_like(best, BLANK)).cpu().numpy()  # one transfer
    letters = np.array(tokens, dtype=object)
    texts = ("".join(letters[row[row != BLANK]]) for row in emitted)
    return [" ".join(text.split()) for text in texts]
