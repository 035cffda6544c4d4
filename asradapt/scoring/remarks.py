"""What somebody should know of the rows that errors are counted on."""

from __future__ import annotations

from collections.abc import Sequence

UNNAMED = "(unnamed)"
"""Whoever spoke the rows that do not say who spoke."""


def digits_in(texts: Sequence[str]) -> list[str]:
    """A warning where texts to score against hold digits, which the normaliser leaves as they are."""
    found = [text for text in texts if any(character.isdigit() for character in text)]
    if not found:
        return []
    return [
        f"{len(found)} of {len(texts)} texts have digits, such as {found[0]!r}: whoever hears words gets them all "
        "wrong; write numbers as words, as they were said"
    ]


def without_speaker(speakers: Sequence[str | None]) -> list[str]:
    """A warning where some of the rows do not say who spoke: nobody knows how many people they are."""
    nameless = sum(not speaker for speaker in speakers)
    if nameless in (0, len(speakers)):
        return []
    have, count = ("has", "counts") if nameless == 1 else ("have", "count")
    return [
        f"{nameless} of {len(speakers)} rows {have} no speaker and {count} as one person, {UNNAMED}, in all "
        "that is said of people: name who spoke"
    ]
