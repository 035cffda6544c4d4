"""Small parts of sentences."""

from __future__ import annotations

from collections.abc import Sequence

NAMED = 3
"""So many of a list are named; the others are counted."""


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 speaker`, `2 speakers`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def first_of(items: Sequence[str], separator: str = ", ") -> str:
    """The first of many, and how many more there are."""
    stop = "" if separator == ", " else separator.rstrip()
    more = f"{stop} and {len(items) - NAMED} more" if len(items) > NAMED else ""
    return separator.join(items[:NAMED]) + more


def cannot_write(phrases: Sequence[str]) -> str:
    """That phrases are not listened for, because the model has no letters for them."""
    them = "it is" if len(phrases) == 1 else "they are"
    return f"the model cannot write {first_of([repr(one) for one in phrases])}, so {them} not listened for"
