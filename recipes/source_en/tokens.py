"""What the model writes: characters, and phones for the inner outputs.

Phones come from a dictionary in the format of cmudict (`word  HH AH0 L OW1`, alternatives as `word(2)`); a word
boundary is a token of its own. An utterance with a word that the dictionary lacks trains the characters only.
"""

from __future__ import annotations

import re
from pathlib import Path

ALPHABET = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")  # index 0 is the CTC blank
_PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONES = ("", " ", *_PHONES.split(" "))


def encode(text: str) -> list[int] | None:
    """Token indices of a text, or None where it holds anything but letters, spaces and apostrophes."""
    text = " ".join(text.lower().split())
    if not text or set(text) - set(ALPHABET[1:]):
        return None
    return [ALPHABET.index(letter) for letter in text]


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
