"""The phrases a speaker uses (names, places, words of one's own) in a small file beside the versions."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from asradapt.errors import DamagedSpeaker, TextError
from asradapt.phrases import STRONGEST, Phrases, read_phrases, strength_of
from asradapt.wording import first_of

VOCABULARY_FILE = "vocabulary.json"
Stamp = tuple[int, int, int]
FORMAT = 1
MOST_PHRASES = 1000
MOST_LETTERS = 80


def checked(phrases: Iterable[str]) -> Phrases:
    """Phrases as they are stored: single spaces, each once whatever its case, in alphabetical order.

    Raises:
        TextError: With the first of the phrases that cannot be used, and how many more there are; or with
            a strength that is none.
    """
    if isinstance(phrases, str):
        raise TextError(f"phrases are a list of texts, not one text: [{phrases[:MOST_LETTERS]!r}]")
    strength = strength_of(phrases)
    if strength is not None and not 0 <= strength <= STRONGEST:  # nan is not in there either
        raise TextError(f"phrases are listened for with a strength from 0 to {STRONGEST:g}, not {strength:g}")
    kept: dict[str, str] = {}
    problems = []
    for phrase in phrases:
        if not isinstance(phrase, str):
            problems.append(f"{phrase!r} is no text")
            continue
        tidy = _tidy(phrase)
        if problem := _problem(tidy):
            problems.append(f"{tidy[:MOST_LETTERS]!r} {problem}")
        else:
            kept.setdefault(_key(tidy), tidy)
    if problems:
        raise TextError(f"phrases that cannot be used: {first_of(problems, '; ')}")
    if len(kept) > MOST_PHRASES:
        raise TextError(f"{len(kept)} phrases are too many; at most {MOST_PHRASES} are listened for")
    return Phrases((phrase for _, phrase in sorted(kept.items())), strength)


def phrases_of(file: Path) -> list[str]:
    """The phrases of a text file, one a line.

    Raises:
        InputError: If it cannot be read.
        TextError: With the first lines that hold a phrase that cannot be used, and how many more there are.
    """
    tidy = {number: _tidy(line) for number, line in read_phrases(file).items()}
    problems = [
        f"line {number}, {phrase[:MOST_LETTERS]!r}, {problem}"
        for number, phrase in tidy.items()
        if (problem := _problem(phrase))
    ]
    if problems:
        raise TextError(f"{file} has phrases that cannot be used: {first_of(problems, '; ')}")
    return list(tidy.values())


def _tidy(phrase: str) -> str:
    """A phrase with single spaces, its letters composed."""
    return " ".join(unicodedata.normalize("NFC", phrase).split())


def _key(phrase: str) -> str:
    """What two phrases that are the same have in common."""
    from asradapt.scoring.normalization import normalize  # brings numpy, which listing speakers must not wait for

    return normalize(phrase)


def _problem(phrase: str) -> str:
    """What is wrong with a phrase; nothing if it can be used."""
    if not _key(phrase):
        return "holds no letter"
    if len(phrase) > MOST_LETTERS:
        return f"has {len(phrase)} characters, at most {MOST_LETTERS} are allowed"
    if any(unicodedata.category(letter)[0] == "N" for letter in phrase):
        return "holds digits (write numbers as words)"
    return ""


def encode(phrases: Iterable[str]) -> bytes:
    """The contents of `vocabulary.json`; versions that know no strength pass over it."""
    content: dict[str, object] = {"format": FORMAT, "phrases": list(phrases)}
    if (strength := strength_of(phrases)) is not None:
        content["strength"] = strength
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def read_vocabulary(path: Path) -> Phrases:
    """The phrases of a file; none where there is no file.

    Raises:
        DamagedSpeaker: If the file is damaged or of another format.
    """
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return Phrases()
    except DamagedSpeaker as error:
        raise DamagedSpeaker(f"{path}: {error}; delete it and add the phrases again") from error


def stamp_of(path: Path) -> Stamp | None:
    """What differs after a file was written again; None where there is no file."""
    try:
        about = path.stat()
    except FileNotFoundError:
        return None
    return about.st_mtime_ns, about.st_size, about.st_ino  # every write makes a new file


def decode(data: bytes) -> Phrases:
    """The phrases in the contents of `vocabulary.json`.

    Raises:
        DamagedSpeaker: If they are damaged or of another format.
    """
    try:
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        if not isinstance(content["phrases"], list):
            raise TypeError("its phrases are no list")
        strength = content.get("strength")
        if strength is not None and (isinstance(strength, bool) or not isinstance(strength, int | float)):
            raise TypeError("its strength is no number")
        return checked(Phrases(content["phrases"], None if strength is None else float(strength)))
    except (ValueError, KeyError, TypeError, OverflowError, TextError, RecursionError) as error:
        raise DamagedSpeaker(f"{VOCABULARY_FILE} cannot be used: {error}") from error
