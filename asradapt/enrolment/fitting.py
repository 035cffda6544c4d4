"""The final fit: everybody's chosen setting trained on all of their recordings, several times, and averaged.

The trainings differ by their seed, that is by the order of the recordings, by how these are changed and by the
sentences that are made of their words. What one has learnt by chance the others have not, and the mean has less of
it (Wortsman et al. 2022, arXiv 2203.05482). They start from the same numbers, or the mean of their tensors would
be none.

Letters: S rows of the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import load_starts
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import portions
from asradapt.enrolment.retention import Retention, RetentionCheck
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.models.base import SourceModel

APART = 1_000_003
"""Between the seeds of a person's trainings: the passes of one must not be those of another one, put off."""


class _Plan(NamedTuple):
    """What is trained for one person."""

    person: Person
    choice: Choice
    fits: int
    steps: int


def _final_steps(person: Person, choice: Choice, options: EnrolmentOptions) -> int:
    """As many passes over everything as were best over the training part of a fold.

    Where one update took in all of that part, it is the number of updates that was found, not of passes.
    """
    if choice.share == choice.steps:
        return choice.steps
    return max(1, round(choice.share * portions(person.seconds, len(person.examples), options)))


def fit_final(
    model: SourceModel,
    people: Sequence[Person],
    choices: Sequence[Choice],
    options: EnrolmentOptions,
    check: RetentionCheck,
    report: Callable[[float], None],
    fits: Sequence[int],
) -> list[tuple[dict[str, Tensor], Retention | None]]:
    """Train everybody's chosen setting on all of their recordings, and try it on others; alike ones in one job.

    Args:
        model: The source model.
        people: Everybody.
        choices: The chosen setting of each.
        options: How to enrol.
        check: What tries the adaptations on other people's speech.
        report: Called with the share of the updates that is done.
        fits: Trainings of each that are averaged.

    Returns:
        The tensors of everybody, and what they do to other people's speech.
    """
    fitted: dict[str, tuple[dict[str, Tensor], Retention | None]] = {}
    planned = [_Plan(*own, _final_steps(*own[:2], options)) for own in zip(people, choices, fits, strict=True)]
    updates = 0

    def advance(count: int) -> None:
        nonlocal updates
        updates += count
        report(updates / sum(one.steps * one.fits for one in planned))

    of_each = [choice.setting.methods(options.method_options) for choice in choices]
    for methods in dict.fromkeys(of_each):
        plans = [plan for plan, own in zip(planned, of_each, strict=True) if own == methods]
        bank = _trained(model, methods, plans, options, advance)
        states = [bank.state(row) for row in range(len(plans))]
        for plan, state, retained in zip(plans, states, check.measure(methods, states), strict=True):
            fitted[plan.person.name] = (state, retained)
    return [fitted[person.name] for person in people]


def _trained(
    model: SourceModel,
    methods: tuple[Method, ...],
    plans: Sequence[_Plan],
    options: EnrolmentOptions,
    advance: Callable[[int], None],
) -> SpeakerBank:
    """A bank with a speaker for each of these, who have the same methods: the means of their trainings, scaled."""
    rows = [(plan, plan.person.seed + APART * number) for plan in plans for number in range(plan.fits)]  # (S,)
    bank = SpeakerBank(model, methods, speakers=len(rows), seed=options.seed)
    load_starts(bank, ((row, plan.person.start.state) for row, (plan, _) in enumerate(rows)))
    tasks = [Task(plan.person.examples, plan.choice.setting.rate, seed) for plan, seed in rows]
    train(Trainer(model, bank, tasks, options.training), [plan.steps for plan, _ in rows], advance)
    ends = accumulate(plan.fits for plan in plans)
    means = bank.averaged([range(end - plan.fits, end) for plan, end in zip(plans, ends, strict=True)])
    return means.scaled(torch.tensor([plan.choice.strength for plan in plans]))
