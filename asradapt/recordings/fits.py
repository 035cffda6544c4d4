"""How well texts fit a recording, by their CTC probability under the source model (Graves 2006).

Letters: B batch, T samples, F frames, V tokens, K texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.scoring import normalize

NEVER = 1e4
"""Log probability, below zero, of a text that is too long for the recording."""


def token_index(tokens: Sequence[str]) -> dict[str, int]:
    """Number of every token."""
    return {token: number for number, token in enumerate(tokens)}


def writable(text: str | None, index: Mapping[str, int]) -> str:
    """The normalised text, empty where the model cannot write it."""
    normal = normalize(text or "")
    return normal if set(normal) <= index.keys() else ""


def log_scores(logits: Tensor, frames: Tensor) -> list[Tensor]:
    """Log probabilities (F, V) of every row of logits (B, F, V) with frame counts (B,), on the CPU."""
    scores = functional.log_softmax(logits.float(), dim=-1).cpu()
    return [row[: int(count)] for row, count in zip(scores, frames, strict=True)]


def fit_texts(scores: Tensor, texts: Sequence[str], index: Mapping[str, int]) -> Tensor:
    """Log probability per character (K,) of texts on the scores (F, V) of one recording."""
    targets = [torch.tensor([index[c] for c in text]) for text in texts]
    sizes = torch.tensor([len(target) for target in targets])
    repeated = scores[:, None].expand(-1, len(texts), -1)  # (F, V) -> (F, K, V)
    frames = torch.full((len(texts),), len(scores))
    losses = functional.ctc_loss(repeated, torch.cat(targets), frames, sizes, reduction="none")
    return -losses.nan_to_num(posinf=NEVER) / sizes
