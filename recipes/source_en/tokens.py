"""What the model writes: characters (and, where a configuration lists them, pieces of words), and phones inside.

Phones come from a dictionary in the format of cmudict (`word  HH AH0 L OW1`, alternatives as `word(2)`); a word
boundary is a token of its own. An utterance with a word that the dictionary lacks trains the characters only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ALPHABET = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")  # index 0 is the CTC blank
_PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONES = ("", " ", *_PHONES.split(" "))


def tokens_of(config: dict[str, Any]) -> tuple[str, ...]:
    """The output tokens of a configuration: the alphabet and the pieces it lists."""
    return (*ALPHABET, *config.get("pieces", ()))


def encode(text: str, tokens: Sequence[str] = ALPHABET) -> list[int] | None:
    """Token indices of a text, longest pieces first; None where it holds more than letters and apostrophes."""
    text = " ".join(text.lower().split())
    if not text or set(text) - set(ALPHABET[1:]):
        return None
    if len(tokens) == len(ALPHABET):
        return [ALPHABET.index(letter) for letter in text]
    longest_first = sorted(tokens[1:], key=len, reverse=True)
    return [tokens.index(piece) for piece in re.findall("|".join(longest_first), text)]


class Pronunciations:
    """The first pronunciation of every word of a dictionary file, without stress."""

    def __init__(self, path: Path) -> None:
        self._words: dict[str, list[int]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            word, *phones = re.sub(r"\(\d+\)|#.*", "", line).split() or [""]
            if phones and word.lower() not in self._words:
                self._words[word.lower()] = [PHONES.index(phone.rstrip("012")) for phone in phones]

    def encode(self, text: str) -> list[int]:
        """Phone indices of a text with boundaries between words; empty where a word is missing."""
        found = [self._words.get(word) for word in text.split()]
        if None in found:
            return []
        joined = [index for phones in found for index in (*(phones or ()), 1)]
        return joined[:-1]
