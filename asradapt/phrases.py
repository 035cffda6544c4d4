"""The phrases a speaker uses, and how strongly they are listened for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from asradapt.errors import InputError

STRENGTH = 0.3
"""Nats that a listed phrase gains for every token, where nothing else is known: docs/decoding.md."""
STRONGEST = 5.0


class Phrases(tuple[str, ...]):
    """Phrases; two with the same ones are equal whatever their strength.

    Attributes:
        strength: Nats that a phrase gains for every token; None for what the decoder takes for everybody. It goes
            for all phrases that are listened for in this speaker's recordings; 0 leaves out the speaker's own.
    """

    strength: float | None

    def __new__(cls, phrases: Iterable[str] = (), strength: float | None = None) -> Self:
        """Phrases with a strength."""
        made = super().__new__(cls, phrases)
        made.strength = strength
        return made

    def with_more(self, others: Phrases) -> Phrases:
        """These and others; a strength that is here stays."""
        return Phrases([*self, *others], others.strength if self.strength is None else self.strength)


def strength_of(phrases: Iterable[str]) -> float | None:
    """The strength that phrases have of their own."""
    return phrases.strength if isinstance(phrases, Phrases) else None


def read_phrases(file: Path) -> dict[int, str]:
    """The phrases of a text file by the numbers of their lines; a line that begins with # holds none.

    A byte order mark is none of them.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")  # as editors count
        return {
            number: line
            for number, line in enumerate(lines, 1)
            if line.strip() and not line.lstrip().startswith("#")
        }
    except UnicodeError as error:
        raise InputError(f"{file} is no text in UTF-8: save it as such") from error
    except OSError as error:
        raise InputError(f"phrases cannot be read from {file}: {error.strerror or error}") from error
