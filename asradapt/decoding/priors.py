"""How often a model writes each token whatever it hears, which a language model makes up for.

The outputs of a CTC network are posteriors: they hold what its training texts were like, and how many frames of
them were blank. A language model brings a prior of its own, so part of theirs is divided out (Bourlard and Morgan
1994; for CTC: Miao et al. 2015, arXiv 1507.08240).

Letters: B batch, F frames, V tokens.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asradapt.errors import InputError

CARD = "token_prior"
"""The key of a model's card under which the prior stands."""
LEAST = -20.0
"""The log probability of a token that is never written."""
ROUNDED = 0.05
"""How far the probabilities may be from 1 together."""


@dataclass(frozen=True)
class TokenPrior:
    """The prior of a model's tokens.

    Attributes:
        logprob: Natural log probability of every token in any frame, the blank first.
    """

    logprob: tuple[float, ...]

    @classmethod
    def of(cls, card: Mapping[str, Any], tokens: Sequence[str]) -> TokenPrior | None:
        """What the card of a model says under `token_prior`; None where it says nothing.

        Raises:
            InputError: If it says something other than a log probability of each token.
        """
        if CARD not in card:
            return None
        said = card[CARD]
        try:
            found = tuple(float(value) for value in said)
        except (TypeError, ValueError):
            found = ()
        usable = len(found) == len(tokens) and all(LEAST <= value <= 0 for value in found)
        if not usable or abs(sum(map(math.exp, found)) - 1) > ROUNDED:
            raise InputError(
                f"the model's card has a {CARD} that is not {len(tokens)} log probabilities, {LEAST:g} or more, "
                "of which one token or another is certain"
            )
        return cls(found)

    def divided_out(self, logits: Tensor, weight: float) -> Tensor:
        """Logits (B, F, V) less the weighted prior; those behind the model's are as likely as its on average."""
        mean = math.log(sum(math.exp(value) for value in self.logprob[1:]) / max(1, len(self.logprob) - 1))
        added = logits.shape[-1] - len(self.logprob)
        kind = torch.promote_types(logits.dtype, torch.float32)
        prior = torch.tensor([*self.logprob, *[mean] * added], dtype=kind, device=logits.device)
        return logits.to(kind) - weight * prior
