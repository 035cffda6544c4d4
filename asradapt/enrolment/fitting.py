"""The final fit: everybody's chosen setting trained on all of their recordings, several times, and averaged.

The trainings differ by their seed, that is by the order of the recordings, by how these are changed and by the
sentences that are made of their words. What one has learnt by chance the others have not, and the mean has less of
it (Wortsman et al. 2022, arXiv 2203.05482). They start from the same numbers, or the mean of their tensors would
be none.

Letters: S rows of the bank.
"""

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

APART = 1_000_003
"""Between the seeds of a person's trainings: the passes of one must not be those of another one, put off."""


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
    fits: int,
) -> list[tuple[dict[str, Tensor], Retention | None]]:
    """Train everybody's chosen setting on all of their recordings, and try it on others; alike ones in one job.

    Args:
        model: The source model.
        people: Everybody.
        choices: The chosen setting of each.
        options: How to enrol.
        check: What tries the adaptations on other people's speech.
        report: Called with the share of the updates that is done.
        fits: Trainings of each person that are averaged.

    Returns:
        The tensors of everybody, and what they do to other people's speech.
    """
    fitted: dict[str, tuple[dict[str, Tensor], Retention | None]] = {}
    planned = [_final_steps(person, choice, options) for person, choice in zip(people, choices, strict=True)]
    updates = 0

    def advance(count: int) -> None:
        nonlocal updates
        updates += count
        report(updates / (fits * sum(planned)))

    of_each = [choice.setting.methods(options.method_options) for choice in choices]
    for methods in dict.fromkeys(of_each):
        chosen = [(p, c) for p, c, own in zip(people, choices, of_each, strict=True) if own == methods]
        rows = [(p, c, p.seed + APART * fit) for p, c in chosen for fit in range(fits)]  # (S,)
        bank = SpeakerBank(model, methods, speakers=len(rows), seed=options.seed)
        load_starts(bank, ((row, person.start.state) for row, (person, _, _) in enumerate(rows)))
        tasks = [Task(person.examples, choice.setting.rate, seed) for person, choice, seed in rows]
        steps = [_final_steps(person, choice, options) for person, choice, _ in rows]
        train(Trainer(model, bank, tasks, options.training), steps, advance)
        means = bank.averaged([range(start, start + fits) for start in range(0, len(rows), fits)])
        scaled = means.scaled(torch.tensor([choice.strength for _, choice in chosen]))
        states = [scaled.state(row) for row in range(len(chosen))]
        for (person, _), state, retained in zip(chosen, states, check.measure(methods, states), strict=True):
            fitted[person.name] = (state, retained)
    return [fitted[person.name] for person in people]
