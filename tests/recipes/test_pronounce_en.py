"""The recipe of the pronunciations that ship."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from train_pronouncer import PHONES, read_counts, read_dictionary, right, split, train

from asradapt.language.pronouncing import Pronouncer, load_pronouncer

RECIPE = Path(__file__).parents[2] / "recipes" / "pronounce_en" / "train_pronouncer.py"
DICTIONARY = """a AH0
a(2) EY1
ad AE1 D
bad B AE1 D # a comment
bid B IH1 D
did D IH1 D
dab D AE1 B
it's IH1 T S
r2 AA1 R T UW1
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cmudict.dict").write_text(DICTIONARY)
    (tmp_path / "some.txt").write_text("a bad bid\na dab\n")
    (tmp_path / "more.txt").write_text("it's bad\n")
    return tmp_path


def test_first_pronunciations_without_stress(folder: Path) -> None:
    words = read_dictionary(folder / "cmudict.dict")
    assert {word: [PHONES[phone] for phone in phones] for word, phones in words.items()} == {
        "a": ["AH"],
        "ad": ["AE", "D"],
        "bad": ["B", "AE", "D"],
        "bid": ["B", "IH", "D"],
        "did": ["D", "IH", "D"],
        "dab": ["D", "AE", "B"],
        "it's": ["IH", "T", "S"],
    }


def test_frequent_words_are_learned_and_none_is_in_both_parts(folder: Path) -> None:
    words = read_dictionary(folder / "cmudict.dict") | {f"b{'a' * n}d": [1] for n in range(2, 30)}
    learn, held = split(words, Counter({"a": 9, "bad": 9}), random.Random(0))
    assert len(held) == len(words) // 10
    assert not set(learn) & set(held)
    assert set(learn) | set(held) == set(words)
    assert {"a", "bad"} <= set(learn)


def test_words_are_learned(folder: Path) -> None:
    words = read_dictionary(folder / "cmudict.dict")
    pronouncer = Pronouncer(train(words, sorted(words), read_counts(folder), 60, 0), PHONES)
    assert right(pronouncer, words, sorted(words)) == 1.0


def test_shares_are_of_words_or_of_what_is_said(folder: Path) -> None:
    words = {"a": [PHONES.index("AH")], "b": [PHONES.index("B"), PHONES.index("IY")]}

    class Half:
        def pronounce(self, word: str) -> tuple[str, ...]:
            return ("AH",)

    assert right(Half(), words, ["a", "b"]) == 0.5  # type: ignore[arg-type]
    assert right(Half(), words, ["a", "b"], Counter(a=3, b=1)) == 0.75  # type: ignore[arg-type]


def test_the_recipe_writes_a_file_that_is_read(folder: Path) -> None:
    out = folder / "out.safetensors"
    command = [sys.executable, str(RECIPE), str(folder), "--updates", "2", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "running words of the texts right" in done.stdout
    assert load_pronouncer(out).phones == PHONES
