"""What an utterance without text tells about its own adaptation: how sure the model is, and of what at once.

Every loss is one number a row, from that row alone.

Letters: B batch, F frames, V tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

from asradapt.decoding import BLANK
from asradapt.features import mask


def loss_problems(temperature: float, share: float) -> list[str]:
    """What is wrong with the numbers of `uncertainty`, in sentences."""
    problems = []
    if not temperature > 0:
        problems.append(f"the temperature must be above 0, got {temperature}")
    if not 0 <= share <= 1:
        problems.append(f"the share of the entropy must lie from 0 to 1, got {share}")
    return problems


def _share(weights: Tensor) -> Tensor:
    """(B, F) weights that sum to 1 in every row; zeros where a row has none."""
    return weights / weights.sum(dim=1, keepdim=True).clamp(min=1.0)


def entropy(logits: Tensor, frames: Tensor) -> Tensor:
    """Mean entropy of the frames in which a letter, not the blank, is likeliest (Lin et al. 2022).

    Args:
        logits: (B, F, V), already divided by the temperature.
        frames: (B,) true frame counts.

    Returns:
        (B,) nats; zero for a row in which nothing is heard.
    """
    logp = logits.log_softmax(dim=-1)
    spread = -(logp.exp() * logp).sum(dim=-1)
    heard = mask(frames, logits.shape[1]) & (logits.argmax(dim=-1) != BLANK)
    return (spread * _share(heard.to(spread.dtype))).sum(dim=1)


def class_confusion(logits: Tensor, frames: Tensor, tokens: int | None = None) -> Tensor:
    """Minimum class confusion (Jin et al. 2020): how often two tokens are likely in the same frame.

    Surer frames count more, by 1 + exp(-entropy), as in the original.

    Args:
        logits: (B, F, V), already divided by the temperature.
        frames: (B,) true frame counts.
        tokens: By how many tokens to divide, so that those that others in the batch have added change nothing;
            V by default.

    Returns:
        (B,) from 0, no confusion, to below 1.
    """
    logp = logits.log_softmax(dim=-1)
    p = logp.exp()
    real = mask(frames, logits.shape[1]).to(p.dtype)
    with torch.no_grad():
        sure = (1 + torch.exp((p * logp).sum(dim=-1))) * real
        sure = _share(sure) * frames[:, None]  # (B, F), 1 on average
    together = torch.einsum("bf,bfv,bfw->bvw", sure, p, p)  # (B, V, V)
    together = together / together.sum(dim=2, keepdim=True).clamp(min=1e-12)
    confused = together.sum(dim=(1, 2)) - together.diagonal(dim1=1, dim2=2).sum(dim=1)
    return confused / (tokens or logits.shape[-1])


def uncertainty(
    logits: Tensor, frames: Tensor, *, temperature: float, share: float, tokens: int | None = None
) -> Tensor:
    """The loss of SUTA (Lin et al. 2022, arXiv 2203.14222): entropy and class confusion, each row's own.

    Args:
        logits: (B, F, V).
        frames: (B,) true frame counts.
        temperature: Logits are divided by it, so that sure frames still have a gradient.
        share: How much the entropy counts; the rest is class confusion.
        tokens: As for `class_confusion`.

    Returns:
        (B,).
    """
    softened = logits / temperature
    return share * entropy(softened, frames) + (1 - share) * class_confusion(softened, frames, tokens)
