"""The final fit: the mean of several trainings on everything."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from types import SimpleNamespace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment import EnrolmentOptions, Setting, enroll
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.fitting import fit_final, trainings_of
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import keeps_folds, usual_fits
from asradapt.enrolment.selection import Choice, cross_validate, run_method
from asradapt.enrolment.training import APART, Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import UsageError

OPTIONS = EnrolmentOptions(training=TrainingOptions(step_seconds=1.0, batch_seconds=6.0, bf16=False))
NO_CHECK = SimpleNamespace(measure=lambda methods, states: [None] * len(states))


@pytest.fixture
def people(examples) -> list[tuple[Person, Choice]]:
    """Two people with other data, numbers of updates and strengths."""
    found = []
    for number, (shift, steps, strength) in enumerate([(1.0, 6, 1.0), (-0.9, 4, 0.5)]):
        data = examples(6, shift=shift, seed=number)
        person = Person(f"p{number}", data, ((0, 1, 2), (3, 4, 5)), 10 + number, (Setting("affine", 3.0),))
        found.append((person, Choice(person.settings[0], steps, steps, strength, (), ())))
    return found


def test_much_speech_needs_fewer_trainings():
    assert [usual_fits(seconds) for seconds in (5.0, 299.0, 300.0, 3600.0)] == [4, 4, 2, 2]
    with pytest.raises(UsageError, match="fits must be at least 0"):
        EnrolmentOptions(fits=-1)


def test_the_folds_are_all_that_little_speech_takes_and_a_budget_leaves():
    setting = Setting("affine")
    learned = Choice(setting, 1, 1, 1.0, (), (), learned={"a": torch.zeros(3, 1)})
    usual = EnrolmentOptions()
    assert [trainings_of(learned, seconds, usual, 9) for seconds in (40.0, 59.9, 60.0, 299.0)] == [0, 0, 2, 2]
    assert trainings_of(learned, 100.0, usual, 1) == 1
    assert trainings_of(learned, 100.0, usual, 0) == 0
    assert [trainings_of(learned, 100.0, EnrolmentOptions(fits=fits), 9) for fits in (0, 1, 5)] == [0, 1, 5]
    alone = Choice(Setting("encoder"), 1, 1, 1.0, (), ())  # no folds are kept of a whole encoder
    assert [trainings_of(alone, 100.0, usual, most) for most in (0, 9)] == [1, 1]
    much = Choice(setting, 1, 1, 1.0, (), ())  # nor of much speech
    assert [trainings_of(much, seconds, usual, 9) for seconds in (100.0, 300.0)] == [4, 2]


def test_folds_that_learn_from_little_or_much_are_not_kept():
    def person(*sizes: float) -> SimpleNamespace:
        examples, folds = [SimpleNamespace(seconds=size) for size in sizes], tuple((n,) for n in range(len(sizes)))
        return SimpleNamespace(examples=examples, folds=folds, learned_seconds=sum(sizes))

    assert keeps_folds(person(10, 10, 10))
    assert keeps_folds(person(16, 12, 12))
    assert not keeps_folds(person(100, 10, 10))  # readings of one sentence
    assert not keeps_folds(person(20, 20))
    assert not keeps_folds(person(100, 100, 100))
    assert not keeps_folds(person())


@pytest.mark.parametrize(("method", "much"), [("affine", 1.0), ("encoder", 300.0)])
def test_much_speech_and_whole_encoders_keep_no_folds(tone_model, examples, monkeypatch, method, much):
    monkeypatch.setattr("asradapt.enrolment.planning.FEW_FROM", much)
    person = Person("ann", examples(6, seed=3), ((0, 1), (2, 3), (4, 5)), 10, (Setting(method),))
    options = replace(OPTIONS, least_steps=2, passes=1, checkpoints=1)
    (selected,) = cross_validate(tone_model, [person], options, Clock(), lambda share: None)
    assert not selected.choice.learned
    assert trainings_of(selected.choice, person.seconds, options, 9) >= 1


@pytest.mark.parametrize("fits", [0, 2])
def test_what_the_folds_have_learnt_has_its_part_in_the_mean(tone_model, people, fits):
    rows = []
    for number, (person, choice) in enumerate(people):
        bank = SpeakerBank(tone_model, create("affine"), speakers=2)
        for name, tensor in bank.tensors.items():
            tensor += torch.randn(tensor.shape, generator=torch.Generator().manual_seed(number + len(name)))
        rows.append((person, replace(choice, learned=bank.tensors)))
    for (person, choice), state in zip(rows, fit(tone_model, rows, fits), strict=True):
        found = [{name: tensor[fold : fold + 1] for name, tensor in choice.learned.items()} for fold in range(2)]
        for number in range(2, 2 + fits):  # the folds have had the first seeds
            bank = SpeakerBank(tone_model, create("affine"))
            task = Task(person.examples, 3.0, person.seed + APART * number)
            train(Trainer(tone_model, bank, [task], OPTIONS.training), [choice.steps])
            found.append(bank.tensors)
        for name, tensor in state.items():
            mean = torch.stack([tensors[name].detach() for tensors in found]).mean(0)
            torch.testing.assert_close(tensor, mean * choice.strength, rtol=0, atol=1e-4)


def test_the_folds_of_the_preferred_look_are_what_is_kept(tone_model, examples, monkeypatch):
    data = examples(6, shift=1.0, seed=3)
    person = Person("ann", data, ((0, 1), (2, 3), (4, 5)), 10, (Setting("affine", 3.0),))
    options = replace(OPTIONS, least_steps=12, passes=1, checkpoints=4, strengths=(1.0,))
    # nothing after the second look is any good
    monkeypatch.setattr("asradapt.enrolment.selection.prefer", lambda seen, indices: seen[:2][-1])
    (trial,) = run_method(tone_model, [person], create("affine"), options, Clock(), lambda share: None)
    (choice,) = [one for one in trial.result() if one.learned]
    assert choice.steps == trial.marks[1] < trial.marks[-1]
    for fold, held_out in enumerate(person.folds):
        bank = SpeakerBank(tone_model, create("affine"), seed=options.seed)
        train_on = tuple(one for number, one in enumerate(data) if number not in held_out)
        task = Task(train_on, 3.0, person.seed + APART * fold)
        train(Trainer(tone_model, bank, [task], options.training), [choice.steps])
        for name, tensor in choice.learned.items():
            torch.testing.assert_close(tensor[fold], bank.tensors[name][0].detach(), rtol=0, atol=1e-4)


def fit(model, people, fits: int, told: list[float] | None = None) -> list[dict[str, torch.Tensor]]:
    shares = [] if told is None else told
    own = [person for person, _ in people], [choice for _, choice in people]
    return [state for state, _ in fit_final(model, *own, OPTIONS, NO_CHECK, shares.append, [fits] * len(people))]


def test_what_is_kept_is_the_mean_of_trainings_with_other_seeds(tone_model, people):
    told: list[float] = []
    kept = fit(tone_model, people, 3, told)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0)
    for (person, choice), state in zip(people, kept, strict=True):
        alone = []
        for number in range(3):
            bank = SpeakerBank(tone_model, create("affine"))
            task = Task(person.examples, 3.0, person.seed + APART * number)
            train(Trainer(tone_model, bank, [task], OPTIONS.training), [choice.steps])
            alone.append(bank.tensors)
        apart = 0.0
        for name, tensor in state.items():
            mean = torch.stack([tensors[name].detach() for tensors in alone]).mean(0)
            torch.testing.assert_close(tensor, mean * choice.strength, rtol=0, atol=1e-4)
            apart = max(apart, float((alone[0][name] - alone[1][name]).detach().abs().max()))
        assert apart > 1e-3  # the trainings do differ


def test_one_training_is_that_of_the_persons_own_seed(tone_model, people):
    (person, choice), *_ = people
    bank = SpeakerBank(tone_model, create("affine"))
    task = Task(person.examples, 3.0, person.seed)
    train(Trainer(tone_model, bank, [task], OPTIONS.training), [choice.steps])
    for name, tensor in fit(tone_model, people, 1)[0].items():
        torch.testing.assert_close(tensor, bank.tensors[name].detach(), rtol=0, atol=1e-4)


def test_everybody_has_as_many_trainings_as_suit(tone_model, people):
    own = [person for person, _ in people], [choice for _, choice in people]
    mixed = [state for state, _ in fit_final(tone_model, *own, OPTIONS, NO_CHECK, lambda share: None, [1, 3])]
    for state, expected in zip(mixed, (fit(tone_model, people, 1)[0], fit(tone_model, people, 3)[1]), strict=True):
        for name, tensor in state.items():
            torch.testing.assert_close(tensor, expected[name], rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("asked_for", "budget", "rate", "fits"), [(None, None, 10.0, 0), (3, None, 10.0, 3), (3, 1e-3, 30.0, 0)]
)
def test_a_budget_that_is_used_up_leaves_the_folds(tone_model, speak, monkeypatch, asked_for, budget, rate, fits):
    asked = []

    def fake(model, people, choices, options, check, report, fits):
        asked.extend(fits)
        return fit_final(model, people, choices, options, check, report, fits)

    monkeypatch.setattr(import_module("asradapt.enrolment.enroll"), "fit_final", fake)
    options = EnrolmentOptions(method="input", rates=(rate,), budget=budget, fits=asked_for, confidence=0.5)
    (one,) = enroll(tone_model, {"ann": speak("ann", shift=1.0, utterances=6)}, options=options).speakers
    assert asked == [fits]
    assert one.record.gate["tried"]["fits"] == fits + options.folds
