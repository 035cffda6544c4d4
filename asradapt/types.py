"""Small frozen types that every layer shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Utterance:
    """One row of a manifest or one audio file given by hand.

    Attributes:
        audio: The audio file (absolute, or relative to the working folder).
        text: What was said, as written by the user; None where it is not known.
        speaker: Who said it; None where it is not known.
        duration: Length in seconds as stated by the manifest; None where not stated.
        fields: The other columns of the row, as strings (`part`, `age`, ...), for `--where`.
    """

    audio: Path
    text: str | None = None
    speaker: str | None = None
    duration: float | None = None
    fields: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Failure:
    """One input that could not be used, and why; the others were still done.

    Attributes:
        item: What was given.
        reason: Why it cannot be used.
        error: What was raised, where several of a kind can be told together.
    """

    item: str
    reason: str
    error: Exception | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(cls, item: str, error: Exception) -> Failure:
        """A failure with what was raised, without the frames of its traceback, which hold recordings."""
        error.__traceback__ = error.__context__ = error.__cause__ = None
        return cls(item, str(error), error)

    def as_dict(self) -> dict[str, str]:
        """The failure as the `failed` entries of every `--json` output."""
        return {"item": self.item, "reason": self.reason}
