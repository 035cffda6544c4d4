"""How engines are told the pronunciation of words: beside the text, by spelling, or inside it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from asradapt.simulation.engines.engine import Line
from asradapt.simulation.phones import Phones, is_vowel, plain, stress

_WORD = re.compile(r"([A-Za-z']+)")


def _same(text: str) -> str:
    return text


def marked(line: Line, mark: Callable[[Phones], str], escape: Callable[[str], str] = _same) -> str:
    """The text, with `mark(phones)` in the place of every word that has phones."""
    phones = line.phones or {}
    parts = _WORD.split(line.text)  # words are at odd places
    return "".join(mark(phones[part.lower()]) if part.lower() in phones else escape(part) for part in parts)


def respelt(line: Line) -> tuple[str, dict[str, Phones]]:
    """The text, and the phones by a spelling without apostrophes, at which tokenisers cut words."""
    phones = line.phones or {}
    taken = {word.lower() for word in _WORD.findall(line.text)}
    spellings = {}
    for word in phones:
        spelling = word.replace("'", "")
        while spelling != word and spelling in taken:
            spelling += "h"
        spellings[word] = spelling
        taken.add(spelling)
    parts = _WORD.split(line.text)
    text = "".join(spellings.get(part.lower(), part) for part in parts)
    return text, {spellings[word]: phones[word] for word in phones}


def radio(phones: Phones) -> str:
    """In the phone set of flite and festival: lower case, stress 0 or 1, a schwa of its own."""
    return " ".join(_radio(phone) for phone in phones)


def _radio(phone: str) -> str:
    if phone == "AH0":
        return "ax0"
    return plain(phone).lower() + (stress(phone) and str(int(stress(phone) != "0")))


def table(pairs: str) -> dict[str, str]:
    """Signs by phone, written as `AA=A: AE=a`."""
    return dict(pair.split("=") for pair in pairs.split())


def translated(phones: Phones, signs: Mapping[str, str], marks: Mapping[str, str], between: str = "") -> str:
    """In another alphabet, with a stress mark before a vowel; the signs may name `AH0` and `ER0` apart."""
    said = []
    for phone in phones:
        mark = marks.get(stress(phone), "") if is_vowel(phone) else ""
        said.append(mark + (signs.get(phone) or signs[plain(phone)]))
    return between.join(said)
