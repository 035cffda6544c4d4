"""Which sentences of text files are spoken: normalised, of a usable length, decent, none twice.

A text file holds one sentence a line. Nothing here needs more than Python.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

from asradapt.errors import SimulationError, TextError
from asradapt.manifests import read_manifest

# What nobody wants read to them; matched at the beginning of a word.
PROFANITY = re.compile(
    r"\b(fuck|motherfuck|shit|bullshit|bitch|cunt|asshole|dickhead|bastard|whore|slut|nigg|fagg|wank"
    r"|pussy|cock(s|suck)|dick\b|porn|rape|rapist|penis|vagina|boob|tits\b|horny|retard|naked|sex\b|sexy"
    r"|damn|goddamn|piss|crap\b|suicid|kill (my|your|him|her)self)"
)


def normalise(text: str) -> str:
    """Lower case, `[a-z' ]` only, single spaces."""
    plain = re.sub(r"[^a-z' ]", " ", text.lower().replace("’", "'"))
    return " ".join(word for word in plain.split() if word.strip("'"))


def manifest_texts(manifests: Iterable[Path]) -> set[str]:
    """The normalised texts of manifests."""
    utterances = (u for path in manifests for u in read_manifest(path).utterances)
    return {normalise(u.text) for u in utterances if u.text is not None}


def read_sentences(
    files: Iterable[Path], *, words: tuple[int, int] = (1, 14), excluded: set[str] | None = None
) -> list[list[str]]:
    """Read the usable sentences of each file, none twice over all files.

    Args:
        files: UTF-8 text, one sentence a line.
        words: Least and most words of a sentence.
        excluded: Normalised sentences that are left out.

    Raises:
        TextError: A file cannot be read.
        SimulationError: No sentence is left.
    """
    seen = set(excluded or ())
    usable = []
    for path in files:
        lines = map(normalise, _read(path).splitlines())
        fresh = [line for line in dict.fromkeys(lines) if line not in seen and _is_usable(line, words)]
        seen.update(fresh)
        usable.append(fresh)
    if not any(usable):
        low, high = words
        raise SimulationError(
            f"no sentence to say: a line needs {low} to {high} words of letters (--words), no profanity, and "
            "must not be in an excluded manifest"
        )
    return usable


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
        raise TextError(f"{path} cannot be read ({error}): give UTF-8 text with one sentence a line") from error


def _is_usable(sentence: str, words: tuple[int, int]) -> bool:
    return words[0] <= len(sentence.split()) <= words[1] and not PROFANITY.search(sentence)
