"""The final fit: the mean of what the folds have learnt by the chosen setting, and of trainings on everything.

The trainings differ by their recordings and by their seed, that is by the order of the recordings, by how these
are changed and by the sentences that are made of their words. What one has learnt by chance the others have not,
and the mean has less of it (Wortsman et al. 2022, arXiv 2203.05482). They start from the same numbers, or the mean
of their tensors would be none. With little speech the folds, which are trained anyhow, are all that it takes.

Letters: S rows of the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import load_starts
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import fits_of, portions
from asradapt.enrolment.retention import Retention, RetentionCheck
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import APART, Task, Trainer, train
from asradapt.models.base import SourceModel

LITTLE, BESIDE_FOLDS = 60.0, 2
"""Trainings on everything beside those of the folds, from so many seconds of speech on: docs/adaptation.md."""


def trainings_of(choice: Choice, seconds: float, options: EnrolmentOptions, most: int) -> int:
    """Trainings on everything of a person who had a choice: as asked for or usual, `most` or what it takes."""
    if not choice.learned:  # there are no folds to keep
        return max(1, min(most, fits_of(choice.setting, seconds, options)))
    usual = BESIDE_FOLDS if seconds >= LITTLE else 0
    return min(most, usual if options.fits is None else options.fits)


def folds_of(person: Person, choice: Choice) -> int:
    """How many folds have a part in the mean."""
    return len(person.folds) if choice.learned else 0


class _Plan(NamedTuple):
    """What is trained for one person."""

    person: Person
    choice: Choice
    fits: int
    steps: int

    @property
    def folds(self) -> int:
        """How many folds have a part in the mean."""
        return folds_of(self.person, self.choice)

    def tasks(self) -> Iterator[Task]:
        """The trainings on everything; the folds have had the first seeds."""
        for number in range(self.folds, self.folds + self.fits):
            yield Task(self.person.everything, self.choice.setting.rate, self.person.seed + APART * number)


def _final_steps(person: Person, choice: Choice, options: EnrolmentOptions) -> int:
    """As many passes over everything as were best over the training part of a fold.

    Where one update took in all of that part, it is the number of updates that was found, not of passes.
    """
    if choice.share == choice.steps:
        return choice.steps
    return max(1, round(choice.share * portions(person.learned_seconds, len(person.everything), options)))


def fit_final(
    model: SourceModel,
    people: Sequence[Person],
    choices: Sequence[Choice],
    options: EnrolmentOptions,
    check: RetentionCheck,
    report: Callable[[float], None],
    fits: Sequence[int],
) -> list[tuple[dict[str, Tensor], Retention | None]]:
    """Everybody's adaptation by their chosen setting, tried on other people's speech; alike ones in one job.

    Args:
        model: The source model.
        people: Everybody.
        choices: The chosen setting of each.
        options: How to enrol.
        check: What tries the adaptations on other people's speech.
        report: Called with the share of the updates that is done.
        fits: Trainings of each on everything that are averaged with what the folds have learnt.

    Returns:
        The tensors of everybody, and what they do to other people's speech.
    """
    fitted: dict[str, tuple[dict[str, Tensor], Retention | None]] = {}
    planned = [_Plan(*own, _final_steps(*own[:2], options)) for own in zip(people, choices, fits, strict=True)]
    updates = 0

    def advance(count: int) -> None:
        nonlocal updates
        updates += count
        report(updates / max(1, sum(one.steps * one.fits for one in planned)))

    of_each = [choice.setting.methods(options.method_options) for choice in choices]
    for methods in dict.fromkeys(of_each):
        plans = [plan for plan, own in zip(planned, of_each, strict=True) if own == methods]
        bank = _trained(model, methods, plans, options, advance)
        states = [bank.state(row) for row in range(len(plans))]
        for plan, state, retained in zip(plans, states, check.measure(methods, states), strict=True):
            fitted[plan.person.name] = (state, retained)
    if people and not updates:
        report(1.0)
    return [fitted[person.name] for person in people]


def _trained(
    model: SourceModel,
    methods: tuple[Method, ...],
    plans: Sequence[_Plan],
    options: EnrolmentOptions,
    advance: Callable[[int], None],
) -> SpeakerBank:
    """A bank with a speaker for each of these, who have the same methods: the means of their trainings, scaled."""
    rows = [(plan, task) for plan in plans for task in plan.tasks()]  # (S,)
    bank = SpeakerBank(model, methods, speakers=len(rows), seed=options.seed)
    load_starts(bank, ((row, plan.person.start.state) for row, (plan, _) in enumerate(rows)))
    if rows:
        trainer = Trainer(model, bank, [task for _, task in rows], options.training)
        train(trainer, [plan.steps for plan, _ in rows], advance)
    learned = [plan.choice.learned for plan in plans if plan.folds]
    whole = bank.extended(learned) if learned else bank
    ends = accumulate(plan.fits for plan in plans)
    behind = accumulate((plan.folds for plan in plans), initial=len(rows))
    groups = [
        [*range(end - plan.fits, end), *range(start, start + plan.folds)]
        for plan, end, start in zip(plans, ends, behind, strict=False)
    ]
    return whole.averaged(groups).scaled(torch.tensor([plan.choice.strength for plan in plans]))
