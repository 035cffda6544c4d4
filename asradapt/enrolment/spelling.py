"""Texts as CTC models write them.

Letters: V tokens.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from asradapt.errors import TextError, UnwritableText
from asradapt.scoring import normalize


def encode_text(text: str | None, tokens: Sequence[str]) -> tuple[str, list[int]]:
    """Normalise a text and turn it into token indices.

    Raises:
        TextError: If it is empty or holds characters the model cannot write; all of them are named.
    """
    if text is None or not text.strip():
        raise TextError("the text is empty; write down what is said in the recording")
    odd = {c for c in text if unicodedata.category(c) in ("So", "Co", "Cn", "Cs")}
    normal = normalize(text)
    odd |= set(normal) - set(tokens)
    if odd:
        raise UnwritableText(odd)
    if not normal:
        raise TextError(f"the text {text!r} holds no word")
    index = {token: number for number, token in enumerate(tokens)}
    return normal, [index[character] for character in normal]


def left_out_of(tokens: Sequence[str]) -> str:
    """What a model writes and an enrolment's texts do not have, in a sentence; empty where there is nothing."""
    single = [token for token in tokens if len(token) == 1]
    cases = any(token != token.lower() for token in single) and any(token != token.upper() for token in single)
    kinds = [*(["capitals"] if cases else []), *(["punctuation"] if set(single) & set(".,?!") else [])]
    if not kinds:
        return ""
    return (
        f"the model writes {' and '.join(kinds)}, which are not learned from and not counted: an adapted one may "
        "leave them out"
    )


def frames_needed(target: Sequence[int]) -> int:
    """Output frames that CTC needs at least: one a token and a blank between equal neighbours."""
    return len(target) + sum(a == b for a, b in pairwise(target))
