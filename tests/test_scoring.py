"""Error counts against hand-computed values, the normaliser, the bootstrap's sanity, and the exact test."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from asradapt.errors import UsageError
from asradapt.scoring import (
    NORMALIZER,
    ErrorCounts,
    Interval,
    normalize,
    paired_bootstrap,
    score,
    sign_flip,
    total,
)


def words(errors: int, length: int) -> ErrorCounts:
    """Counts with the same number of word and character errors."""
    return ErrorCounts(errors, 0, 0, length, errors, length)


# Normalisation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello,  World!\n", "hello world"),
        ("don’t DON‘T donʼt don´t don`t don＇t", "don't don't don't don't don't don't"),
        ("well-known – and—so ‐ on", "well known and so on"),
        ("'tis the dogs' bone", "'tis the dogs' bone"),
        ("' '' 'twas ''quoted''", "'twas quoted"),
        ("5'10 90' '90s", "5 10 90 '90s"),
        ("3.5 is not three", "3 5 is not three"),
        ("ＦＵＬＬ ﬁne", "full fine"),
        ("Zoe\u0308 ZOË", "zoë zoë"),
        ("Straße", "straße"),
        ("Donau\u00adschiff\ufeff", "donauschiff"),
        ("a\u200bb", "a b"),
        ("नमस्ते, दुनिया!", "नमस्ते दुनिया"),
        ("日本語。テスト", "日本語 テスト"),
        ("snake_case 50% €3 🙂 a@b", "snake case 50 3 a b"),
        ("\u0301 \u0301a", "a"),
        ("...", ""),
        ("", ""),
    ],
)
def test_normalize(text: str, expected: str) -> None:
    assert normalize(text) == expected


def test_normalizing_twice_changes_nothing() -> None:
    generator = random.Random(0)
    pool = "aB'’ \u0301\u0308\u00ad\u200b-_½²ﬁİΣ´`5日नि\n" + "".join(map(chr, range(0x20, 0x700)))
    for _ in range(2000):
        once = normalize("".join(generator.choices(pool, k=12)))
        assert normalize(once) == once


def test_the_normalizer_has_a_name() -> None:
    assert NORMALIZER == "asradapt-basic-1"


# Counts


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("the cat sat", "the cat sat", ErrorCounts(0, 0, 0, 3, 0, 11)),
        ("The cat sat.", "the CAT, sat", ErrorCounts(0, 0, 0, 3, 0, 11)),
        ("the cat sat", "the bat sat", ErrorCounts(1, 0, 0, 3, 1, 11)),
        ("the cat sat", "the sat", ErrorCounts(0, 1, 0, 3, 4, 11)),
        ("the cat sat", "oh the cat sat", ErrorCounts(0, 0, 1, 3, 3, 11)),
        ("a b c d", "b x d e", ErrorCounts(1, 1, 1, 4, 4, 7)),
        ("a b", "c d e f", ErrorCounts(2, 0, 2, 2, 6, 3)),
        ("", "", ErrorCounts(0, 0, 0, 0, 0, 0)),
        ("", "two words", ErrorCounts(0, 0, 2, 0, 9, 0)),
        ("two words", "", ErrorCounts(0, 2, 0, 2, 9, 9)),
        ("?!", "...", ErrorCounts(0, 0, 0, 0, 0, 0)),
        ("Zoë", "Zoe\u0308", ErrorCounts(0, 0, 0, 1, 0, 3)),
        ("日本 語", "日木 語", ErrorCounts(1, 0, 0, 2, 1, 4)),
    ],
)
def test_score(reference: str, hypothesis: str, expected: ErrorCounts) -> None:
    assert score(reference, hypothesis) == expected


def test_rates_of_an_empty_reference() -> None:
    assert (score("", "").wer, score("", "").cer) == (0.0, 0.0)
    assert (score("", "a b").wer, score("", "a b").cer) == (1.0, 1.0)


def test_rates_may_exceed_one() -> None:
    assert score("a", "b c d").wer == 3.0


def test_total_sums_counts_and_does_not_average_rates() -> None:
    counts = [score("yes", "no"), score("one two three four five six seven eight nine", "") + words(0, 0)]
    summed = total([*counts, words(0, 90)])
    assert (summed.errors, summed.words) == (10, 100)
    assert summed.wer == pytest.approx(0.1)
    assert total([]) == ErrorCounts.zero()


def test_as_dict() -> None:
    counts = ErrorCounts(1, 2, 3, 12, 5, 50)
    assert counts.as_dict() == {
        "wer": 0.5,
        "cer": 0.1,
        "substitutions": 1,
        "deletions": 2,
        "insertions": 3,
        "words": 12,
        "character_errors": 5,
        "characters": 50,
    }


# Bootstrap


def test_identical_systems_have_no_interval() -> None:
    counts = [words(i % 3, 10) for i in range(20)]
    interval = paired_bootstrap(counts, counts)
    assert interval == Interval(0.0, None, None, 0.95, 0.5)


def test_a_big_improvement_lies_below_zero() -> None:
    before, after = [words(5, 10)] * 15 + [words(3, 10)] * 15, [words(1, 10)] * 30
    interval = paired_bootstrap(before, after)
    assert interval.difference == pytest.approx(-0.3)
    assert interval.low is not None
    assert interval.high is not None
    assert interval.low < -0.3 < interval.high < 0
    assert interval.probability_better == 1.0
    assert interval.as_dict() == {"wer": interval.difference, "low": interval.low, "high": interval.high}


def test_swapping_the_systems_mirrors_the_interval() -> None:
    before, after = [words(i % 4, 8) for i in range(25)], [words(i % 3, 8) for i in range(25)]
    there, back = paired_bootstrap(before, after), paired_bootstrap(after, before)
    assert there.low == pytest.approx(-(back.high or 0))
    assert there.probability_better == pytest.approx(1 - (back.probability_better or 0))


def test_the_seed_decides() -> None:
    before, after = [words(i % 4, 8) for i in range(25)], [words(i % 3, 8) for i in range(25)]
    assert paired_bootstrap(before, after, seed=1) == paired_bootstrap(before, after, seed=1)
    assert paired_bootstrap(before, after, seed=1) != paired_bootstrap(before, after, seed=2)


def test_pairing_matters() -> None:
    before = [words(i % 10, 10) for i in range(40)]
    after = [words(max(0, i % 10 - 1), 10) for i in range(40)]
    paired, unpaired = paired_bootstrap(before, after), paired_bootstrap(before, after[::-1])
    assert paired.difference == pytest.approx(unpaired.difference)
    assert (paired.high or 0) < 0 < (unpaired.high or 0)


def test_the_difference_is_pooled() -> None:
    before, after = [words(1, 1), words(0, 99)], [words(0, 1), words(0, 99)]
    assert paired_bootstrap(before, after).difference == pytest.approx(-0.01)


def test_characters() -> None:
    before, after = [ErrorCounts(0, 0, 0, 2, 4, 10)] * 3, [ErrorCounts(0, 0, 0, 2, 1, 10)] * 3
    interval = paired_bootstrap(before, after, unit="characters")
    assert interval.as_dict() == {"cer": pytest.approx(-0.3), "low": None, "high": None}


@pytest.mark.parametrize("utterances", [0, 1])
def test_too_few_utterances_have_no_interval(utterances: int) -> None:
    interval = paired_bootstrap([words(1, 2)] * utterances, [words(0, 2)] * utterances)
    assert (interval.low, interval.high, interval.probability_better) == (None, None, None)
    assert interval.difference == -0.5 * utterances


def test_empty_references_do_not_divide_by_zero() -> None:
    interval = paired_bootstrap([score("", "a")] * 2, [score("", "")] * 2)
    assert interval.difference == -1.0
    assert (interval.low, interval.high) == (None, None)  # all resamples agree, which is no proof of anything


def test_many_utterances_are_drawn_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    before, after = [words(i % 4, 8) for i in range(25)], [words(i % 3, 8) for i in range(25)]
    whole = paired_bootstrap(before, after, samples=100)
    monkeypatch.setattr("asradapt.scoring.bootstrap._DRAWN_AT_ONCE", 70)
    assert paired_bootstrap(before, after, samples=100) == whole


def test_all_problems_are_reported_at_once() -> None:
    with pytest.raises(UsageError, match=r"2 utterances before and 1 after.*samples is 0.*level is 95"):
        paired_bootstrap([words(0, 1)] * 2, [words(0, 1)], samples=0, level=95)


def test_other_utterances_are_refused() -> None:
    with pytest.raises(UsageError, match=r"1 utterances differ .* position 1"):
        paired_bootstrap([words(0, 1), words(0, 2)], [words(0, 1), words(0, 3)])


def test_unknown_unit() -> None:
    with pytest.raises(UsageError, match="'phones'; use 'words' or 'characters'"):
        paired_bootstrap([], [], unit="phones")  # type: ignore[arg-type]


# Sign-flip test


@pytest.mark.parametrize(
    ("differences", "chance"),
    [
        ([], 1.0),
        ([0, 0, 0], 1.0),
        ([-1], 1 / 2),
        ([1], 1.0),
        ([-3, -1, -2, -1, -5], 1 / 32),  # all five better: one pattern of 2 ** 5
        ([-3, 0, -1, -2, 0, -1, -5, 0], 1 / 32),  # what does not differ says nothing
        ([3, 1, 2, 1, 5], 1.0),
        ([-1, -1], 1 / 4),
        ([-1, 1], 3 / 4),  # sums 2, 0, 0, -2 against 0
        ([-2, 1], 2 / 4),  # 3, 1, -1, -3 against -1
        ([-1, -1, 1], 4 / 8),  # 3, three times 1, three times -1, -3 against -1
        ([-5, -1, -1, 1], 4 / 16),  # one sum of -8 and three of -6 against -6
    ],
)
def test_the_chance_of_a_difference_by_hand(differences: list[int], chance: float) -> None:
    patterns = [sum(signs) for signs in itertools.product(*[(d, -d) for d in differences if d])]
    assert sum(found <= sum(differences) for found in patterns) / len(patterns) == chance
    assert sign_flip(differences) == chance


def test_chance_is_never_below_that_of_all_signs() -> None:
    for count in range(1, 15):
        assert sign_flip([-1000] * count) == 2.0**-count


def test_symmetric_differences_are_as_likely_as_not() -> None:
    for differences in ([-1, 1, -2, 2], [-3, 3], [-1, 1] * 20):
        assert 0.5 <= sign_flip(differences) < 0.8


def test_many_differences_are_sampled_close_to_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(0)
    differences = [generator.choice([-3, -2, -1, -1, 1, 2]) for _ in range(14)]
    exact = sign_flip(differences)
    assert 0.01 < exact < 0.3
    monkeypatch.setattr("asradapt.scoring.permutation.EXACT_UP_TO", 5)
    sampled = [sign_flip(differences, samples=20_000, seed=seed) for seed in (1, 1, 2)]
    assert sampled[0] == sampled[1] != sampled[2]
    assert sampled == pytest.approx([exact] * 3, abs=0.01)
    assert sign_flip([-1] * 60, samples=999) == 1 / 1000  # chance is never said to be zero


def test_chance_alone_is_below_a_level_no_more_often_than_the_level() -> None:
    generator = np.random.default_rng(0)
    for count in (4, 10):
        drawn = generator.poisson(3, (1500, count)) - generator.poisson(3, (1500, count))
        chances = np.array([sign_flip(row.tolist()) for row in drawn])
        for level in (0.05, 0.1, 0.3):
            slack = 3 * (level * (1 - level) / len(drawn)) ** 0.5
            assert (chances <= level).mean() <= level + slack
        assert (chances <= 0.3).mean() > 0.15  # and it does not refuse everything either
