"""Rules of an accent, in a phonologist's notation: what becomes of a phone between which neighbours.

    T,D > 0 / CONSONANT _ #        0.5   cold

The left side is a comma list of phones, with a stress digit where only that stress is meant. The right side
is another list of the same length, or one result for all: phones, `0` for nothing, `&` for the phone itself
(`& UH` puts a vowel behind it), `SPELT` for the full vowel that the spelling suggests; `|` divides results of
which a speaker has one. Behind the slash stand the neighbours: `#` the end of the word, `VOWEL`, `CONSONANT`,
`VOICELESS`, `OBSTRUENT`, or a comma list of these and of phones. Then the weight, and a word that it changes.

Rules look at the neighbours in English, never at what other rules made of them, so that an accent that fires
more often changes more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby

from asradapt.simulation.phones import (
    ARPABET,
    CONSONANTS,
    OBSTRUENTS,
    VOICELESS,
    VOWELS,
    Phones,
    is_vowel,
    plain,
    stress,
)

EDGE = "#"
SPELT = "SPELT"
_CLASSES = {"VOWEL": VOWELS, "CONSONANT": CONSONANTS, "VOICELESS": VOICELESS, "OBSTRUENT": OBSTRUENTS}
_SPELT_VOWELS = {"a": "AA", "e": "EH", "i": "IH", "o": "AO", "u": "UH", "y": "IH"}
_NOTATION = re.compile(
    r"(?P<old>\S+) > (?P<new>.+?)(?: / (?P<left>\S*) ?_ ?(?P<right>\S*))?"
    r"\s+(?P<weight>[01]\.\d+)\s+(?P<word>[a-z]+)"
)


@dataclass(frozen=True)
class Rule:
    """What becomes of one phone.

    Attributes:
        phone: Of English; without a stress digit a vowel of any stress.
        results: Phones in its place; a speaker has one of them.
        left: Phones, or `#`, of which one stands before it; None for any.
        right: The same behind it.
        weight: Probability with which it fires at full strength.
        word: One that it changes.
    """

    phone: str
    results: tuple[Phones, ...]
    left: frozenset[str] | None
    right: frozenset[str] | None
    weight: float
    word: str

    def matches(self, phones: Phones, place: int) -> bool:
        """Whether the phone at a place of a word is meant."""
        if self.phone not in (phones[place], plain(phones[place])):
            return False
        before = plain(phones[place - 1]) if place else EDGE
        after = plain(phones[place + 1]) if place + 1 < len(phones) else EDGE
        return (self.left is None or before in self.left) and (self.right is None or after in self.right)


def parse_rules(text: str) -> tuple[Rule, ...]:
    """The rules of a table, one or more a line.

    Raises:
        ValueError: A line that is no rule.
    """
    return tuple(rule for line in text.strip().splitlines() for rule in _parse(line.strip()))


def _parse(line: str) -> list[Rule]:
    found = _NOTATION.fullmatch(line)
    if not found:
        raise ValueError(f"no rule: {line!r}")
    left, right = (None if not found[side] else _neighbours(found[side]) for side in ("left", "right"))
    old = found["old"].split(",")
    rules = []
    for number, phone in enumerate(old):
        results = tuple(_result(one, phone, number, len(old)) for one in found["new"].split("|"))
        rules.append(Rule(_known(phone), results, left, right, float(found["weight"]), found["word"]))
    return rules


def _neighbours(text: str) -> frozenset[str]:
    names = text.split(",")
    return frozenset().union(*(_CLASSES.get(name) or {name if name == EDGE else _known(name)} for name in names))


def _result(text: str, phone: str, number: int, count: int) -> Phones:
    each = text.strip().split(",")
    if len(each) not in (1, count):
        raise ValueError(f"{len(each)} results for {count} phones: {text!r}")
    names = each[number if len(each) > 1 else 0].split()
    return tuple(phone if name == "&" else _known(name) for name in names if name != "0")


def _known(phone: str) -> str:
    if plain(phone) not in ARPABET and phone != SPELT:
        raise ValueError(f"no phone of English: {phone!r}")
    return phone


def replaced(word: str, phones: Phones, place: int, result: Phones) -> Phones:
    """What stands in the place of a phone: its stress goes to the first vowel, further vowels have none."""
    old, said = phones[place], []
    left = stress(old)
    for phone in result:
        name = spelt_vowel(word, phones, place) if phone == SPELT else phone
        if name is None:
            return (old,)
        if is_vowel(name) and not stress(name):
            name, left = plain(name) + (left or "0"), "0"
        said.append(name)
    return tuple(said)


def spelt_vowel(word: str, phones: Phones, place: int) -> str | None:
    """The full vowel for which a reduced one is written; None where letters and vowels do not agree in number."""
    letters = ["".join(group) for vowel, group in groupby(word, "aeiouy".__contains__) if vowel]
    vowels = [number for number, phone in enumerate(phones) if is_vowel(phone)]
    if len(letters) == len(vowels) + 1 and word.endswith("e"):
        letters.pop()  # silent
    if len(letters) != len(vowels) or place not in vowels:
        return None
    return _SPELT_VOWELS[letters[vowels.index(place)][0]]
