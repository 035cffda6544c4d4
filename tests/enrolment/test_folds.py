from __future__ import annotations

import random

import pytest

from asradapt.enrolment.folds import speaker_seed, split_folds


def texts_of(count: int, seed: int) -> list[str]:
    """Sentences of four words, some of them read several times, and short commands."""
    chance = random.Random(seed)
    sentences = [f"this is sentence {number}" for number in range(max(2, count // 2))]
    return [chance.choice([*sentences, "yes", "no way"]) for _ in range(count)]


@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", range(8))
def test_every_utterance_is_held_out_exactly_once(folds, seed):
    texts = texts_of(3 + 4 * seed, seed)
    held_out = split_folds(texts, folds, seed)
    assert sorted(index for fold in held_out for index in fold) == list(range(len(texts)))
    assert all(fold for fold in held_out)
    assert len(held_out) <= folds


@pytest.mark.parametrize("seed", range(8))
def test_readings_of_the_same_sentence_stay_together(seed):
    texts = texts_of(30, seed)
    homes: dict[str, set[int]] = {}
    for number, fold in enumerate(split_folds(texts, 3, seed)):
        for index in fold:
            homes.setdefault(texts[index], set()).add(number)
    sentences = {text: folds for text, folds in homes.items() if len(text.split()) >= 4}
    assert len(sentences) > 5
    assert all(len(folds) == 1 for folds in sentences.values())


def test_repeated_commands_are_spread_over_the_folds():
    assert [len(fold) for fold in split_folds(["lights on"] * 9, 3, 0)] == [3, 3, 3]


def test_folds_are_as_even_as_the_sentences_allow():
    texts = [f"this is sentence {number}" for number in range(11)]
    assert sorted(len(fold) for fold in split_folds(texts, 3, 0)) == [3, 4, 4]
    texts = ["the same sentence again"] * 5 + texts[:5]
    assert sorted(len(fold) for fold in split_folds(texts, 2, 0)) == [5, 5]


def test_the_seed_decides_the_folds():
    texts = [f"this is sentence {number}" for number in range(12)]
    assert split_folds(texts, 3, 5) == split_folds(texts, 3, 5)
    assert len({str(split_folds(texts, 3, seed)) for seed in range(10)}) > 5


@pytest.mark.parametrize(
    ("texts", "folds"),
    [([], 0), (["one"], 1), (["one", "two"], 2), (["this is a sentence"] * 5, 1), (["a", "b", "c", "d"], 3)],
)
def test_there_are_no_more_folds_than_different_texts(texts, folds):
    assert len(split_folds(texts, 3, 0)) == folds


def test_a_speakers_seed_is_its_own():
    names = ["ann", "anna", "Ann", "ann a"]
    seeds = [speaker_seed(seed, name) for seed in (0, 1, 10) for name in names]
    assert len(set(seeds)) == len(seeds)
    assert speaker_seed(3, "ann") == speaker_seed(3, "ann")
