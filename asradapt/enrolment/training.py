"""Training of many adaptations at once: one frozen model, one bank, each row its own problem.

A row's path depends on nothing but its own task (data, rate, seed): whoever shares the job changes it by
rounding only. Rows that are finished leave the batches.

Letters: B batch, F frames, S rows of the bank.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.budget import in_halves
from asradapt.enrolment.examples import Example
from asradapt.enrolment.lanes import Lanes
from asradapt.enrolment.objective import Pair, objective_of
from asradapt.enrolment.optimiser import RowAdam
from asradapt.enrolment.splicing import Word, find_words, recombine
from asradapt.enrolment.updates import TrainingOptions, pair_batches, train_step
from asradapt.models.base import SourceModel

APART = 1_000_003
"""Between the seeds of a person's trainings: the passes of one must not be those of another one, put off."""


@dataclass(frozen=True, eq=False)
class Task:
    """What one row of the bank learns from.

    Attributes:
        train: The utterances to train on.
        rate: Factor on the methods' learning rates.
        seed: Seed of the order of its minibatches.
    """

    train: tuple[Example, ...]
    rate: float
    seed: int


def update_seconds(total: float, most: float) -> float:
    """Seconds of audio in one update of a row that has `total` seconds, `most` being those of a long one.

    Twice as many updates of half the size cost no more, and with little speech it is updates that count.
    """
    return min(most, max(most / 2, total / 2))


def minibatch(task: Task, step: int, seconds: float) -> list[Example]:
    """The utterances of a task's update number `step`: passes over its data in shuffled, even portions."""
    total = sum(example.seconds for example in task.train)
    portions = max(1, min(len(task.train), round(total / seconds)))
    order = list(task.train)
    if portions > 1:
        random.Random(task.seed + step // portions).shuffle(order)
    return order[step % portions :: portions]


def row_rates(bank: SpeakerBank, tasks: Sequence[Task]) -> dict[str, Tensor]:
    """Learning rates (S,) of a bank's tensors: each method's own, times the factor of the row's task."""
    by_method = {method.name: method.rate for method in bank.methods}
    return {
        name: torch.tensor([task.rate * by_method[name.split("/")[0]] for task in tasks], device=tensor.device)
        for name, tensor in bank.tensors.items()
    }


class Trainer:
    """A job of many rows: steps the active ones, in bounded memory.

    Args:
        model: The frozen source model.
        bank: The bank whose rows are trained, one per task.
        tasks: What each row learns from.
        options: How to train.
    """

    def __init__(
        self, model: SourceModel, bank: SpeakerBank, tasks: Sequence[Task], options: TrainingOptions
    ) -> None:
        self.model, self.bank, self.tasks, self.options = model, bank, tasks, options
        bank.requires_grad()
        self._lanes = Lanes(model, batch_seconds=options.batch_seconds, recompute=options.recompute)
        rates = row_rates(bank, tasks)
        self._optimiser = RowAdam(bank.tensors, rates, decay=options.decay, average=options.average)
        self._words: dict[int, tuple[Word, ...]] = {}

    def step(self, number: int, active: Sequence[int]) -> None:
        """Update number `number` (from 0) of the rows `active`; the others stay as they are."""
        work = {row: self._augmented(self._minibatch(row, number), row, number) for row in active}
        train_step(self.model, self.bank, work, self.options, self._lanes)
        self._optimiser.step(torch.tensor(sorted(active), device=self.model.device))

    @property
    def result(self) -> SpeakerBank:
        """What training has led to so far, without gradients: a view that the next step changes."""
        return self.bank.seen_as(self._optimiser.averages or self.bank.tensors)

    def settle(self) -> None:
        """Put the result into the bank; training ends with that."""
        with torch.no_grad():
            for name, tensor in self.result.tensors.items():
                self.bank.tensors[name].copy_(tensor)

    def _minibatch(self, row: int, number: int) -> list[Example]:
        task = self.tasks[row]
        total = sum(example.seconds for example in task.train)
        return minibatch(task, number, update_seconds(total, self.options.step_seconds))

    def _augmented(self, examples: Sequence[Example], row: int, number: int) -> list[Example]:
        """The examples of one update, changed by a seed of the row's own: company changes nothing."""
        options, seed, objective = self.options.augmentation, self.tasks[row].seed, objective_of(self.model)
        changed = []
        for place, example in enumerate(examples):
            name = f"{seed}/{number}/{place}"
            example = self._spliced(example, row, random.Random(f"{name}/splice"))
            changed.append(replace(example, features=objective.augmented(example, options, name)))
        return changed

    def _spliced(self, example: Example, row: int, chance: random.Random) -> Example:
        """A sentence of the row's own words in the place of an example, or the example itself."""
        options = self.options.augmentation
        if not options.splices:
            return example
        if not self._words:
            self._find_words()
        if not self._words[id(example)] or chance.random() >= options.splices:
            return example
        pool = [(one, self._words[id(one)]) for one in self.tasks[row].train]
        made = recombine(pool, self.model.tokens.index(" "), options, chance)
        shortest = made.heard_seconds / (1 + options.tempo) if made else 0.0
        return made if made and objective_of(self.model).fits(made.target.tolist(), shortest) else example

    def _aligned(self, batch: Sequence[Pair]) -> list[tuple[Word, ...]]:
        return find_words(self.model, batch)

    def _find_words(self) -> None:
        """Where the words lie in every recording of the job."""
        distinct = {id(example): example for task in self.tasks for example in task.train}
        for batch in pair_batches(self.model, [(0, one) for one in distinct.values()], self.options.batch_seconds):
            for (_, example), words in zip(batch, in_halves(self._aligned, batch), strict=True):
                self._words[id(example)] = words


def train(trainer: Trainer, steps: Sequence[int], progress: Callable[[int], None] | None = None) -> None:
    """Train every row for its own number of steps (S,), and put the result into the bank."""
    for number in range(max(steps, default=0)):
        active = [row for row, last in enumerate(steps) if number < last]
        trainer.step(number, active)
        if progress:
            progress(len(active))
    trainer.settle()
