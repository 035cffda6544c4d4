"""What a hypothesis sounds like: its phones, against what the model hears of phones inside.

A source model with inner CTC outputs over phones hears every recording twice. Its letters and the language model
find the texts that are likely; how well the sounds of each fit decides among the best of them.

Letters: B batch, F frames, H hypotheses of all rows, P phones and the blank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.decoding.beam import Hypothesis
from asradapt.language.pronouncing import Pronouncer, load_pronouncer

LANGUAGE = "en"
"""Whose words the embedded pronunciations know."""
CONSIDERED = 16
"""Texts of a row whose sounds are compared; measured: 8 to 64 are alike."""


def ctc(logits: Tensor, frames: Tensor, targets: Sequence[Tensor]) -> Tensor:
    """CTC loss (B,) of logits (B, F, V) with frame counts (B,); zero where a target cannot fit."""
    sizes = torch.tensor([len(target) for target in targets])
    log_probs = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    joined = torch.cat(list(targets)).to(logits.device)
    return functional.ctc_loss(
        log_probs, joined, frames, sizes.to(logits.device), reduction="none", zero_infinity=True
    )


@dataclass(frozen=True)
class Sounds:
    """How a model's phones and the pronunciations of words belong together.

    Attributes:
        pronouncer: What sounds a word has.
        phones: The P tokens of the model's inner outputs, the blank first.
    """

    pronouncer: Pronouncer
    phones: tuple[str, ...]

    @classmethod
    def of(cls, card: Mapping[str, Any], phones: Sequence[str]) -> Sounds | None:
        """Those of a model with this card; None where it has no phones, or is of another language."""
        if not phones or card.get("language") != LANGUAGE:
            return None
        return cls(load_pronouncer(), tuple(phones))

    def encode(self, texts: Sequence[str]) -> list[list[int] | None]:
        """The numbers of each text's phones, none of an empty one; None where they are not known."""
        self.pronouncer.learn(word for text in texts for word in text.split())
        return [self.pronouncer.encode(text, self.phones) or ([] if not text else None) for text in texts]

    def ranked(
        self, rows: Sequence[Sequence[Hypothesis]], inner: Tensor, frames: Tensor, weight: float
    ) -> list[list[Hypothesis]]:
        """Hypotheses in the order of scores to which the log probability of their phones is added.

        Args:
            rows: The hypotheses of every row, best first. Those behind the first `CONSIDERED` stay behind them.
                Where one of these has no known sounds, the row stays as it is.
            inner: (B, F, P) logits of the first inner output.
            frames: (B,) true frame counts.
            weight: How much the phones count.
        """
        found = [list(row) for row in rows]
        said = iter(self.encode([one.text for row in rows for one in row[:CONSIDERED]]))
        spoken = [[next(said) for _ in row[:CONSIDERED]] for row in rows]
        known = [row for row, all_of in enumerate(spoken) if len(all_of) > 1 and None not in all_of]
        places = [row for row in known for _ in spoken[row]]
        if not places:
            return found
        targets = [torch.tensor(one, dtype=torch.long) for row in known for one in spoken[row] if one is not None]
        fits = _log_probabilities(inner, frames, torch.tensor(places, device=inner.device), targets)
        for row in known:
            first, others = found[row][:CONSIDERED], found[row][CONSIDERED:]
            scored = [replace(one, score=one.score + weight * fits.pop(0)) for one in first]
            found[row] = sorted(scored, key=lambda one: -one.score) + others  # stable: ties stay in order
        return found


def _log_probabilities(inner: Tensor, frames: Tensor, places: Tensor, targets: Sequence[Tensor]) -> list[float]:
    """Log probability of each target (H) at its place in the batch; much below all others where it cannot fit."""
    losses = ctc(inner[places], frames[places], targets)
    sizes = torch.tensor([_least_frames(target) for target in targets])
    never = sizes > frames[places].cpu()
    return torch.where(never, -1e4, -losses.cpu()).tolist()


def _least_frames(target: Tensor) -> int:
    """Frames that a target needs: one a phone, and one between two that are the same."""
    return len(target) + int((target[1:] == target[:-1]).sum())
