"""The sounds of a text, at the inner outputs of a source model that has some.

Letters: B batch, F frames, P phones and the blank.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from asradapt.decoding.sounds import Sounds, ctc
from asradapt.models.base import PhoneModel


def phone_losses(model: PhoneModel, inner: Sequence[Tensor], frames: Tensor, texts: Sequence[str]) -> Tensor:
    """Mean CTC loss (B,) of inner outputs (B, F, P) for the phones of texts; zero where they are not known
    or do not fit.

    The phones say what a person's sounds mean where the spelling does not, and lie nearer to the sound (Lee and
    Watanabe 2021, arXiv 2102.03216). They are those that `pronounce_en` gives an English word, whoever speaks.
    """
    losses = torch.zeros(len(texts), device=frames.device)
    if (sounds := Sounds.of(model.card, model.phones)) is None:
        return losses
    spoken = {row: phones for row, phones in enumerate(sounds.encode(texts)) if phones}
    if not spoken:
        return losses
    rows, targets = list(spoken), [torch.tensor(phones) for phones in spoken.values()]
    found = torch.stack([ctc(logits[rows], frames[rows], targets) for logits in inner]).mean(0)
    return losses.index_put((torch.tensor(rows, device=frames.device),), found)
