"""Training of many adaptations at once: one frozen model, one bank, each row its own problem.

A row's path depends on nothing but its own task (data, rate, seed): whoever shares the job changes it by
rounding only. Rows that are finished leave the batches.

Letters: B batch, F frames, S rows of the bank.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.mixed import IMPOSSIBLE
from asradapt.batching import length_batches
from asradapt.budget import in_halves
from asradapt.decoding import greedy_decode
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation, augment, augmentation_for
from asradapt.enrolment.examples import Example
from asradapt.enrolment.memory import Passes, add_gradients, find_sizes
from asradapt.enrolment.optimiser import RowAdam
from asradapt.errors import UsageError
from asradapt.features import mask
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, score

Pair = tuple[int, Example]  # a row of the bank and an utterance it works on


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
        step_seconds: Audio of one row in one update; a row with less takes all of it every time.
        batch_seconds: Audio in one pass, padding included; bounds the memory; 0 finds what suits. An update that
            takes more is made of several passes.
        recompute: Whether blocks of the encoder compute their activations a second time for the gradients, instead
            of keeping them: less memory, a third more time. None does where the memory does not suffice otherwise.
        decay: Decay towards the identity per step and unit of rate.
        anchor: Share of the loss that is not the text but the distance from the source's own output, so that what
            the recordings do not teach stays as it was (KL regularisation, Yu et al. 2013); 0 to below 1.
        augmentation: How recordings are changed at every update.
    """

    step_seconds: float = 30.0
    batch_seconds: float = 0.0
    recompute: bool | None = None
    decay: float = 0.05
    anchor: float = 0.0
    augmentation: Augmentation = NO_AUGMENTATION

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
        lengths = [round(example.seconds * 1000) for _, example in group]
        for indices in length_batches(lengths, budget=round(seconds * 1000)):
            yield [group[index] for index in indices]


def encode_pairs(model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> tuple[Tensor, Tensor]:
    """Logits (B, F, V) and frame counts (B,) of pairs, each adapted by its row; None for the source alone."""
    features = pad_sequence([example.features for _, example in pairs], batch_first=True).to(model.device)
    frames = torch.tensor([len(example.features) for _, example in pairs], device=model.device)
    with attached(model, bank, pairs):
        return model.encode(features, frames)


def attached(model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair]) -> AbstractContextManager[None]:
    """The adaptations of pairs, attached until the context ends."""
    if bank is None:
        return nullcontext()
    return bank.attach(model, torch.tensor([row for row, _ in pairs], device=model.device))


def ctc_losses(logits: Tensor, frames: Tensor, pairs: Sequence[Pair]) -> Tensor:
    """CTC loss (B,) of every pair, summed over its tokens; zero where the text cannot fit.

    Tokens that a speaker has added and these logits do not know, such as those of the source, are impossible.
    """
    targets = [example.target for _, example in pairs]
    unknown = max(int(target.max()) for target in targets) + 1 - logits.shape[-1]
    if unknown > 0:
        logits = functional.pad(logits, (0, unknown), value=IMPOSSIBLE)
    sizes = torch.tensor([len(target) for target in targets])
    log_probs = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    joined = torch.cat(targets).to(logits.device)
    return functional.ctc_loss(
        log_probs, joined, frames, sizes.to(logits.device), reduction="none", zero_infinity=True
    )


def source_distances(wanted: Tensor, logits: Tensor, frames: Tensor) -> Tensor:
    """Kullback-Leibler divergence (B,) of logits (B, F, V) from the source's, `wanted`, summed over frames."""
    got = logits[..., : wanted.shape[-1]].float().log_softmax(-1)  # the source knows nothing of added tokens
    wanted = wanted.float().log_softmax(-1)
    distances = functional.kl_div(got, wanted, reduction="none", log_target=True).sum(-1)  # (B, F)
    return (distances * mask(frames, logits.shape[1])).sum(1)


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
    passes: Passes | None = None,
) -> None:
    """Gradients of one update of the given rows: mean loss per token of each row's utterances.

    The update is made of as many passes as the memory asks for; their gradients are added up.
    """
    passes = passes or Passes(model, batch_seconds=options.batch_seconds, recompute=options.recompute)
    tokens = {row: sum(len(e.target) for e in examples) for row, examples in tasks.items()}
    pairs = [(row, example) for row, examples in tasks.items() for example in examples]

    def learn(batch: Sequence[Pair]) -> None:
        weights = torch.tensor([1 / max(1, tokens[row]) for row, _ in batch], device=model.device)
        wanted = _source_logits(model, batch) if options.anchor else None
        with attached(model, bank, batch):  # until the gradients are taken: activations may be computed again
            logits, frames = encode_pairs(model, None, batch)
            losses = ctc_losses(logits, frames, batch)
            if wanted is not None:
                distances = source_distances(wanted, logits, frames)
                losses = (1 - options.anchor) * losses + options.anchor * distances
            add_gradients((losses * weights).sum(), bank.tensors.values())

    for batch in pair_batches(model, pairs, passes.seconds, by_row=bank.one_speaker):
        passes.run(learn, batch)


@torch.no_grad()
def _source_logits(model: SourceModel, pairs: Sequence[Pair]) -> Tensor:
    return encode_pairs(model, None, pairs)[0]


@torch.no_grad()
def evaluate_pairs(
    model: SourceModel, bank: SpeakerBank | None, pairs: Sequence[Pair], options: TrainingOptions
) -> dict[int, Scores]:
    """Losses and errors of every row on its utterances, by greedy decoding; by the utterance's identity."""
    scores: dict[int, Scores] = {}
    by_row = bank is not None and bank.one_speaker
    tokens = (*model.tokens, *(bank.added if bank else ()))

    def listen(batch: Sequence[Pair]) -> list[tuple[float, str]]:
        logits, frames = encode_pairs(model, bank, batch)
        losses, texts = ctc_losses(logits, frames, batch), greedy_decode(logits, frames, tokens)
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
        self._passes = Passes(model, batch_seconds=options.batch_seconds, recompute=options.recompute)
        self._optimiser = RowAdam(bank.tensors, row_rates(bank, tasks), decay=options.decay)

    def step(self, number: int, active: Sequence[int]) -> None:
        """Update number `number` (from 0) of the rows `active`; the others stay as they are."""
        seconds = self.options.step_seconds
        work = {row: self._augmented(minibatch(self.tasks[row], number, seconds), row, number) for row in active}
        train_step(self.model, self.bank, work, self.options, self._passes)
        self._optimiser.step(torch.tensor(sorted(active), device=self.model.device))

    def _augmented(self, examples: Sequence[Example], row: int, number: int) -> list[Example]:
        """The examples of one update, changed by a seed of the row's own: company changes nothing."""
        options, seed = augmentation_for(self.model, self.options.augmentation), self.tasks[row].seed
        return [
            replace(example, features=augment(example.features, options, f"{seed}/{number}/{place}"))
            for place, example in enumerate(examples)
        ]


def train(trainer: Trainer, steps: Sequence[int], progress: Callable[[int], None] | None = None) -> None:
    """Train every row for its own number of steps (S,)."""
    for number in range(max(steps, default=0)):
        active = [row for row, last in enumerate(steps) if number < last]
        trainer.step(number, active)
        if progress:
            progress(len(active))
