"""The parts of the measuring tools that decide what is counted where."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from simulated_ranking import pseudo_speakers, ranks, spearman
from source_report import group, groups, write_card

from asradapt.scoring import ErrorCounts, score
from asradapt.simulation.accents import ACCENTS
from asradapt.simulation.impediments import IMPEDIMENTS
from asradapt.types import Utterance


def person(gender: str, age: str) -> Utterance:
    return Utterance(Path("a.wav"), "text", "ann", fields={"gender": gender, "age": age})


def one(gender: str, age: str) -> tuple[Utterance, ErrorCounts]:
    return person(gender, age), score("a b", "a c")


@pytest.mark.parametrize(
    ("gender", "age", "expected"),
    [
        ("f", "15", "girls"),
        ("f", "16", "women"),
        ("m", "6", "boys"),
        ("Male", "43", "men"),
        ("", "7", "not known"),
    ],
)
def test_groups_by_gender_and_age(gender: str, age: str, expected: str) -> None:
    assert group(person(gender, age)) == expected


def test_children_and_adults_are_the_sums_of_their_genders() -> None:
    found = groups([one("f", "7"), one("m", "8"), one("m", "9"), one("f", "30")])
    assert {name: len(chosen) for name, chosen in found.items()} == {
        "children": 3, "adults": 1, "girls": 1, "boys": 2, "women": 1,
    }  # fmt: skip


def test_card_gets_errors_in_percent_and_keeps_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"name": "m", "card": {"language": "en"}}))
    write_card({"set test": [one("f", "7"), one("m", "8")]}, path)
    content = json.loads(path.read_text())
    assert content["card"] == {"language": "en", "errors": {"set test": {"wer": 50.0, "cer": 33.3}}}


def test_rank_correlation() -> None:
    assert ranks([0.3, 0.1, 0.3]) == [1.5, 0.0, 1.5]
    assert spearman([1, 2, 3, 4], [10, 20, 30, 40]) == pytest.approx(1.0)
    assert spearman([1, 2, 3, 4], [4, 3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 2, 3, 4], [2, 1, 4, 3]) == pytest.approx(0.6)


def test_a_trait_is_one_person_in_all_strengths() -> None:
    people = pseudo_speakers([0.5, 1.0])
    assert len(people) == 1 + 2 * (len(ACCENTS) + len(IMPEDIMENTS))
    for trait in ACCENTS:
        half, whole = (speaker for name, _, speaker in people if name == trait)
        assert replace(half, accent_strength=1.0) == whole
