"""A short budget tries less, and still judges what it tried."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest

from asradapt.adaptation import create
from asradapt.enrolment import EnrolmentOptions, Setting, enroll
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.folds import split_folds
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import affordable
from asradapt.enrolment.selection import run_method
from asradapt.errors import UsageError

OPTIONS = EnrolmentOptions(folds=2, least_steps=8, checkpoints=4, passes=1)


@pytest.fixture
def ann(examples) -> Person:
    data = examples(6, shift=1.0)
    folds = split_folds([example.text for example in data], 2, 0)
    settings = (Setting("input"), Setting("head"), Setting("affine"))
    return Person("ann", data, tuple(map(tuple, folds)), 0, settings)


def test_without_a_budget_there_is_no_end() -> None:
    assert Clock().left == math.inf
    assert not Clock().over
    assert Clock().affordable([1e9, 1e9]) == 2


@pytest.mark.parametrize(("speed", "count"), [(1e9, 3), (0.0, 1)])
def test_the_first_settings_that_fit_are_tried_and_always_one(ann: Person, speed: float, count: int) -> None:
    (kept,) = affordable([ann], OPTIONS, Clock(60.0, speed=speed))
    assert kept.settings == ann.settings[:count]


def test_the_cost_of_a_setting_decides(ann: Person) -> None:
    clock = Clock(10.0, speed=3.0)  # 7 s at 3 s of audio a second, a third of which is training: 7 s of audio
    assert [clock.affordable(costs) for costs in ([6.0], [6.0, 0.5], [3.0, 3.0, 3.0], [8.0])] == [1, 2, 2, 1]


def test_when_time_is_over_everybody_is_judged_once_and_leaves(tone_model, ann: Person) -> None:
    late = Clock(1.0, began=time.monotonic() - 10)
    options = replace(OPTIONS, strengths=(1.0,))
    ann = replace(ann, folds=((0, 1), (2, 3), (4, 5)))
    (trial,) = run_method(tone_model, [ann], create("input"), options, late, lambda share: None)
    assert [choice.steps for choice in trial.seen] == [1]
    assert all(tensor.shape[0] == len(ann.folds) for tensor in trial.result()[0].learned.values())
    assert trial.result()[0].learned  # a budget may leave time for nothing else


def test_an_enrolment_with_hardly_any_time_ends_and_says_what_it_was_given(tone_model, speak) -> None:
    options = EnrolmentOptions(method="input", rates=(10.0, 5.0), budget=1e-3)
    (one,) = enroll(tone_model, {"ann": speak("ann", shift=1.0, utterances=6)}, options=options).speakers
    assert one.record.gate["budget"] == 1e-3
    assert one.record.decision == "source"
    assert "the budget allowed hardly any training" in one.explanation
    assert one.record.gate["tried"]["rate"] == 10.0
    assert one.record.gate["tried"]["steps"] == 1


def test_as_many_final_trainings_as_the_time_allows(monkeypatch) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 100.0)
    assert Clock(began=0.0).fits(50.0, 3) > 1000
    # 60 s of cross-validation with three folds: a training on everything takes 30 s at most
    assert [Clock(100.0 + left, began=0.0).fits(60.0, 3) for left in (-5, 10, 59, 61, 125)] == [0, 0, 1, 2, 4]


def test_a_budget_of_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="budget must be longer than 0 s"):
        EnrolmentOptions(budget=0.0)
