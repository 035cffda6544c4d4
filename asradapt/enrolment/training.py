"""Training of many adaptations at once: one frozen model, one bank, each row its own problem.

A row's path depends on nothing but its own task (data, rate, seed): whoever shares the job changes it by
rounding only. Rows that are finished leave the batches.

Letters: B batch, F frames, S rows of the bank.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.batching import length_batches
from asradapt.budget import in_halves
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation
from asradapt.enrolment.coarse import coarse
from asradapt.enrolment.examples import Example
from asradapt.enrolment.lanes import Lanes
from asradapt.enrolment.memory import find_sizes, gradients_of
from asradapt.enrolment.objective import Pair, objective_of
from asradapt.enrolment.optimiser import RowAdam
from asradapt.enrolment.splicing import Word, find_words, recombine
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel, computed_seconds
from asradapt.scoring import ErrorCounts, score

RowGradients = tuple[
    list[int], dict[str, Tensor]
]  # rows of a bank, and by the tensor's name the gradients (R, ...)
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


@dataclass(frozen=True)
class TrainingOptions:
    """How a job trains.

    Attributes:
        step_seconds: Audio of one row in one update; a row with less than twice as much takes half of it every
            time, but no less than half of these seconds if it has them.
        batch_seconds: Audio in one pass, padding included; bounds the memory, and passes are made one after the
            other; 0 finds what suits. An update that takes more is made of several passes.
        recompute: Whether blocks of the encoder compute their activations a second time for the gradients, instead
            of keeping them: less memory, a third more time. None does where the memory does not suffice otherwise.
        decay: Decay towards the identity per step and unit of rate.
        anchor: Share of the loss that is not the text but the distance from the source's own output, so that what
            the recordings do not teach stays as it was (KL regularisation, Yu et al. 2013); 0 to below 1.
        augmentation: How recordings are changed at every update.
        average: Whether the result is the average of the path of training, not its end.
        bf16: Whether gradients are computed in bf16; None does where the processor has instructions for it.
    """

    step_seconds: float = 30.0
    batch_seconds: float = 0.0
    recompute: bool | None = None
    decay: float = 0.05
    anchor: float = 0.0
    augmentation: Augmentation = NO_AUGMENTATION
    average: bool = True
    bf16: bool | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.anchor < 1:
            raise UsageError(f"anchor must lie from 0 to below 1, got {self.anchor}")


@dataclass
class Scores:
    """Result of one row on some utterances: CTC loss (over all tokens), error counts and text of each."""

    losses: dict[int, float] = field(default_factory=dict)
    counts: dict[int, ErrorCounts] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)


def pair_batches(
    model: SourceModel, pairs: Sequence[Pair], seconds: float, *, by_row: bool = False
) -> Iterator[list[Pair]]:
    """Pairs in batches of similar length of at most `seconds` of audio, padding included.

    Args:
        model: The source model, which may take rows of one length only.
        pairs: What to batch.
        seconds: The bound; 0 for what suits where the model is, without gradients.
        by_row: Keep the rows apart, for methods that take one speaker a batch.
    """
    seconds = seconds or find_sizes(model).heard
    groups: dict[tuple[int, int], list[Pair]] = {}
    for pair in pairs:
        frames = len(pair[1].features) if model.equal_lengths else 0
        groups.setdefault((pair[0] if by_row else 0, frames), []).append(pair)
    for group in groups.values():
        lengths = [round(computed_seconds(model, example.seconds) * 1000) for _, example in group]
        for indices in length_batches(lengths, budget=round(seconds * 1000)):
            yield [group[index] for index in indices]


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


def train_step(
    model: SourceModel,
    bank: SpeakerBank,
    tasks: dict[int, list[Example]],
    options: TrainingOptions,
    lanes: Lanes | None = None,
) -> None:
    """Gradients of one update of the given rows: mean loss per token of each row's utterances.

    The update is made of as many passes as the memory asks for; their gradients are added up.
    """
    lanes = lanes or Lanes(model, batch_seconds=options.batch_seconds, recompute=options.recompute)
    tokens = {row: sum(len(e.target) for e in examples) for row, examples in tasks.items()}
    pairs = [(row, example) for row, examples in tasks.items() for example in examples]

    def learn(lane: SourceModel, batch: Sequence[Pair]) -> RowGradients:
        """The gradients of the rows in a batch, made of copies of these rows: a job may have many more."""
        rows = sorted({row for row, _ in batch})
        own = bank.select(rows).requires_grad()
        mine = [(rows.index(row), example) for row, example in batch]
        weights = torch.tensor([1 / max(1, tokens[row]) for row, _ in batch], device=lane.device)
        with coarse(lane, options.bf16), objective_of(lane).losses(own, mine, options.anchor) as losses:
            return rows, gradients_of((losses * weights).sum(), own.tensors)

    add_up(lanes, bank, learn, pairs)


def add_up(
    lanes: Lanes,
    bank: SpeakerBank,
    learn: Callable[[SourceModel, Sequence[Pair]], RowGradients],
    pairs: Sequence[Pair],
) -> None:
    """Let pairs be learned from in as many passes as the memory asks for; add up their gradients in the bank."""
    model = lanes.model
    seconds = lanes.seconds([computed_seconds(model, example.seconds) for _, example in pairs])
    batches = list(pair_batches(model, pairs, seconds, by_row=bank.one_speaker))
    for rows, gradients in lanes.run(learn, batches):
        for name, found in gradients.items():
            tensor = bank.tensors[name]
            tensor.grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            tensor.grad.index_add_(0, torch.tensor(rows, device=tensor.device), found)


@torch.no_grad()
def evaluate_pairs(
    model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair], options: TrainingOptions
) -> dict[int, Scores]:
    """Losses and errors of every row on its utterances, decoded greedily; by the utterance's identity."""
    scores: dict[int, Scores] = {}
    objective, by_row = objective_of(model), bank is not None and bank.one_speaker

    def listen(batch: Sequence[Pair]) -> list[tuple[float, str]]:
        losses, texts = objective.judged(bank, batch)
        return list(zip(losses.tolist(), texts, strict=True))

    for batch in pair_batches(model, pairs, options.batch_seconds, by_row=by_row):
        for (row, example), (loss, text) in zip(batch, in_halves(listen, batch), strict=True):
            entry = scores.setdefault(row, Scores())
            entry.losses[id(example)] = loss
            entry.counts[id(example)] = score(example.text, text)
            entry.texts[id(example)] = text
    return scores


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
        shortest = made.seconds / (1 + options.tempo) if made else 0.0
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
