"""Passes over utterances, each adapted by its row of a bank: gradients for an update, losses and texts.

Letters: B batch, R rows of a bank that take part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

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
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel, computed_seconds
from asradapt.scoring import ErrorCounts, score

# rows of a bank, and by the tensor's name the gradients (R, ...)
RowGradients = tuple[list[int], dict[str, Tensor]]


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
        inner: What the inner outputs over phones count in the loss, beside the text, where the source model has
            such; the phones are what `pronounce_en` says of the text.
        augmentation: How recordings are changed at every update.
        average: Whether the result is the average of the path of training, not its end.
        bf16: Whether gradients are computed in bf16; None does where the processor is faster in it.
    """

    step_seconds: float = 30.0
    batch_seconds: float = 0.0
    recompute: bool | None = None
    decay: float = 0.05
    anchor: float = 0.0
    inner: float = 2.0
    augmentation: Augmentation = NO_AUGMENTATION
    average: bool = True
    bf16: bool | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.anchor < 1:
            raise UsageError(f"anchor must lie from 0 to below 1, got {self.anchor}")
        if not 0 <= self.inner < float("inf"):
            raise UsageError(f"inner must be 0 or more, and finite, got {self.inner}")


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
        lengths = [round(computed_seconds(model, example.heard_seconds) * 1000) for _, example in group]
        for indices in length_batches(lengths, budget=round(seconds * 1000)):
            yield [group[index] for index in indices]


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
        with (
            coarse(lane, options.bf16),
            objective_of(lane).losses(own, mine, options.anchor, options.inner) as losses,
        ):
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
    seconds = lanes.seconds([computed_seconds(model, example.heard_seconds) for _, example in pairs])
    batches = list(pair_batches(model, pairs, seconds, by_row=bank.one_speaker))
    for rows, gradients in lanes.run(learn, batches):
        places = torch.tensor(rows, device=model.device)
        for name, found in gradients.items():
            tensor = bank.tensors[name]
            if tensor.grad is None and len(rows) == len(tensor):
                tensor.grad = found.clone()  # autograd may give one tensor for two
                continue
            tensor.grad = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
            tensor.grad.index_add_(0, places, found)


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
