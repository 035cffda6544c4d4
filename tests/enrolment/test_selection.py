from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest

from asradapt.adaptation import create
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.folds import split_folds
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.selection import Choice, cross_validate, plan, prefer, run_method, select
from asradapt.enrolment.training import Trainer
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
from asradapt.scoring import ErrorCounts, total

OPTIONS = EnrolmentOptions(passes=20, least_steps=20, checkpoints=4, strengths=(1.0,), training=TrainingOptions())


@pytest.fixture(scope="module")
def people(examples):
    """Two with several settings each: `Person` objects without files."""

    def make(name: str, count: int, seed: int, *settings: Setting) -> Person:
        utterances = examples(count, shift=1.0, seed=seed)
        folds = split_folds([e.text for e in utterances], 3, seed)
        return Person(name, utterances, tuple(map(tuple, folds)), seed, settings)

    fast, slow = Setting("input", 10.0), Setting("input", 0.01)
    return [make("ann", 7, 1, fast, Setting("head", 5.0)), make("bob", 5, 2, slow, fast)]


@pytest.fixture
def updates(monkeypatch):
    """The active rows of every update."""
    found: list[list[int]] = []
    step = Trainer.step

    def counted(self, number, active):
        found.append(list(active))
        step(self, number, active)

    monkeypatch.setattr(Trainer, "step", counted)
    return found


def nothing(share: float) -> None:
    """No report."""


def test_no_row_is_judged_on_what_it_was_trained_on(people):
    trials, tasks = plan(people, create("input"), OPTIONS)
    assert [(trial.person.name, trial.setting.rate) for trial in trials] == [
        ("ann", 10),
        ("bob", 0.01),
        ("bob", 10),
    ]
    assert [row for trial in trials for row in trial.rows] == list(range(len(tasks))) == list(range(9))
    for trial in trials:
        pairs, everything = trial.pairs(), {id(e) for e in trial.person.examples}
        assert sorted(id(example) for _, example in pairs) == sorted(everything)
        for row in trial.rows:
            train = {id(example) for example in tasks[row].train}
            held_out = {id(example) for r, example in pairs if r == row}
            assert held_out
            assert not train & held_out
            assert train | held_out == everything
            assert tasks[row].rate == trial.setting.rate
        assert len({tasks[row].seed for row in trial.rows}) == len(trial.rows)  # what is kept is their mean
        assert tasks[trial.rows[0]].seed == trial.person.seed


def test_readings_of_a_sentence_are_never_on_both_sides(examples):
    texts = ["ab cd ea bc", "a b c d", "ab cd ea bc", "e d c b", "a b c d", "ab cd ea bc"]
    utterances = examples(6, texts=texts)
    folds = split_folds([e.text for e in utterances], 3, 0)
    person = Person("ann", utterances, tuple(map(tuple, folds)), 0, (Setting("input"),))
    (trial,), tasks = plan([person], create("input"), OPTIONS)
    for row, example in trial.pairs():
        assert example.text not in {other.text for other in tasks[row].train}


def test_settings_that_stop_improving_leave_the_job(tone_model, people, updates):
    ann = replace(people[0], settings=(Setting("lowrank"),))  # changes nothing in the tone model
    (trial,) = run_method(tone_model, [ann], create("lowrank"), replace(OPTIONS, patience=2), Clock(), nothing)
    assert trial.marks == (2, 4, 9, 20)
    assert trial.preferred.steps == 9  # no worse than the first
    assert len(updates) == 9  # the best at 2, and then two looks without improvement
    assert trial.done


def test_a_setting_stays_while_it_improves_at_any_strength(tone_model, people, updates, monkeypatch):
    calls = itertools.count()

    def scripted(model, bank, pairs, options):
        scores, call = evaluate_pairs(model, bank, pairs, options), next(calls)
        full, number = call % 2 == 0, call // 2
        for one in scores.values():  # ever worse at full strength, ever better at half, but never best
            one.losses = dict.fromkeys(one.losses, 10.0 + 5 * number if full else 90.0 - number)
        return scores

    monkeypatch.setattr("asradapt.enrolment.selection.evaluate_pairs", scripted)
    options = replace(OPTIONS, patience=1, strengths=(1.0, 0.5))
    ann = replace(people[0], settings=(Setting("input"),))
    (trial,) = run_method(tone_model, [ann], create("input"), options, Clock(), nothing)
    assert len(updates) == trial.marks[-1]
    assert (trial.preferred.steps, trial.preferred.strength) == (trial.marks[0], 1.0)


def test_a_trial_that_left_is_not_trained_on_while_others_go_on(tone_model, people, updates):
    hopeless, good = Setting("input", 1e-9), Setting("input", 5.0)
    crowd = [replace(person, settings=(hopeless, good)) for person in people]
    trials = run_method(tone_model, crowd, create("input"), replace(OPTIONS, patience=1), Clock(), nothing)
    assert [trial.preferred.steps == 20 for trial in trials] == [False, True, False, True]
    assert updates[0] == list(range(12))
    assert updates[-1] == [3, 4, 5, 9, 10, 11]


def test_the_best_setting_of_each_person_wins(tone_model, people):
    shares: list[float] = []
    ann, bob = cross_validate(tone_model, people, OPTIONS, Clock(), shares.append)
    assert bob.choice.setting == Setting("input", 10.0)
    assert ann.choice.setting in people[0].settings
    for person, selected in zip(people, (ann, bob), strict=True):
        for counts in (selected.counts, selected.choice.counts):
            assert [count.characters for count in counts] == [len(e.text) for e in person.examples]
            assert total(counts).cer < 0.3
        assert total(selected.counts).character_errors >= total(selected.choice.counts).character_errors
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_lower_strengths_are_kept_only_where_they_are_better(tone_model, people):
    full, free = (
        cross_validate(tone_model, people, replace(OPTIONS, strengths=strengths), Clock(), nothing)
        for strengths in ((1.0,), (1.0, 0.8, 0.01))
    )
    for one, other in ((one.choice, other.choice) for one, other in zip(full, free, strict=True)):
        assert one.strength == 1.0
        assert other.strength > 0.01
        assert other.cost() <= one.cost()
        assert (other.strength == 1.0) == (other.cost() == one.cost())


def candidate(*losses: float, rate: float = 1.0, steps: int = 5, strength: float = 1.0) -> Choice:
    """A candidate with so much loss, and as many wrong characters of 20, in every utterance."""
    counts = tuple(ErrorCounts(min(round(loss), 5), 0, 0, 5, round(loss), 20) for loss in losses)
    return Choice(Setting("input", rate), steps, 1.0, strength, counts, losses)


def wrong(counts) -> list[int]:
    return [count.character_errors for count in counts]


@pytest.fixture(scope="module")
def someone(examples):
    """Makes a person of whom only the number of utterances and the folds matter."""

    def make(*folds: tuple[int, ...]) -> Person:
        return Person("ann", examples(sum(map(len, folds))), folds, 0, (Setting("input"),))

    return make


def test_who_is_best_only_on_a_fold_gets_no_credit_for_it(someone):
    even, lucky = candidate(5, 5, 5, 5, 5, 5, steps=9), candidate(0, 0, 0, 11, 11, 11, steps=3)
    found = select(someone((0, 1, 2), (3, 4, 5)), [lucky, even])
    assert found.choice is even
    # the first fold is judged by what is preferred on the second, and the other way round
    assert wrong(found.counts) == [5, 5, 5, 11, 11, 11]


def test_of_what_is_level_the_longest_training_wins():
    short, long, longest = candidate(10, 10, steps=3), candidate(11, 10, steps=9), candidate(12, 12, steps=27)
    assert prefer([short, long, longest], range(2)) is long
    weaker = replace(candidate(10, 10, steps=9), strength=0.5)  # of one training the best strength
    assert prefer([short, long, weaker, longest], range(2)) is weaker
    other = replace(candidate(10, 11, steps=40), setting=Setting("affine"))  # the updates of others say nothing
    assert prefer([short, long, other], range(2)) is long
    exact, near = candidate(0, 0, steps=3), candidate(0, 1, steps=9)
    assert prefer([exact, near], range(2)) is exact


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_who_has_diverged_is_the_last_choice_and_ends_nothing(bad):
    good, gone = candidate(3, 4, steps=3), replace(candidate(1, 1, steps=9), losses=(bad, 1.0))
    assert prefer([gone, good], range(2)) is good
    assert prefer([good, gone], range(2)) is good
    assert prefer([gone, gone], range(2)) is gone


def test_the_least_cost_on_the_given_utterances_wins():
    even, uneven = candidate(6, 6, 6, 6, steps=9), candidate(9, 9, 1, 1, steps=3)
    assert prefer([even, uneven], range(4)) is uneven
    assert prefer([even, uneven], [0, 1]) is even
    assert prefer([even, replace(even, strength=0.4)], range(4)) is even  # of equals the first


def test_a_wrong_character_weighs_a_nat():
    plain = candidate(6, 6, 6)
    one_less = replace(plain.counts[0], character_errors=plain.counts[0].character_errors - 1)
    surer = replace(plain, losses=(6, 5.2, 6))
    better, equal = (replace(plain, counts=counts) for counts in ((one_less, *plain.counts[1:]), plain.counts))
    assert prefer([plain, surer], range(3)) is surer
    assert prefer([surer, better], range(3)) is better
    assert prefer([replace(surer, losses=(6, 4.8, 6)), better, equal], range(3)).losses == (6, 4.8, 6)
    assert prefer([surer, better], [1, 2]) is surer


def test_folds_need_not_be_in_order(someone):
    usual, other = candidate(6, 6, 6, 6, 6, 6, steps=9), candidate(1, 2, 6, 6, 2, 1, steps=3)
    folds = ((5, 0), (3, 1), (4, 2))
    found = select(someone(*folds), [other, usual])
    for fold in folds:
        chosen = prefer([other, usual], [index for index in range(6) if index not in fold])
        assert [wrong(found.counts)[index] for index in fold] == [wrong(chosen.counts)[index] for index in fold]


def test_a_single_candidate_is_judged_as_it_is(someone):
    only = candidate(3, 1, 2)
    assert select(someone((0,), (1,), (2,)), [only]).counts == only.counts


def test_choosing_among_many_that_differ_by_chance_does_not_flatter(someone):
    person, chance = someone((0, 3, 6), (1, 4, 7), (2, 5, 8)), random.Random(0)
    nested = flattered = 0
    for _ in range(200):
        seen = [candidate(*(chance.randint(0, 10) for _ in range(9))) for _ in range(12)]
        found = select(person, seen)
        nested += sum(wrong(found.counts))
        flattered += sum(wrong(found.choice.counts))
    assert nested / 200 / 9 == pytest.approx(5.0, abs=0.25)  # what all of them are worth
    assert flattered / 200 / 9 < 4.5


def test_a_trial_remembers_all_candidates(tone_model, people):
    options = replace(OPTIONS, strengths=(1.0, 0.5, 0.2), patience=9)
    (trial,) = run_method(tone_model, [people[1]], create("input"), options, Clock(), nothing)[1:]
    every = [(mark, strength) for mark in trial.marks for strength in options.strengths]
    assert [(choice.steps, choice.strength) for choice in trial.seen] == every
    assert trial.preferred in trial.seen
    assert trial.preferred.cost() == min(choice.cost() for choice in trial.seen)
