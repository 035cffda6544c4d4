"""The one text normalisation that both sides of every comparison go through."""

from __future__ import annotations

import re
import unicodedata

NORMALIZER = "asradapt-basic-1"

_TYPED = str.maketrans(
    {
        **dict.fromkeys("‘’‛ʼ′´`", "'"),  # NFKC would take the acute accent apart
        "\u200b": " ",  # the zero-width space separates words, yet `str.split` does not know it
    }
)


def normalize(text: str) -> str:
    """Reduces a text to lower-case words between single spaces.

    NFKC; lower case; every kind of apostrophe becomes `'`; invisible format characters such as the
    soft hyphen vanish; all that is neither a letter or mark of any script, a digit nor an apostrophe
    (hyphens and dashes too) becomes a space; apostrophes stay only in words that hold a letter.
    Numbers are NOT spelled out: `3` and `three` are different words, and `3.5` becomes two words.

    Args:
        text: What was said or recognised.

    Returns:
        The normalised text; normalising it again changes nothing.
    """
    text = "".join(c for c in text.translate(_TYPED) if unicodedata.category(c) != "Cf")
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).lower()).translate(_TYPED)
    text = "".join(c if c == "'" or unicodedata.category(c)[0] in "LMN" else " " for c in text)
    text = re.sub("'{2,}", " ", text)  # two in a row are a quotation mark
    words = " ".join(map(_without_stray_apostrophes, text.split())).split()
    return " ".join(filter(None, map(_without_leading_marks, words)))


def _without_stray_apostrophes(word: str) -> str:
    """The word itself if it holds a letter (`don't`), else with spaces for apostrophes (`5'10`)."""
    has_letter = any(unicodedata.category(character)[0] == "L" for character in word)
    return word if has_letter else word.replace("'", " ")


def _without_leading_marks(word: str) -> str:
    """The word without the accents that stand on no letter."""
    start = 0
    while start < len(word) and unicodedata.category(word[start])[0] == "M":
        start += 1
    return word[start:]
