"""How words are pronounced: from a dictionary in cmudict's format, or else as flite would say them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path

from asradapt.errors import SimulationError, TextError
from asradapt.simulation.engines import find_engine
from asradapt.simulation.engines.engine import run_program
from asradapt.simulation.phones import ARPABET, Phones, is_vowel, plain

_WORDS_A_PROCESS = 200
_ENTRY = re.compile(r"(\S+)\s+([A-Z]+[012]?(?: [A-Z]+[012]?)*)\s*(?:#.*)?")
_SCHWAS = {"ax": "AH0", "axr": "ER0", "el": "AH0 L", "em": "AH0 M", "en": "AH0 N"}
# Alone, flite reads it as the name of the letter.
_known: dict[str, Phones | None] = {"a": ("AH0",)}


def look_up(words: Iterable[str], dictionary: Path | None = None) -> dict[str, Phones]:
    """The pronunciations of words, ARPAbet with stress digits.

    Args:
        words: Lower case, `[a-z']`.
        dictionary: As cmudict: a word and its phones a line. Of several pronunciations the first counts.

    Returns:
        By word; a word that neither the dictionary nor flite knows is left out. Without a dictionary stress
        is a guess (flite does not tell it): the first full vowel.

    Raises:
        SimulationError: There is no dictionary and flite is not installed.
        TextError: The dictionary cannot be read or is none.
    """
    wanted = sorted(set(words))
    written = read_dictionary(dictionary) if dictionary else {}
    missing = [word for word in wanted if word not in written]
    if missing and (dictionary is None or find_engine("flite").installed()):
        _ask_flite([word for word in missing if word not in _known])
    found = {word: written.get(word) or _known.get(word) for word in wanted}
    return {word: phones for word, phones in found.items() if phones}


@lru_cache(maxsize=2)
def read_dictionary(path: Path) -> dict[str, Phones]:
    """Read a dictionary in cmudict's format.

    Raises:
        TextError: It cannot be read, or holds no pronunciation.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise TextError(f"the dictionary {path} cannot be read: {error.strerror or error}") from error
    entries: dict[str, Phones] = {}
    for line in lines:
        if found := _ENTRY.fullmatch(line):
            phones = tuple(found[2].split())
            if ARPABET.issuperset(map(plain, phones)):
                entries.setdefault(found[1].lower(), phones)
    if not entries:
        raise TextError(f"{path} is no dictionary: a line is a word and its phones, as in `think  TH IH1 NG K`")
    return entries


def require_pronunciations(dictionary: Path | None) -> None:
    """Check that something tells how words are pronounced.

    Raises:
        SimulationError: There is no dictionary and flite is not installed.
    """
    if dictionary is None and not find_engine("flite").installed():
        raise _nothing_tells("words, which accents need")


def _nothing_tells(what: str) -> SimulationError:
    return SimulationError(
        f"nothing tells how to pronounce {what}: give a dictionary (cmudict's format), or on Debian: "
        "apt-get install flite"
    )


def _ask_flite(words: Sequence[str]) -> None:
    """Put what flite says into `_known`, None where it says something else than one word."""
    if not words:
        return
    if not find_engine("flite").installed():
        raise _nothing_tells(repr(words[0]))
    for start in range(0, len(words), _WORDS_A_PROCESS):
        some = words[start : start + _WORDS_A_PROCESS]
        said = _flite(some)
        if len(said) != len(some):  # a word that is read as two, or as none
            said = [one[0] if len(one := _flite([word])) == 1 else None for word in some]
        _known.update(zip(some, said, strict=True))


def _flite(words: Sequence[str]) -> list[Phones | None]:
    """What flite says between its pauses, of which a comma makes one."""
    printed = run_program(["flite", "-ps", "-t", ", ".join(words), "-o", "none"]).decode()
    return [_stressed(part.split()) for part in re.split(r"\bpau\b", printed) if part.strip()]


def _stressed(sounds: Sequence[str]) -> Phones | None:
    phones = " ".join(_SCHWAS.get(sound, sound.upper()) for sound in sounds).split()
    if not ARPABET.issuperset(map(plain, phones)):
        return None
    bare = [place for place, phone in enumerate(phones) if is_vowel(phone) and phone == plain(phone)]
    for place in bare:
        phones[place] += "1" if place == bare[0] else "0"
    return tuple(phones)
