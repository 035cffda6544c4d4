"""The phrases a speaker uses, and how strongly they are listened for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Self

STRENGTH = 0.5
"""Nats that a listed phrase gains for every token, where nothing else is known: docs/decoding.md."""
STRONGEST = 5.0


class Phrases(tuple[str, ...]):
    """Phrases in alphabetical order.

    Attributes:
        strength: Nats that a phrase gains for every token; None for what the decoder takes for everybody.
    """

    strength: float | None

    def __new__(cls, phrases: Iterable[str] = (), strength: float | None = None) -> Self:
        """Phrases with a strength."""
        made = super().__new__(cls, phrases)
        made.strength = strength
        return made


def strength_of(phrases: Iterable[str]) -> float | None:
    """The strength that phrases have of their own."""
    return phrases.strength if isinstance(phrases, Phrases) else None
