"""Self-training: a person's adaptation learns from what the model itself hears with its language model.

Every person has a row of the bank for each fold, which never learns from its held-out recordings, and one that
learns from all of them; they train side by side. After every round each row hears its recordings anew with what it
has learned, and learns from that in the next (Kahn et al. 2020; rounds as in Xu et al. 2020). Held-out
recordings are compared with what the *source* made of them, which no adaptation has touched.

Letters: S rows of the bank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import Decoder, Heard
from asradapt.enrolment.examples import Example
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.pseudo import hear, labelled
from asradapt.enrolment.selection import Choice, Person, portions
from asradapt.enrolment.training import Pair, Task, Trainer, evaluate_pairs, train
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts

Report = Callable[[float], None]  # share of the work that is done
GRAINS = 10  # a confidence is counted in tenths, because counts are whole numbers


@dataclass(frozen=True)
class SelfTraining:
    """How a person's recordings without texts are learned from.

    Attributes:
        rounds: How often the recordings are heard anew and learned from.
        passes: Passes over the recordings in a round.
        least_steps: Updates of a round at least, however few the recordings.
        least_confidence: Recordings of which a smaller share of the words is expected to be right teach nothing
            in this round.
    """

    rounds: int = 2
    passes: int = 2
    least_steps: int = 6
    least_confidence: float = 0.3

    def __post_init__(self) -> None:
        problems = []
        if min(self.rounds, self.passes, self.least_steps) < 1:
            problems.append("rounds, passes and steps must be at least 1")
        if not 0 <= self.least_confidence < 1:
            problems.append(f"the least confidence must lie from 0 to below 1, got {self.least_confidence}")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(eq=False)
class Learner:
    """One person who is learned from: rows, what the source heard, and what has been found so far.

    Attributes:
        person: The recordings, with what the source heard as their texts.
        heard: The same with confidence, in the order of the recordings.
        phrases: The person's vocabulary.
        rows: A row for each fold, and last one for all recordings.
        seen: Candidates, by round and strength.
        states: For each of them the tensors that were learned from all recordings.
    """

    person: Person
    heard: tuple[Heard, ...]
    phrases: tuple[str, ...] = ()
    rows: range = range(0)
    seen: list[Choice] = field(default_factory=list)
    states: list[dict[str, Tensor]] = field(default_factory=list)

    def lessons(self) -> list[Pair]:
        """Every row with the recordings that it may learn from."""
        held_out = [set(fold) for fold in (*self.person.folds, ())]
        return [
            (row, example)
            for row, left_out in zip(self.rows, held_out, strict=True)
            for index, example in enumerate(self.person.examples)
            if index not in left_out
        ]

    def tests(self) -> list[Pair]:
        """Every held-out recording with the row that does not learn from it."""
        return [
            (row, self.person.examples[index])
            for row, fold in zip(self.rows, self.person.folds, strict=False)
            for index in fold
        ]


def weighted(counts: Sequence[ErrorCounts], heard: Sequence[Heard]) -> tuple[ErrorCounts, ...]:
    """Counts of recordings, each as often as tenths of its words are expected to be right."""
    names = [one.name for one in fields(ErrorCounts)]
    return tuple(
        ErrorCounts(**{name: getattr(one, name) * round(GRAINS * text.confidence) for name in names})
        for one, text in zip(counts, heard, strict=True)
    )


def source_agreement(
    model: SourceModel, learners: Sequence[Learner], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Weighted counts of where the source alone differs from what it hears with the language model."""
    pairs = [(row, example) for row, one in enumerate(learners) for example in one.person.examples]
    scores = evaluate_pairs(model, None, pairs, options.training)
    return [
        weighted([scores[row].counts[id(example)] for example in one.person.examples], one.heard)
        for row, one in enumerate(learners)
    ]


class _Job:
    """All people who learn by the same method, from the first round to the last.

    Args:
        model: The frozen source model.
        learners: Who learns; rows, candidates and states are filled in.
        method: By which method.
        decoder: The teacher.
        options: Folds, strengths, sizes.
        plan: Rounds and steps.
    """

    def __init__(
        self,
        model: SourceModel,
        learners: Sequence[Learner],
        method: str,
        decoder: Decoder,
        options: EnrolmentOptions,
        plan: SelfTraining,
    ) -> None:
        self._model, self._learners, self._decoder, self._options, self._plan = (
            model,
            learners,
            decoder,
            options,
            plan,
        )
        rows = 0
        for one in learners:
            one.rows = range(rows, rows + len(one.person.folds) + 1)
            rows = one.rows.stop
        self._bank = SpeakerBank(model, create(method, options.method_options), speakers=rows, seed=options.seed)
        self._phrases = {row: one.phrases for one in learners for row in one.rows}
        self._steps = [0] * rows

    def run(self, report: Report) -> None:
        """All rounds; afterwards the learners hold their candidates."""
        trainer: Trainer | None = None
        for number in range(self._plan.rounds):
            tasks = self._tasks(number)
            trainer = trainer or Trainer(self._model, self._bank, tasks, self._options.training)
            trainer.tasks = tasks
            steps = [self._steps_of(task) for task in tasks]
            done = 0

            def advance(count: int, total: int = sum(steps), before: int = number) -> None:
                nonlocal done
                done += count
                report((before + done / total) / self._plan.rounds)

            train(trainer, steps, advance)
            self._steps = [old + new for old, new in zip(self._steps, steps, strict=True)]
            self._judge(1.0)
        for strength in (s for s in self._options.strengths if s != 1.0):
            self._judge(strength)

    def _tasks(self, number: int) -> list[Task]:
        """What every row learns from in this round."""
        pairs = [pair for one in self._learners for pair in one.lessons()]
        if number == 0:
            known = {
                id(e): h for one in self._learners for e, h in zip(one.person.examples, one.heard, strict=True)
            }
            heard = [known[id(example)] for _, example in pairs]
        else:
            heard = hear(self._model, self._bank, pairs, self._decoder, self._options.training, self._phrases)
        lessons: dict[int, list[tuple[float, Example]]] = {}
        for (row, example), text in zip(pairs, heard, strict=True):
            if (lesson := labelled(self._model, example, text)) is not None:
                lessons.setdefault(row, []).append((text.confidence, lesson))
        return [
            Task(self._sure(lessons.get(row, [])), one.person.settings[0].rate, one.person.seed + number)
            for one in self._learners
            for row in one.rows
        ]

    def _sure(self, lessons: Sequence[tuple[float, Example]]) -> tuple[Example, ...]:
        """The lessons that are sure enough; all where none is."""
        sure = tuple(example for confidence, example in lessons if confidence >= self._plan.least_confidence)
        return sure or tuple(example for _, example in lessons)

    def _steps_of(self, task: Task) -> int:
        if not task.train:
            return 0
        seconds = sum(example.seconds for example in task.train)
        one_pass = portions(seconds, len(task.train), self._options)
        return max(self._plan.least_steps, self._plan.passes * one_pass)

    def _judge(self, strength: float) -> None:
        """Note what the adaptations as they are, at this strength, make of the held-out recordings."""
        bank = self._bank.scaled(torch.full((self._bank.speakers,), strength))
        pairs = [pair for one in self._learners for pair in one.tests()]
        scores = evaluate_pairs(self._model, bank, pairs, self._options.training)
        for one in self._learners:
            folds = [row for row in one.rows if row in scores]
            counts: Mapping[int, ErrorCounts] = {k: v for row in folds for k, v in scores[row].counts.items()}
            ordered = weighted([counts[id(example)] for example in one.person.examples], one.heard)
            steps, loss = self._steps[one.rows[-1]], sum(scores[row].loss for row in folds) / len(folds)
            one.seen.append(Choice(one.person.settings[0], steps, float(steps), strength, ordered, loss))
            one.states.append(bank.state(one.rows[-1]))


def self_train(
    model: SourceModel,
    learners: Sequence[Learner],
    decoder: Decoder,
    options: EnrolmentOptions,
    plan: SelfTraining,
    report: Report,
) -> None:
    """Let everybody learn, one batched job a method; the learners then hold their candidates with the tensors."""
    methods = list(dict.fromkeys(one.person.settings[0].method for one in learners))
    for index, method in enumerate(methods):

        def part(share: float, before: int = index) -> None:
            report((before + share) / len(methods))

        chosen = [one for one in learners if one.person.settings[0].method == method]
        _Job(model, chosen, method, decoder, options, plan).run(part)
