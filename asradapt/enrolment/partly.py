"""Recordings without texts beside those with texts: what hearing and learning them brought."""

from __future__ import annotations

from dataclasses import dataclass

from asradapt.scoring import ErrorCounts
from asradapt.wording import counted


@dataclass(frozen=True)
class Partly:
    """What was heard in recordings without texts, and what learning it makes of the held-out ones with texts.

    Attributes:
        pieces: Pieces in which words were heard.
        seconds: Their length.
        confidence: Mean confidence of what the mean of the folds has heard; None where nothing tells.
        reason: Why the adaptation has not learned from them; empty where it has.
        without: Held-out counts of what learns from the texts alone.
        having: Held-out counts of what learns from both.
    """

    pieces: int
    seconds: float
    confidence: float | None
    reason: str
    without: ErrorCounts
    having: ErrorCounts

    @property
    def used(self) -> bool:
        """Whether the adaptation has learned from them."""
        return not self.reason

    def as_dict(self) -> dict[str, object]:
        """The same for `--json` outputs and the record."""
        return {
            "pieces": self.pieces,
            "seconds": round(self.seconds, 3),
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "used": self.used,
            "reason": self.reason,
            "without": self.without.as_dict(),
            "with": self.having.as_dict(),
        }

    def __str__(self) -> str:
        amount = f"{counted(self.pieces, 'piece')} of recordings without texts ({self.seconds:.0f} s)"
        said = f"what was heard in {amount} is {f'not learned: {self.reason}' if self.reason else 'learned too'}"
        words = f"word error rate {self.without.wer:.1%} without and {self.having.wer:.1%} with it"
        return f"{said} ({words}, wrong letters {self.without.cer:.1%} and {self.having.cer:.1%})"
