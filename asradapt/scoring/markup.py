"""What in the texts of other recognisers is no word: marks such as `<sil>`, and sclite's alternatives.

Only texts that are read from files go through here. What recognisers put into angle or square brackets is about
the sound (`[noise]`) or about themselves (`<unk>`); round brackets of running text stand around words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from asradapt.scoring.normalization import normalize

_MARK = re.compile(
    r"""<[^<>\s]+> | \[[^\[\]]+\]     # <sil>, </s>, <|en|>; [noise], [music playing]
      | \+\+[^+\s]+\+\+               # ++NOISE++ of pocketsphinx
      | \(%[^()\s]+\) | (?<![\w%])%[^\W\d_][^\s(){}/]*  # (%hesitation), %uh; not 5%
    """,
    re.VERBOSE,
)
_TOKEN = re.compile(r"[{}/]|[^\s{}/]+")
_OPTIONAL = re.compile(r"\(([^()]+)\)")


@dataclass(frozen=True)
class _Choice:
    """Alternatives, each a sequence of words and further choices; an empty one says nothing."""

    options: tuple[tuple[_Part, ...], ...]


_Part: TypeAlias = str | _Choice
_Chain: TypeAlias = "tuple[_Chain | None, str]"  # the words before, and the last one


@dataclass(frozen=True)
class _State:
    """The errors of a reading up to some place, and its words."""

    errors: int
    chain: _Chain | None


def without_marks(text: str) -> tuple[str, list[str]]:
    """The text without what is no word, and what that was."""
    marks = _MARK.findall(text)
    return (" ".join(_MARK.sub(" ", text).split()), marks) if marks else (text, marks)


def balanced(text: str) -> bool:
    """Whether every `{` of a text has its `}`."""
    depth = 0
    for sign in re.findall("[{}]", text):
        depth += 1 if sign == "{" else -1
        if depth < 0:
            return False
    return depth == 0


def best_reading(text: str, reference: str) -> tuple[str, int]:
    """The reading of a text with alternatives that has the fewest errors, as sclite -D scores it.

    `{ a / b c / @ }` is one of its alternatives, `@` none of the words; `(a)` may be said or not.

    Args:
        text: As in a trn file, its braces balanced.
        reference: What was said.

    Returns:
        The text without signs, and how many choices there were; the text itself where there was none.
    """
    parts = _alternatives(iter(_TOKEN.findall(text)))[0]
    choices = sum(isinstance(part, _Choice) for part in parts)
    if not choices:
        return text, 0
    said = normalize(reference).split()
    row = _heard([_State(place, None) for place in range(len(said) + 1)], parts, said)
    words, chain = [], row[-1].chain
    while chain:
        words.append(chain[1])
        chain = chain[0]
    return " ".join(reversed(words)), choices


def _alternatives(tokens: Iterator[str], *, inside: bool = False) -> tuple[tuple[_Part, ...], ...]:
    """What stands between two braces, or all of a text, which is a single alternative."""
    found: list[list[_Part]] = [[]]
    for word in tokens:
        if word == "{":
            found[-1].append(_Choice(_alternatives(tokens, inside=True)))
        elif word == "}":
            break
        elif word == "/":
            found += [[]] if inside else []
        elif optional := _OPTIONAL.fullmatch(word):
            found[-1].append(_Choice(((optional[1],), ())))
        elif word != "@":
            found[-1].append(word)
    return tuple(map(tuple, found))


def _heard(row: list[_State], parts: Sequence[_Part], said: Sequence[str]) -> list[_State]:
    """The states after more was heard; a row has one for every number of words said."""
    for part in parts:
        if isinstance(part, _Choice):
            rows = [_heard(row, option, said) for option in part.options]
            row = [_best(*states) for states in zip(*rows, strict=True)]
        else:
            for word in normalize(part).split():
                row = _step(row, word, said)
            row = [_State(one.errors, (one.chain, part)) for one in row]
    return row


def _step(row: Sequence[_State], word: str, said: Sequence[str]) -> list[_State]:
    """The usual step of an edit distance: inserted, substituted or right, words left out before."""
    found = [_worse(row[0])]
    for place, one in enumerate(said):
        aligned = row[place] if one == word else _worse(row[place])
        found.append(_best(aligned, _worse(row[place + 1]), _worse(found[-1])))
    return found


def _worse(state: _State) -> _State:
    return _State(state.errors + 1, state.chain)


def _best(*states: _State) -> _State:
    return min(states, key=lambda one: one.errors)  # the first of equal ones
