from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
import torch

from asradapt.enrolment.examples import Example
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.planning import plan_marks, portions
from asradapt.enrolment.training import Task, minibatch
from asradapt.enrolment.updates import TrainingOptions, pair_batches
from asradapt.types import Utterance


def recordings(count: int, seed: int = 0) -> tuple[Example, ...]:
    chance = random.Random(seed)
    return tuple(
        Example(Utterance(Path(f"{n}.wav")), torch.zeros(1, 1), "a", torch.tensor([1]), chance.uniform(0.5, 9.0))
        for n in range(count)
    )


def length(examples: tuple[Example, ...]) -> float:
    return sum(example.seconds for example in examples)


@pytest.mark.parametrize("count", [1, 2, 7, 30])
@pytest.mark.parametrize("seconds", [2.0, 20.0, 1000.0])
def test_every_pass_covers_every_utterance_exactly_once(count, seconds):
    task = Task(recordings(count), 1.0, seed=5)
    options = EnrolmentOptions(training=TrainingOptions(step_seconds=seconds))
    steps = portions(length(task.train), count, options)
    for start in range(0, 3 * steps, steps):
        taken = [minibatch(task, step, seconds) for step in range(start, start + steps)]
        assert all(taken)
        assert sorted(id(e) for part in taken for e in part) == sorted(map(id, task.train))
        assert max(map(len, taken)) - min(map(len, taken)) <= 1


def test_little_audio_is_taken_whole_in_every_step():
    task = Task(recordings(5), 1.0, seed=5)
    assert [minibatch(task, step, 60.0) for step in range(3)] == [list(task.train)] * 3


def test_the_order_changes_from_pass_to_pass_and_with_the_seed_only():
    train = recordings(30)
    first = [minibatch(Task(train, 1.0, seed=5), step, 20.0) for step in range(20)]
    assert first == [minibatch(Task(train, 9.0, seed=5), step, 20.0) for step in range(20)]
    assert first != [minibatch(Task(train, 1.0, seed=6), step, 20.0) for step in range(20)]
    steps = portions(length(train), 30, EnrolmentOptions(training=TrainingOptions(step_seconds=20.0)))
    assert 1 < steps < 20
    assert first[0] != first[steps]


@pytest.mark.parametrize("passes", [1, 3, 12])
@pytest.mark.parametrize("steps_a_pass", [1, 5, 40])
def test_checkpoints_rise_by_the_same_share_and_end_with_the_last_update(passes, steps_a_pass):
    options = EnrolmentOptions(passes=passes, least_steps=60, checkpoints=8)
    marks = plan_marks(steps_a_pass, options)
    most = max(60, passes * steps_a_pass)
    assert marks[-1] == most
    assert marks[0] == round(most / 12)
    shares = [after / before for before, after in itertools.pairwise(marks)]
    assert len(marks) == 8
    assert all(1.2 < share < 1.7 for share in shares)


def test_few_updates_are_looked_at_once_each():
    assert plan_marks(1, EnrolmentOptions(passes=1, least_steps=3, checkpoints=10)) == (1, 2, 3)
    assert plan_marks(1, EnrolmentOptions(passes=9, least_steps=3, checkpoints=1)) == (9,)


def test_batches_of_pairs_hold_each_once_and_bound_the_audio(tiny_model):
    model = tiny_model()
    pairs = [(n % 3, example) for n, example in enumerate(recordings(40))]
    for by_row in (False, True):
        batches = list(pair_batches(model, pairs, 20.0, by_row=by_row))
        assert sorted((row, id(e)) for batch in batches for row, e in batch) == sorted(
            (r, id(e)) for r, e in pairs
        )
        assert all(len(batch) * max(e.seconds for _, e in batch) <= 20.1 for batch in batches)
        assert all(len({row for row, _ in batch}) == 1 for batch in batches) == by_row
