"""Cross-validation of folds x settings for many people in one batched run per method.

Letters: S rows of the bank, one for every person, setting and fold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.objective import Pair
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.past import load_starts
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import affordable, keeps_folds, plan_marks, portions
from asradapt.enrolment.training import APART, Task, Trainer
from asradapt.enrolment.updates import Scores, evaluate_pairs
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts

LEVEL = 0.1
"""By so much of itself the least held-out cost may be exceeded by a longer training: docs/adaptation.md."""
Report = Callable[[float], None]  # share of the work that is done


@dataclass(frozen=True)
class Choice:
    """One of a setting's checkpoints and strengths, judged on held-out folds.

    Attributes:
        setting: What was tried.
        steps: Number of updates.
        share: The same as passes over the training part of a fold, for training on everything.
        strength: Interpolation towards the identity.
        counts: Held-out error counts, one an utterance, in the person's order.
        losses: Held-out CTC losses, one an utterance.
        texts: What was heard in each held-out utterance, in the person's order.
        missed: By what candidates are chosen that learned without texts, one an utterance; empty for `counts`.
        learned: What the folds have learnt, (folds, ...) each, in full strength; of what is used alone.
    """

    setting: Setting
    steps: int
    share: float
    strength: float
    counts: tuple[ErrorCounts, ...]
    losses: tuple[float, ...]
    texts: tuple[str, ...] = ()
    missed: tuple[int, ...] = ()
    learned: Mapping[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def cost(self, indices: Iterable[int] | None = None) -> float:
        """Held-out loss in nats, and one more for every wrong character, of some utterances or of all.

        With ten sentences the least number of errors is mostly luck; the loss weighs every character by how sure
        the model is of it, and tells candidates apart long before the errors do. But it grows with sureness
        where long training still lowers the errors, so it does not decide alone.
        """
        chosen = range(len(self.losses)) if indices is None else indices
        found = sum(self.losses[index] + self.counts[index].character_errors for index in chosen)
        return found if math.isfinite(found) else math.inf  # who has diverged is the last choice


Preference = Callable[[Sequence[Choice], Sequence[int]], Choice]  # the candidate to use, judged on some utterances


@dataclass(frozen=True)
class Selected:
    """A person's preferred candidate, and an unflattered estimate of what choosing like this brings.

    Attributes:
        choice: The preferred candidate on all folds.
        counts: Held-out error counts, one an utterance: each fold by the candidate preferred on the others.
    """

    choice: Choice
    counts: tuple[ErrorCounts, ...]


@dataclass(eq=False)
class Trial:
    """One person with one setting: its rows, and what was seen so far."""

    person: Person
    setting: Setting
    rows: range
    portions: int
    marks: tuple[int, ...]
    least: dict[float, float] = field(default_factory=dict)  # held-out cost by strength
    seen: list[Choice] = field(default_factory=list)
    learned: Mapping[str, Tensor] = field(default_factory=dict)  # by the folds of the preferred one
    misses: int = 0
    done: bool = False

    @property
    def preferred(self) -> Choice:
        """The candidate to use so far; there must have been a look."""
        return prefer(self.seen, range(len(self.person.examples)))

    def learn(self, bank: SpeakerBank, steps: int) -> None:
        """Keep what the folds have learnt after so many updates, if that is to be used so far."""
        if self.preferred.steps == steps:
            self.learned = bank.select(self.rows).tensors

    def result(self) -> list[Choice]:
        """All candidates, the preferred one with what its folds have learnt."""
        used = self.preferred if self.seen else None
        return [replace(choice, learned=self.learned) if choice is used else choice for choice in self.seen]

    def pairs(self) -> list[Pair]:
        """Every held-out utterance with the row that has not seen it."""
        held_out = zip(self.rows, self.person.folds, strict=True)
        return [(row, self.person.examples[index]) for row, fold in held_out for index in fold]

    def choice(self, scores: Mapping[int, Scores], steps: int, strength: float) -> Choice:
        """The result of all folds together."""
        counts = {key: value for row in self.rows for key, value in scores[row].counts.items()}
        losses = {key: value for row in self.rows for key, value in scores[row].losses.items()}
        texts = {key: text for row in self.rows for key, text in scores[row].texts.items()}
        examples = self.person.examples
        return Choice(
            self.setting,
            steps,
            steps / self.portions,
            strength,
            tuple(counts[id(example)] for example in examples),
            tuple(losses[id(example)] for example in examples),
            tuple(texts[id(example)] for example in examples),
        )


def plan(
    people: Sequence[Person], methods: Sequence[Method], options: EnrolmentOptions
) -> tuple[list[Trial], list[Task]]:
    """Rows and tasks of everybody who tries these methods."""
    trials: list[Trial] = []
    tasks: list[Task] = []
    for person in people:
        for setting in (s for s in person.settings if s.methods(options.method_options) == methods):
            start = len(tasks)
            for number in range(len(person.folds)):
                tasks.append(Task(person.part(number), setting.rate, person.seed + APART * number))
            train = tasks[start].train
            count = portions(sum(e.seconds for e in train), len(train), options)
            rows = range(start, len(tasks))
            trials.append(Trial(person, setting, rows, count, plan_marks(count, options)))
    return trials, tasks


def look(trainer: Trainer, trials: Sequence[Trial], steps: int, options: EnrolmentOptions) -> None:
    """Judge trials on their held-out utterances, at every strength; end what improves at none of them any more.

    Far along the path the full adaptation has learnt its recordings by heart, but the way from it to the source
    leads past models that are better than all met earlier on the path (Wortsman et al. 2022, arXiv 2109.01903).
    """
    pairs = [pair for trial in trials for pair in trial.pairs()]
    before = [dict(trial.least) for trial in trials]
    for strength in options.strengths:
        bank = trainer.result
        if strength != 1.0:
            bank = bank.scaled(torch.full((bank.speakers,), strength))
        scores = evaluate_pairs(trainer.model, bank, pairs, trainer.options)
        for trial in trials:
            choice = trial.choice(scores, steps, strength)
            trial.seen.append(choice)
            trial.least[strength] = min(choice.cost(), trial.least.get(strength, math.inf))
    for trial, earlier in zip(trials, before, strict=True):
        wanted = keeps_folds(trial.person) or trial.person.to_hear  # the folds are to hear these
        if wanted and not trainer.bank.one_speaker:  # whole encoders would be much
            trial.learn(trainer.result, steps)
        trial.misses = trial.misses + 1 if trial.least == earlier else 0
        trial.done = trial.misses >= options.patience or steps >= trial.marks[-1]


def run_method(
    model: SourceModel,
    people: Sequence[Person],
    methods: Sequence[Method],
    options: EnrolmentOptions,
    clock: Clock,
    report: Report,
) -> list[Trial]:
    """All trials of the same methods, trained together; each ends by itself, and all of them when time is over."""
    trials, tasks = plan(people, methods, options)
    bank = SpeakerBank(model, methods, speakers=len(tasks), seed=options.seed)
    load_starts(bank, ((row, trial.person.start.state) for trial in trials for row in trial.rows))
    trainer = Trainer(model, bank, tasks, options.training)
    planned = sum(trial.marks[-1] * len(trial.rows) for trial in trials)
    for number in range(max(trial.marks[-1] for trial in trials)):
        running = [trial for trial in trials if not trial.done]
        if not running:
            break
        trainer.step(number, [row for trial in running for row in trial.rows])
        over = clock.over
        due = running if over else [trial for trial in running if number + 1 in trial.marks]
        if due:
            look(trainer, due, number + 1, options)
        if over:
            break
        left = sum((trial.marks[-1] - number - 1) * len(trial.rows) for trial in trials if not trial.done)
        report(1 - left / planned)
    return trials


def prefer(seen: Sequence[Choice], indices: Sequence[int]) -> Choice:
    """The candidate to use, judged on some utterances: of the best setting the longest training that is level.

    Level is what has a held-out cost of a tenth above the least at most. The loss grows with sureness where long
    training still lowers the errors, and what the strength takes back of a long training is more than a short one
    lacks; of the strengths the one with the least cost is used.
    """
    costs = [choice.cost(indices) for choice in seen]
    best = seen[costs.index(min(costs))]
    level = [(c, cost) for c, cost in zip(seen, costs, strict=True) if c.setting == best.setting]
    level = [(c, cost) for c, cost in level if cost <= (1 + LEVEL) * min(costs)]
    last = max(choice.steps for choice, _ in level)
    return min(((c, cost) for c, cost in level if c.steps == last), key=lambda one: one[1])[0]


def select(person: Person, seen: Sequence[Choice], preferred: Preference = prefer) -> Selected:
    """The preferred candidate; and each fold judged by a choice that has not seen it (nested selection).

    When to stop was seen from all folds together.
    """
    counts: dict[int, ErrorCounts] = {}
    everything = range(len(person.examples))
    for fold in person.folds:
        held_out = set(fold)
        chosen = preferred(seen, [index for index in everything if index not in held_out])
        counts |= {index: chosen.counts[index] for index in fold}
    return Selected(preferred(seen, everything), tuple(counts[index] for index in everything))


def cross_validate(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions, clock: Clock, report: Report
) -> list[Selected]:
    """The best setting, number of updates and strength of every person, in the order of `people`."""
    people = affordable(people, options, clock)
    settings = (setting for person in people for setting in person.settings)
    together = list(dict.fromkeys(setting.methods(options.method_options) for setting in settings))
    seen: dict[str, list[Choice]] = {person.name: [] for person in people}
    for index, methods in enumerate(together):

        def part(share: float, before: int = index) -> None:
            report((before + share) / len(together))

        for trial in run_method(model, people, methods, options, clock, part):
            seen[trial.person.name] += trial.result()
    return [select(person, seen[person.name]) for person in people]
