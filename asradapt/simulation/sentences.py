"""Which sentences of text files are spoken: normalised, of a usable length, decent, none twice.

A text file holds one sentence a line. Nothing here needs more than Python.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from unicodedata import combining
from unicodedata import normalize as decompose

from asradapt.errors import SimulationError, TextError
from asradapt.manifests import read_manifest

# What nobody wants read to them; matched at the beginning of a word.
PROFANITY = re.compile(
    r"\b(fuck|motherfuck|shit|bullshit|bitch|cunt|asshole|dickhead|bastard|whore|slut|nigg|fagg|wank"
    r"|pussy|cock(s|suck)|dick\b|porn|rape|rapist|penis|vagina|boob|tits\b|horny|retard|naked|sex\b|sexy"
    r"|damn|goddamn|piss|crap\b|suicid|kill (my|your|him|her)self)"
)
_FOLDED = str.maketrans(
    {"’": "'", "æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ﬁ": "fi", "ﬂ": "fl"}
)  # where no accent can be taken off
_PROMPT_ID = re.compile(r"^[A-Za-z]?\d+\t")  # as `asradapt prompts` prints it


@dataclass(frozen=True)
class Sentences:
    """What text files hold.

    Attributes:
        files: The usable sentences of each file.
        left_out: How many lines were not usable, by the reason.
    """

    files: list[list[str]]
    left_out: Mapping[str, int]


def normalise(text: str) -> str:
    """Lower case without accents, `[a-z' ]` only, single spaces."""
    folded = "".join(c for c in decompose("NFD", text.lower()) if not combining(c)).translate(_FOLDED)
    plain = re.sub(r"[^a-z' ]", " ", folded)
    return " ".join(word for word in plain.split() if word.strip("'"))


def manifest_texts(manifests: Iterable[Path]) -> set[str]:
    """The normalised texts of manifests."""
    utterances = (u for path in manifests for u in read_manifest(path).utterances)
    return {normalise(u.text) for u in utterances if u.text is not None}


def read_sentences(
    files: Iterable[Path], *, words: tuple[int, int] = (1, 14), excluded: set[str] | None = None
) -> list[list[str]]:
    """The usable sentences of each file, as `sift` finds them."""
    return sift(files, words=words, excluded=excluded).files


def sift(
    files: Iterable[Path], *, words: tuple[int, int] = (1, 14), excluded: set[str] | None = None
) -> Sentences:
    """Read the usable sentences of each file, none twice over all files.

    Args:
        files: UTF-8 text, one sentence a line; a prompt's id and a tab may come first.
        words: Least and most words of a sentence.
        excluded: Normalised sentences that are left out.

    Raises:
        TextError: A file cannot be read.
        SimulationError: No sentence is left.
    """
    seen: set[str] = set()
    left_out: Counter[str] = Counter()
    usable = [list(_usable(_read(path), words, excluded or set(), seen, left_out)) for path in files]
    if not any(usable):
        low, high = words
        raise SimulationError(
            f"no sentence to say: a line needs {low} to {high} words of letters (--words), no digits, no "
            f"profanity, and must not be in an excluded manifest; {_counted(left_out) or 'there is no line'}"
        )
    return Sentences(usable, left_out)


def told(left_out: Mapping[str, int]) -> str:
    """How many lines were left out and why, in one line; empty where none was."""
    if not left_out:
        return ""
    number = sum(left_out.values())
    return f"{number} line{'s' * (number != 1)} left out: {_counted(left_out)}"


def _counted(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in left_out.items())


def _usable(
    text: str, words: tuple[int, int], excluded: set[str], seen: set[str], left_out: Counter[str]
) -> Iterator[str]:
    for line in filter(str.strip, text.splitlines()):
        written = _PROMPT_ID.sub("", line)
        sentence = normalise(written)
        if reason := _reason(written, sentence, words, excluded, seen):
            left_out[reason] += 1
        else:
            seen.add(sentence)
            yield sentence


def _reason(written: str, sentence: str, words: tuple[int, int], excluded: set[str], seen: set[str]) -> str:
    """Why a line is not said; empty where it is."""
    number = len(sentence.split())
    low, high = words
    reasons = {
        "with digits": re.search("[0-9]", written) is not None,
        "without a letter of English": number == 0,
        f"shorter than {low} word{'s' * (low != 1)}": number < low,
        f"longer than {high} words": number > high,
        "with profanity": PROFANITY.search(sentence) is not None,
        "excluded": sentence in excluded,
        "there twice": sentence in seen,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def mix(files: list[list[str]], seed: int) -> Iterator[str]:
    """Yield all sentences, and then all again in another order, without an end.

    A file's turn comes with the square root of its size, so that small ones count.
    """
    turn = 0
    while True:
        yield from _mix_once(files, Random(f"sentences {seed}" if turn == 0 else f"sentences {seed} {turn}"))
        turn += 1


def _mix_once(files: list[list[str]], rng: Random) -> Iterator[str]:
    left = [rng.sample(sentences, len(sentences)) for sentences in files if sentences]
    while left:
        chosen = rng.choices(left, weights=[len(sentences) ** 0.5 for sentences in left])[0]
        yield chosen.pop()
        left = [sentences for sentences in left if sentences]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise TextError(f"{path} cannot be read ({why}): give UTF-8 text with one sentence a line") from error
