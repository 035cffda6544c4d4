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
