"""Learning from recordings without texts: a person's adaptation makes the model surer of what it hears.

Every person has a row of the bank for each fold, which never learns from its held-out recordings, and one that
learns from all of them; they train side by side. What is minimised is the loss of SUTA (Lin et al. 2022, entropy
and class confusion), here over all recordings of a person, along the gradient itself and not by Adam, which moves
what is noise as far as what counts and gains less for most people. The texts that are heard with the language
model are not learned, which is worse (docs/untranscribed.md), but held-out recordings are compared with them. From
a minute of speech on, or half a minute where the first half helps, a second half follows: `heard_texts`.

Letters: S rows of the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.decoding import Decoder
from asradapt.enrolment.lanes import Lanes
from asradapt.enrolment.learners import Learner, agreement, judge
from asradapt.enrolment.memory import gradients_of
from asradapt.enrolment.objective import Pair, adapted
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.pseudo import hear
from asradapt.enrolment.training import Task, minibatch, row_rates
from asradapt.enrolment.updates import RowGradients, add_up
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts
from asradapt.test_time import EachOptions, depth_shares, descend, direction
from asradapt.test_time.losses import loss_problems, uncertainty

Report = Callable[[float], None]  # share of the work that is done


@dataclass(frozen=True)
class SelfTraining:
    """How a person's recordings without texts are learned from. The defaults were measured: docs/untranscribed.md.

    Attributes:
        method: What `--method auto` takes for the first half, whatever the amount of speech.
        rate: Factor on the methods' own rates; their product is the root mean square by which an update of the
            first half changes each tensor at the first site.
        last: The share of it at the last site; it falls evenly from site to site in between.
        steps: Updates of the first half.
        step_seconds: Audio of one row in one of these updates, at most.
        rounds: How often held-out recordings are looked at; the best number of updates is chosen from these.
        temperature: Logits are divided by it before the loss.
        share: How much the entropy counts in the loss; the rest is class confusion.
        texts_from: Seconds of speech from which on a second half follows that learns from texts
            (`heard_texts`): those that the model hears after the first half.
        texts_earlier: Seconds from which on it follows for people whom the first half helps, as the gate says.
        texts_steps: Updates of the second half at least.
        texts_passes: Passes over the recordings there, where these are more updates.
        each: How every recording adapts the source to itself before the source hears in it, with the language
            model, the words that adaptations are judged by; None lets the source hear as it is.
    """

    method: str = "input+affine"
    rate: float = 0.6
    last: float = 0.2
    steps: int = 4
    step_seconds: float = 120.0
    rounds: int = 3
    temperature: float = 2.5
    share: float = 0.3
    texts_from: float = 60.0
    texts_earlier: float = 30.0
    texts_steps: int = 80
    texts_passes: int = 12
    each: EachOptions | None = field(default_factory=EachOptions)

    def __post_init__(self) -> None:
        problems = []
        if min(self.rounds, self.steps, self.texts_steps, self.texts_passes) < 1:
            problems.append("rounds, passes of texts and steps must be at least 1")
        if not (self.rate > 0 and self.step_seconds > 0):
            problems.append("rate and seconds of an update must be above 0")
        if not 0 <= self.last <= 1:
            problems.append(f"the rate's share at the last site must lie from 0 to 1, got {self.last}")
        problems += loss_problems(self.temperature, self.share)
        if problems:
            raise UsageError("; ".join(problems))


def source_agreement(
    model: SourceModel, learners: Sequence[Learner], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Where the source alone misses what is heard with the language model."""
    pairs = [(0, example) for one in learners for example in one.person.examples]
    found = iter(hear(model, None, pairs, Decoder(model.tokens, model.frame_seconds), options.training))
    return [tuple(agreement(heard, next(found).text) for heard in one.heard) for one in learners]


class _Job:
    """All people of a job, who learn by the same method, from the first round to the last.

    Args:
        model: The frozen source model.
        learners: Who learns; rows, candidates and states are filled in.
        options: Folds, strengths, sizes.
        plan: Rounds and steps.
    """

    def __init__(
        self,
        model: SourceModel,
        learners: Sequence[Learner],
        options: EnrolmentOptions,
        plan: SelfTraining,
    ) -> None:
        self._model, self._learners, self._options, self._plan = model, learners, options, plan
        self._tasks: list[Task] = []  # a row each
        for one in learners:
            one.rows = range(len(self._tasks), len(self._tasks) + len(one.person.folds) + 1)
            self._tasks += one.tasks()
        rows = len(self._tasks)
        self._done = [0] * rows  # updates of each row
        methods = learners[0].person.settings[0].methods(options.method_options)
        self._bank = SpeakerBank(model, methods, speakers=rows, seed=options.seed)
        shares = depth_shares(self._bank, model, plan.last)
        self._rates = {name: rate * shares[name] for name, rate in row_rates(self._bank, self._tasks).items()}
        self._bank.requires_grad()
        training = options.training
        self._lanes = Lanes(model, batch_seconds=training.batch_seconds, recompute=training.recompute)

    def run(self, report: Report) -> SpeakerBank:
        """All rounds; afterwards the learners hold their candidates. Returns what was learned, rows as theirs."""
        most = [self._plan.steps] * len(self._tasks)
        for number in range(1, self._plan.rounds + 1):
            marks = [round(last * number / self._plan.rounds) for last in most]
            while active := [row for row, mark in enumerate(marks) if self._done[row] < mark]:
                self._step(active)
                report(sum(self._done) / sum(most))
            self._judge(1.0)
        for strength in (s for s in self._options.strengths if s != 1.0):
            self._judge(strength)
        return self._bank.requires_grad(False)

    def _step(self, active: Sequence[int]) -> None:
        """One update of the rows `active`, each from recordings of its own."""
        seconds = self._plan.step_seconds
        work = {row: minibatch(self._tasks[row], self._done[row], seconds) for row in active}
        pairs = [(row, example) for row, examples in work.items() for example in examples]

        learn = self._learn_together if self._bank.one_speaker else self._learn
        add_up(self._lanes, self._bank, learn, pairs)
        descend(self._bank.tensors, self._rates)  # the other rows have no gradient
        for row in active:
            self._done[row] += 1

    def _learn(self, lane: SourceModel, batch: Sequence[Pair]) -> RowGradients:
        """The direction of every recording, all of one size, beside the row that it is for."""
        rows = [row for row, _ in batch]
        own = self._bank.select(rows).requires_grad()  # a row of its own for each recording
        with adapted(lane, own, [(place, example) for place, (_, example) in enumerate(batch)]) as inputs:
            found = gradients_of(self._losses(lane, *inputs).sum(), own.tensors)
        return rows, {name: direction(gradient) for name, gradient in found.items()}

    def _learn_together(self, lane: SourceModel, batch: Sequence[Pair]) -> RowGradients:
        """The same where a batch has one set of tensors: the sum of the gradients as they are."""
        (row,) = {row for row, _ in batch}
        own = self._bank.select([row]).requires_grad()
        with adapted(lane, own, [(0, example) for _, example in batch]) as inputs:
            return [row], gradients_of(self._losses(lane, *inputs).sum(), own.tensors)

    def _losses(self, lane: SourceModel, features: Tensor, frames: Tensor) -> Tensor:
        """How unsure the model is of each recording (B,)."""
        logits, frames = lane.encode(features, frames)
        return uncertainty(logits, frames, temperature=self._plan.temperature, share=self._plan.share)

    def _judge(self, strength: float) -> None:
        """Note what the adaptations as they are, at this strength, make of the held-out recordings."""
        bank = self._bank.scaled(torch.full((self._bank.speakers,), strength))
        judged = [(one, one.rows, one.person.settings[0], self._done[one.rows[-1]]) for one in self._learners]
        choices = judge(self._model, bank, judged, strength, self._options)
        for one, choice in zip(self._learners, choices, strict=True):
            one.first.add(choice, bank.state(one.rows[-1]))


def self_train(
    model: SourceModel,
    learners: Sequence[Learner],
    options: EnrolmentOptions,
    plan: SelfTraining,
    report: Report,
) -> SpeakerBank:
    """Let everybody learn by their own doubt, side by side; the learners then hold candidates with the tensors.

    Args:
        model: The source model; it is not changed.
        learners: Who learns, at least one, all by the same method.
        options: Strengths and sizes.
        plan: How.
        report: Called with the share of the work that is done.

    Returns:
        What was learned; `Learner.rows` says whose rows are whose.
    """
    return _Job(model, learners, options, plan).run(report)
