"""The final fit: everybody's chosen setting trained on all of their recordings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import load_starts
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import portions
from asradapt.enrolment.retention import Retention, RetentionCheck
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.models.base import SourceModel


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
) -> list[tuple[dict[str, Tensor], Retention | None]]:
    """Train everybody's chosen setting on all of their recordings, and try it on others; alike ones in one job."""
    fitted: dict[str, tuple[dict[str, Tensor], Retention | None]] = {}
    planned = [_final_steps(person, choice, options) for person, choice in zip(people, choices, strict=True)]
    updates = 0

    def advance(count: int) -> None:
        nonlocal updates
        updates += count
        report(updates / sum(planned))

    of_each = [choice.setting.methods(options.method_options) for choice in choices]
    for methods in dict.fromkeys(of_each):
        chosen = [(p, c) for p, c, own in zip(people, choices, of_each, strict=True) if own == methods]
        bank = SpeakerBank(model, methods, speakers=len(chosen), seed=options.seed)
        load_starts(bank, ((row, person.start.state) for row, (person, _) in enumerate(chosen)))
        tasks = [Task(person.examples, choice.setting.rate, person.seed) for person, choice in chosen]
        steps = [_final_steps(person, choice, options) for person, choice in chosen]
        train(Trainer(model, bank, tasks, options.training), steps, advance)
        scaled = bank.scaled(torch.tensor([choice.strength for _, choice in chosen]))
        states = [scaled.state(row) for row in range(len(chosen))]
        for (person, _), state, retained in zip(chosen, states, check.measure(methods, states), strict=True):
            fitted[person.name] = (state, retained)
    return [fitted[person.name] for person in people]
