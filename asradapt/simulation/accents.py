"""Foreign accents of English: pronunciations that a speaker's first language suggests.

An accent is a list of rules on phones (`accent_tables`), gathered from descriptions of what learners do. A
rule fires with the probability of its weight times the speaker's strength, drawn once for each speaker, word
and place: somebody who says "sink" for "think" does so every time. Results come from the phones of English,
since that is what the synthesisers have: a French r or a Hindi retroflex is not among them. Syllable timing
is not done by durations, which no engine takes by the phone, but by vowels that are not reduced ("about" with
a full first vowel), which makes syllables more equal in length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from asradapt.errors import UnknownName
from asradapt.simulation.accent_rules import Rule, parse_rules, replaced
from asradapt.simulation.accent_tables import TABLES
from asradapt.simulation.phones import Phones

if TYPE_CHECKING:
    from asradapt.simulation.voices import PseudoSpeaker


@dataclass(frozen=True)
class Accent:
    """The accent of a first language.

    Attributes:
        name: Of the language, in lower case.
        rules: At each phone the first one that fires counts.
    """

    name: str
    rules: tuple[Rule, ...]

    def pronounce(self, word: str, phones: Phones, *, strength: float, seed: str) -> Phones:
        """How a word is said.

        Args:
            word: Its spelling.
            phones: In English, ARPAbet with stress digits.
            strength: 0 leaves it as it is; 1 fires the rules with their weights.
            seed: Of the speaker.

        Returns:
            Phones, never none.
        """
        said: list[str] = []
        for place in range(len(phones)):
            said += self._at(place, word, phones, strength, seed)
        return tuple(said) or phones

    def _at(self, place: int, word: str, phones: Phones, strength: float, seed: str) -> Phones:
        for number, rule in enumerate(self.rules):
            if not rule.matches(phones, place):
                continue
            # The number is drawn whatever the strength: more strength fires these rules and others.
            if Random(f"accent {seed} {number} {word} {place}").random() < rule.weight * strength:
                result = Random(f"habit {seed} {number}").choice(rule.results)
                return replaced(word, phones, place, result)
        return (phones[place],)


ACCENTS: dict[str, Accent] = {name: Accent(name, parse_rules(table)) for name, table in TABLES.items()}


def find_accent(name: str) -> Accent:
    """The accent of a name.

    Raises:
        UnknownName: Listing the known ones.
    """
    if name not in ACCENTS:
        raise UnknownName("accent", name, ACCENTS)
    return ACCENTS[name]


def words_of(text: str) -> list[str]:
    """The words that have a pronunciation, in lower case."""
    return [word for word in re.findall(r"[a-z']+", text.lower()) if word.strip("'")]


def accented(
    words: Iterable[str], speaker: PseudoSpeaker, pronunciations: Mapping[str, Phones]
) -> dict[str, Phones]:
    """The words that a speaker says in another way than written in a dictionary, and how."""
    if speaker.accent is None:
        return {}
    accent = find_accent(speaker.accent)
    # What tells apart two speakers of one name, from two castings.
    seed = f"{speaker.name} {speaker.tract} {speaker.f0} {accent.name}"
    changed = {}
    for word in sorted({word for word in words if word in pronunciations}):
        phones = pronunciations[word]
        said = accent.pronounce(word, phones, strength=speaker.accent_strength, seed=seed)
        if said != phones:
            changed[word] = said
    return changed
