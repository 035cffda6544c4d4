"""How strongly a speaker's phrases are listened for: the choice, and what it is made from."""

from __future__ import annotations

import pytest

from asradapt.phrase_tuning import STRENGTHS, TriedStrength, best_strength, occurrences
from asradapt.phrases import Phrases
from asradapt.scoring import ErrorCounts


def tried(**wrong: list[int]) -> list[TriedStrength]:
    """All strengths, with one wrong word in each of ten recordings unless `s75=[...]` says otherwise."""
    found = []
    for strength in STRENGTHS:
        own = tuple(wrong.get(f"s{round(100 * strength)}", [1] * 10))
        found.append(TriedStrength(strength, ErrorCounts(sum(own), 0, 0, 100, 0, 0), 9, 5, 0, own))
    return found


def test_whole_words_are_counted_at_every_place():
    text = "zoe miller met zoe millers and zoe miller miller"
    assert occurrences(text, ["zoe miller", "miller", "riga"]) == {"zoe miller": 2, "miller": 3, "riga": 0}
    assert occurrences("Zoë, Zoe!", ["Zoë"]) == {"Zoë": 2}


def test_the_usual_strength_stays_unless_another_is_better_beyond_chance():
    assert best_strength(tried()) == (None, 1.0)
    assert best_strength(tried(s75=[0] * 4 + [1] * 6))[0] is None  # four of four: 6% of chance, 2% are allowed
    assert best_strength(tried(s75=[0] * 7 + [1] * 3)) == (0.75, 2**-7)
    assert best_strength(tried(s0=[0] * 8 + [1] * 2, s75=[0] * 7 + [1] * 3))[0] == 0.0
    assert best_strength(tried(s75=[2] * 10))[0] is None


@pytest.mark.parametrize(
    ("here", "there", "kept"), [(None, 0.25, 0.25), (1.0, 0.25, 1.0), (0.0, 0.25, 0.0), (None, None, None)]
)
def test_a_strength_that_is_here_stays(here, there, kept):
    both = Phrases(["riga"], here).with_more(Phrases(["oslo"], there))
    assert (both, both.strength) == (("riga", "oslo"), kept)
