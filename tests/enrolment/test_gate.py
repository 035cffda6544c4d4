from __future__ import annotations

import random

import pytest

from asradapt.enrolment.gate import Verdict, decide
from asradapt.scoring import ErrorCounts


def counts(*errors: int, characters: int = 40, per_word: int = 4) -> list[ErrorCounts]:
    """Utterances of 40 characters in 10 words with so many wrong characters, each in a word of its own."""
    return [ErrorCounts(min(e, 10), 0, 0, characters // per_word, e, characters) for e in errors]


def verdict(before: list[ErrorCounts], after: list[ErrorCounts], confidence: float = 0.95) -> Verdict:
    return decide(before, after, confidence=confidence, seed=0)


def test_a_planted_improvement_is_accepted():
    found = verdict(counts(4, 5, 3, 6, 4, 5), counts(1, 2, 1, 2, 2, 1))
    assert found.accepted
    assert found.explanation.startswith(
        "adapted: on held-out recordings the word error rate goes from 45.0% to 15.0%"
    )
    assert f"chance alone does as well in {found.chance:.1%} of cases" in found.explanation
    assert found.words.difference < 0
    assert found.words.unit == "words"
    assert found.chance == 1 / 64  # six of six better
    assert found.before == tuple(counts(4, 5, 3, 6, 4, 5))
    assert found.after == tuple(counts(1, 2, 1, 2, 2, 1))


def test_no_change_is_rejected_however_little_confidence_is_asked_for():
    for confidence in (0.5, 0.95):
        found = verdict(counts(4, 5, 3), counts(4, 5, 3), confidence)
        assert not found.accepted
        assert found.explanation.startswith("the source is kept")
        assert "no improvement" in found.explanation


def test_worse_is_rejected():
    found = verdict(counts(1, 2, 1, 2, 2, 1), counts(4, 5, 3, 6, 4, 5))
    assert not found.accepted
    assert "from 15.0% to 45.0%, no improvement" in found.explanation


def test_what_may_be_chance_is_rejected_and_says_so():
    found = verdict(counts(4, 1, 4, 2, 3), counts(2, 3, 3, 3, 2))
    assert found.words.difference < 0
    assert not found.accepted
    assert "may be chance; more recordings would tell" in found.explanation


@pytest.mark.parametrize("wrong", [40, 30])
def test_fewer_wrong_words_with_no_fewer_wrong_letters_are_no_matter_of_more_recordings(wrong):
    before = [ErrorCounts(0, 0, 20, 10, 30, 40)] * 6
    after = [ErrorCounts(0, 10, 0, 10, wrong, 40)] * 6
    found = verdict(before, after)
    assert not found.accepted
    assert f"no fewer wrong letters, which decide (75.0% before, {wrong / 40:.1%} after)" in found.explanation
    assert "although on held-out recordings the word error rate goes from 200.0% to 100.0%" in found.explanation
    assert "chance" not in found.explanation


def test_fewer_wrong_letters_in_more_wrong_words_are_rejected():
    before = [ErrorCounts(1, 0, 0, 10, 9, 40)] * 6
    after = [ErrorCounts(2, 0, 0, 10, 4, 40)] * 6
    found = verdict(before, after)
    assert not found.accepted
    assert "fewer wrong letters, but" in found.explanation
    assert "from 10.0% to 20.0%" in found.explanation


def test_a_word_more_among_fewer_wrong_letters_is_overlooked():
    before = [ErrorCounts(wrong, 0, 0, 10, 9, 40) for wrong in (3, 2, 3, 2, 3, 2)]
    after = [ErrorCounts(wrong, 0, 0, 10, 4, 40) for wrong in (2, 3, 3, 3, 3, 2)]
    found = verdict(before, after)
    assert found.accepted
    assert found.explanation == (
        "adapted: of the letters 22.5% were wrong and 10.0% are (chance alone does as well in 1.6% of cases); on "
        "held-out recordings the word error rate goes from 25.0% to 26.7%, by 1 word"
    )


@pytest.mark.parametrize(
    ("rises", "accepted"), [((1, 1), False), ((9,), False), ((5, -4), True), ((1, -1, 2), False)]
)
def test_no_more_than_a_single_word_is_overlooked(rises, accepted):
    before = [ErrorCounts(5, 0, 0, 20, 9, 80)] * 6
    after = [ErrorCounts(5 + rise, 0, 0, 20, 4, 80) for rise in (*rises, *[0] * (6 - len(rises)))]
    assert verdict(before, after).accepted == accepted
    assert not decide(before, after, confidence=0.95, seed=0, overlooked=0).accepted


def test_fewer_wrong_letters_in_as_many_wrong_words_are_accepted():
    assert verdict([ErrorCounts(2, 0, 0, 10, 9, 40)] * 6, [ErrorCounts(2, 0, 0, 10, 4, 40)] * 6).accepted


def test_a_source_without_errors_is_kept():
    found = verdict(counts(0, 0, 0), counts(0, 0, 1))
    assert not found.accepted
    assert "it makes no error" in found.explanation


def test_one_utterance_proves_nothing():
    assert not verdict(counts(10), counts(0)).accepted


def test_the_seed_makes_the_verdict_repeatable():
    before, after = counts(4, 1, 4, 2, 3), counts(2, 3, 3, 3, 2)
    assert decide(before, after, confidence=0.9, seed=4) == decide(before, after, confidence=0.9, seed=4)


def test_more_confidence_accepts_less():
    before, after = counts(4, 1, 4, 2, 3), counts(2, 2, 2, 2, 2)
    chance = verdict(before, after).chance
    assert chance == 3 / 16  # of +-2 +-1 +-2 +-1, one sum is -6 and two are -4
    assert verdict(before, after, 1 - chance - 1e-6).accepted
    assert not verdict(before, after, 1 - chance + 1e-6).accepted


@pytest.mark.parametrize(
    ("before", "after", "chance"),
    [
        ((4, 4, 4), (3, 3, 4), 1 / 4),  # a bootstrap of these three gives 96% for better
        ((4, 4, 4), (0, 0, 0), 1 / 8),
        ((4, 4, 4, 4), (3, 3, 4, 4), 1 / 4),
        ((4, 4, 4, 4), (0, 0, 0, 0), 1 / 16),  # whatever four say, it is not enough for 0.95
    ],
)
def test_a_few_better_utterances_may_be_chance(before, after, chance):
    found = verdict(counts(*before), counts(*after))
    assert found.chance == chance
    assert not found.accepted
    assert "may be chance; more recordings would tell" in found.explanation


def test_the_least_that_can_pass():
    assert verdict(counts(4, 4, 4, 4), counts(3, 3, 3, 3), confidence=0.9).accepted
    assert verdict(counts(4, 4, 4, 4, 4), counts(3, 3, 3, 3, 3)).accepted
    assert verdict(counts(4, 4, 4, 4, 4, 0, 7), counts(3, 3, 3, 3, 3, 0, 7)).accepted  # ties say nothing
    assert not verdict(counts(4, 4, 4, 4, 4), counts(3, 3, 3, 3, 3), confidence=0.97).accepted


def noisy(source: random.Random, mean: float) -> list[ErrorCounts]:
    """Ten utterances of 40 characters, each wrong with the same probability."""
    return counts(*(sum(source.random() < mean / 40 for _ in range(40)) for _ in range(10)))


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_chance_alone_is_accepted_no_more_often_than_the_confidence_allows(confidence):
    source, trials, allowed = random.Random(0), 400, 1 - confidence
    accepted = sum(verdict(noisy(source, 5), noisy(source, 5), confidence).accepted for _ in range(trials))
    assert accepted / trials <= allowed + 3 * (allowed * confidence / trials) ** 0.5
    assert accepted > 0.4 * allowed * trials  # the test is not blind either


def test_a_real_improvement_is_found():
    source = random.Random(0)
    assert sum(verdict(noisy(source, 8), noisy(source, 3)).accepted for _ in range(50)) > 45
