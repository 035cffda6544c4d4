"""What in the texts of other recognisers is no word: marks such as `<sil>`, and sclite's alternatives.

Only texts that are read from files go through here. What recognisers put into angle or square brackets is about
the sound (`[noise]`) or about themselves (`<unk>`); round brackets of running text stand around words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

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
_Ints: TypeAlias = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Trace:
    """How the places of a row were reached: N + 1 places, one for every number of words said.

    Attributes:
        word: The word that was heard; empty for a choice.
        came: (N + 1,) for a word the place before it, for a choice the number of the alternative.
        options: The traces of every alternative.
    """

    word: str
    came: _Ints
    options: tuple[tuple[_Trace, ...], ...] = ()


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
    said = np.array(normalize(reference).split(), dtype=np.str_)
    traces = _heard(np.arange(len(said) + 1), parts, said)[1]
    return " ".join(reversed(_back(traces, len(said))[0])), choices


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


def _heard(row: _Ints, parts: Sequence[_Part], said: npt.NDArray[np.str_]) -> tuple[_Ints, tuple[_Trace, ...]]:
    """The errors (N + 1,) after more was heard, and how they came about."""
    traces = []
    for part in parts:
        if isinstance(part, _Choice):
            found = [_heard(row, option, said) for option in part.options]
            rows = np.stack([errors for errors, _ in found])
            row = rows.min(axis=0)
            traces.append(_Trace("", rows.argmin(axis=0), tuple(own for _, own in found)))
        else:
            came = np.arange(len(row))
            for word in normalize(part).split():
                row, places = _step(row, word, said)
                came = came[places]
            traces.append(_Trace(part, came))
    return row, tuple(traces)


def _step(row: _Ints, word: str, said: npt.NDArray[np.str_]) -> tuple[_Ints, _Ints]:
    """The usual step of an edit distance, all places at once: the errors, and the places that they come from."""
    places = np.arange(len(row))
    aligned = np.concatenate([row[:1] + len(row) + 1, row[:-1] + (said != word)])  # never at the first place
    inserted = row + 1
    best, came = np.minimum(aligned, inserted), np.where(aligned <= inserted, places - 1, places)
    # Words left out: from any place before, one error each.
    rising = best - places
    least = np.minimum.accumulate(rising)
    origin = np.maximum.accumulate(np.where(rising == least, places, 0))
    return least + places, came[origin]


def _back(traces: Sequence[_Trace], place: int) -> tuple[list[str], int]:
    """The words that lead to a place, the last one first, and the place where they begin."""
    words: list[str] = []
    for trace in reversed(traces):
        if trace.options:
            more, place = _back(trace.options[int(trace.came[place])], place)
            words += more
        else:
            words.append(trace.word)
            place = int(trace.came[place])
    return words, place
