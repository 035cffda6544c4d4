"""Learning from recordings without texts: a person's adaptation makes the model surer of what it hears.

Every person has a row of the bank for each fold, which never learns from its held-out recordings, and one that
learns from all of them; they train side by side. What is minimised is the loss of SUTA (Lin et al. 2022, entropy
and class confusion), here over all recordings of a person. The texts that the source hears with the language model
are not learned, which is worse (docs/untranscribed.md), but held-out recordings are compared with them. From a
minute of speech on a second half follows: `heard_texts`.

Letters: S rows of the bank.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.decoding import Decoder, Heard
from asradapt.enrolment.memory import Passes, add_gradients
from asradapt.enrolment.objective import Pair, adapted
from asradapt.enrolment.optimiser import RowAdam
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import portions
from asradapt.enrolment.pseudo import hear
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import Task, minibatch, pair_batches, row_rates
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts
from asradapt.scoring.alignment import align_items
from asradapt.test_time.losses import loss_problems, uncertainty

Report = Callable[[float], None]  # share of the work that is done
GRAINS = 10  # a confidence is counted in tenths, because counts are whole numbers
UNSURE = 0.3  # confidence below which a word counts for nothing


@dataclass(frozen=True)
class SelfTraining:
    """How a person's recordings without texts are learned from. The defaults were measured: docs/untranscribed.md.

    Attributes:
        method: What `--method auto` takes for the first half, whatever the amount of speech.
        rate: Factor on the methods' own learning rates.
        steps: Updates at least, however few the recordings.
        passes: Passes over the recordings, where these are more updates.
        rounds: How often held-out recordings are looked at; the best number of updates is chosen from these.
        temperature: Logits are divided by it before the loss.
        share: How much the entropy counts in the loss; the rest is class confusion.
        texts_from: Seconds of speech from which on a second half follows that learns from texts
            (`heard_texts`): those that the model hears after the first half.
        texts_steps: Updates of the second half at least.
        texts_passes: Passes over the recordings there, where these are more updates.
    """

    method: str = "input+affine"
    rate: float = 0.15
    steps: int = 12
    passes: int = 1
    rounds: int = 3
    temperature: float = 2.5
    share: float = 0.3
    texts_from: float = 60.0
    texts_steps: int = 80
    texts_passes: int = 12

    def __post_init__(self) -> None:
        problems = []
        if min(self.rounds, self.passes, self.steps, self.texts_steps, self.texts_passes) < 1:
            problems.append("rounds, passes and steps must be at least 1")
        if not self.rate > 0:
            problems.append(f"the rate must be above 0, got {self.rate}")
        problems += loss_problems(self.temperature, self.share)
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(eq=False)
class Candidates:
    """What was found in one half of the learning: by round and strength.

    Attributes:
        seen: What the folds make of the recordings that they have not learned from.
        states: For each of them the tensors that were learned from all recordings.
    """

    seen: list[Choice] = field(default_factory=list)
    states: list[dict[str, Tensor]] = field(default_factory=list)

    def add(self, choice: Choice, state: dict[str, Tensor]) -> None:
        """Note one more."""
        self.seen.append(choice)
        self.states.append(state)


@dataclass(eq=False)
class Learner:
    """One person who is learned from: rows, what was heard, and what has been found so far.

    Attributes:
        person: The recordings, with what the source heard as their texts.
        heard: The same with confidence, in the order of the recordings.
        phrases: The person's vocabulary.
        heard_again: What the folds hear after the first half in the recordings that they have not learned from.
        rows: A row for each fold, and last one for all recordings.
        first: Candidates of the first half.
        second: Those of the second half, where there was one.
    """

    person: Person
    heard: tuple[Heard, ...]
    phrases: tuple[str, ...] = ()
    heard_again: tuple[Heard, ...] = ()
    rows: range = range(0)
    first: Candidates = field(default_factory=Candidates)
    second: Candidates = field(default_factory=Candidates)

    def tasks(self) -> list[Task]:
        """What every row learns from."""
        setting, seed = self.person.settings[0], self.person.seed
        held_out = [set(fold) for fold in (*self.person.folds, ())]
        return [
            Task(tuple(e for i, e in enumerate(self.person.examples) if i not in fold), setting.rate, seed)
            for fold in held_out
        ]

    def tests(self, rows: Sequence[int]) -> list[Pair]:
        """Every held-out recording with the row, of those of the folds, that does not learn from it."""
        return [
            (row, self.person.examples[index])
            for row, fold in zip(rows, self.person.folds, strict=False)
            for index in fold
        ]


def agreement(heard: Heard, text: str) -> ErrorCounts:
    """How much of what was heard with the language model a text holds; sure words count more.

    Every word counts in tenths of its confidence, as whole numbers, and its letters with it; unsure words, and
    words that only the text has, do not count: nobody knows whether they were said.

    Args:
        heard: The words with their confidence.
        text: What is compared.
    """
    weights = iter([round(GRAINS * word.confidence) * (word.confidence >= UNSURE) for word in heard.words])
    words = wrong = deleted = letters = wrong_letters = 0
    for step in align_items([word.text for word in heard.words], text.split()):
        if step.kind == "insertion":
            continue
        weight = next(weights)
        words, letters = words + weight, letters + weight * len(step.said)
        wrong += weight * (step.kind == "substitution")
        deleted += weight * (step.kind == "deletion")
        wrong_letters += weight * len(step.said) * (step.kind != "hit")
    return ErrorCounts(wrong, deleted, 0, words, wrong_letters, letters)


def source_agreement(
    model: SourceModel, learners: Sequence[Learner], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Where the source alone misses what it hears with the language model."""
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
        rates = row_rates(self._bank, self._tasks)
        self._bank.requires_grad()
        training = options.training
        self._passes = Passes(model, batch_seconds=training.batch_seconds, recompute=training.recompute)
        self._optimiser = RowAdam(self._bank.tensors, rates, decay=options.training.decay, average=False)

    def run(self, report: Report) -> SpeakerBank:
        """All rounds; afterwards the learners hold their candidates. Returns what was learned, rows as theirs."""
        most = [self._most(task) for task in self._tasks]
        for number in range(1, self._plan.rounds + 1):
            marks = [round(last * number / self._plan.rounds) for last in most]
            while active := [row for row, mark in enumerate(marks) if self._done[row] < mark]:
                self._step(active)
                report(sum(self._done) / sum(most))
            self._judge(1.0)
        for strength in (s for s in self._options.strengths if s != 1.0):
            self._judge(strength)
        return self._bank.requires_grad(False)

    def _most(self, task: Task) -> int:
        """Updates of a row in all rounds together."""
        seconds = sum(example.seconds for example in task.train)
        return max(self._plan.steps, self._plan.passes * portions(seconds, len(task.train), self._options))

    def _step(self, active: Sequence[int]) -> None:
        """One update of the rows `active`, each from recordings of its own."""
        training = self._options.training
        work = {row: minibatch(self._tasks[row], self._done[row], training.step_seconds) for row in active}
        pairs = [(row, example) for row, examples in work.items() for example in examples]

        def learn(batch: Sequence[Pair]) -> None:
            weights = torch.tensor([1 / len(work[row]) for row, _ in batch], device=self._model.device)
            with adapted(self._model, self._bank, batch) as inputs:
                logits, frames = self._model.encode(*inputs)
                losses = uncertainty(logits, frames, temperature=self._plan.temperature, share=self._plan.share)
                add_gradients((losses * weights).sum(), self._bank.tensors.values())

        for batch in pair_batches(self._model, pairs, self._passes.seconds, by_row=self._bank.one_speaker):
            self._passes.run(learn, batch)
        self._optimiser.step(torch.tensor(active, device=self._model.device))
        for row in active:
            self._done[row] += 1

    def _judge(self, strength: float) -> None:
        """Note what the adaptations as they are, at this strength, make of the held-out recordings."""
        bank = self._bank.scaled(torch.full((self._bank.speakers,), strength))
        judged = [(one, one.rows, one.person.settings[0], self._done[one.rows[-1]]) for one in self._learners]
        choices = judge(self._model, bank, judged, strength, self._options)
        for one, choice in zip(self._learners, choices, strict=True):
            one.first.add(choice, bank.state(one.rows[-1]))


def judge(
    model: SourceModel,
    bank: SpeakerBank,
    judged: Sequence[tuple[Learner, Sequence[int], Setting, int]],
    strength: float,
    options: EnrolmentOptions,
) -> list[Choice]:
    """What adaptations make of the recordings that they have not learned from: a candidate for each learner.

    Args:
        model: The source model.
        bank: The adaptations at their strength.
        judged: Learners, each with the rows of its folds, and what these have been trained by and how often.
        strength: The strength.
        options: Sizes of the batches.
    """
    pairs = [pair for one, rows, _, _ in judged for pair in one.tests(rows)]
    found = hear(model, bank, pairs, Decoder(model.tokens, model.frame_seconds), options.training)
    texts = {id(example): heard.text for (_, example), heard in zip(pairs, found, strict=True)}
    choices = []
    for one, _, setting, steps in judged:
        said = [texts[id(example)] for example in one.person.examples]
        counts = tuple(agreement(heard, text) for heard, text in zip(one.heard, said, strict=True))
        again = [agreement(heard, text) for heard, text in zip(one.heard_again, said, strict=False)]
        missed = tuple(count.character_errors for count in again)
        choices.append(Choice(setting, steps, float(steps), strength, counts, (), missed=missed))
    return choices


def prefer_clearly(seen: Sequence[Choice], indices: Sequence[int]) -> Choice:
    """The candidate to use, judged on some recordings: the full training unless another is clearly better.

    There is no text whose loss could tell candidates apart, and the fewest missed words are mostly luck, so
    another candidate must be better by more than the standard error of the difference (the one-standard-error
    rule, Breiman et al. 1984). Those of a second half are judged by the words that the first half hears: those of
    the source favour what has hardly changed.
    """
    usual = max((choice for choice in seen if choice.strength == 1.0), key=lambda choice: choice.steps)

    def missed(choice: Choice) -> list[int]:
        return [choice.missed[i] if choice.missed else choice.counts[i].character_errors for i in indices]

    best = min(seen, key=lambda choice: sum(missed(choice)))
    gains = [old - new for old, new in zip(missed(usual), missed(best), strict=True)]
    mean = sum(gains) / len(gains)
    deviation = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, len(gains) - 1))
    return best if sum(gains) > deviation * math.sqrt(len(gains)) else usual


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
