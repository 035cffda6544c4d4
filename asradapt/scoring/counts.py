"""Error counts of one utterance, and their sum over many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import jiwer

from asradapt.scoring.normalization import normalize


@dataclass(frozen=True)
class ErrorCounts:
    """How many errors were made in how many reference words and characters.

    Attributes:
        substitutions: Words replaced by another.
        deletions: Words of the reference that are missing.
        insertions: Words that were not said.
        words: Words of the reference.
        character_errors: Substituted, deleted and inserted characters.
        characters: Characters of the reference, spaces between words included.
    """

    substitutions: int
    deletions: int
    insertions: int
    words: int
    character_errors: int
    characters: int

    @classmethod
    def zero(cls) -> ErrorCounts:
        """No errors in no words: the start of a sum."""
        return cls(0, 0, 0, 0, 0, 0)

    @property
    def errors(self) -> int:
        """Word errors of all three kinds."""
        return self.substitutions + self.deletions + self.insertions

    @property
    def wer(self) -> float:
        """Word error rate as a fraction; with no reference words 0.0 if nothing was inserted, else 1.0."""
        return _rate(self.errors, self.words)

    @property
    def cer(self) -> float:
        """Character error rate as a fraction; with no reference characters as `wer`."""
        return _rate(self.character_errors, self.characters)

    def __add__(self, other: ErrorCounts) -> ErrorCounts:
        return ErrorCounts(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
            self.words + other.words,
            self.character_errors + other.character_errors,
            self.characters + other.characters,
        )

    def as_dict(self) -> dict[str, float]:
        """The rates (fractions) and counts for `--json` outputs."""
        return {
            "wer": self.wer,
            "cer": self.cer,
            "substitutions": self.substitutions,
            "deletions": self.deletions,
            "insertions": self.insertions,
            "words": self.words,
            "character_errors": self.character_errors,
            "characters": self.characters,
        }


def _rate(errors: int, length: int) -> float:
    """Errors per reference unit; an empty reference is right (0.0) or wrong (1.0), never infinite."""
    return errors / length if length else float(errors > 0)


def score(reference: str, hypothesis: str) -> ErrorCounts:
    """Counts the errors of one utterance after normalising both texts.

    Args:
        reference: What was said.
        hypothesis: What was recognised.

    Returns:
        The counts of an alignment with the fewest errors; either text may be empty.
    """
    reference, hypothesis = normalize(reference), normalize(hypothesis)
    missing, extra = len(reference.split()), len(hypothesis.split())
    if not missing or not extra:  # jiwer 3 raises on an empty reference
        return ErrorCounts(0, missing, extra, missing, len(reference) + len(hypothesis), len(reference))
    words = jiwer.process_words(reference, hypothesis)
    characters = jiwer.process_characters(reference, hypothesis)
    return ErrorCounts(
        words.substitutions,
        words.deletions,
        words.insertions,
        missing,
        characters.substitutions + characters.deletions + characters.insertions,
        len(reference),
    )


def total(counts: Iterable[ErrorCounts]) -> ErrorCounts:
    """Sums the counts of many utterances; the rates of the sum are pooled rates."""
    return sum(counts, start=ErrorCounts.zero())
