"""What more speech would bring, foretold from the folds: the chosen setting once more on a part of the speech.

The error falls about as a power of the amount of speech, log e(x) = log e(x') - b log(x / x') (Viering and Loog,
TPAMI 2023). The exponent b of one person is uncertain: what the folds say is shrunk towards what is typical, by
how sure each of the two is (normal prior and likelihood).

Letters: N utterances, R resamples.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.examples import Example
from asradapt.enrolment.objective import Pair
from asradapt.enrolment.options import EnrolmentOptions, Forecast
from asradapt.enrolment.people import Person
from asradapt.enrolment.planning import portions
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, total

MORE_SECONDS = 180.0
PART = 1 / 3
"""Share of each fold's training speech in the additional run, which is two fifths more training at most."""
LEAST_SECONDS, LEAST_UTTERANCES = 60.0, 12
"""With less speech nothing is foretold."""
TYPICAL, SPREAD = 0.08, 0.08
"""The typical exponent, and its standard deviation among people."""
DRAWN = 0.1
"""Standard deviation of the exponent of the folds by which part was drawn; docs/recordings.md has these three."""
CONFIDENCE = 0.8
RESAMPLES = 1000

Counts = Sequence[ErrorCounts]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Accepted:
    """A person whose adaptation passed the gate: the chosen setting, and the held-out counts of the gate."""

    person: Person
    choice: Choice
    after: tuple[ErrorCounts, ...]

    @property
    def enough(self) -> bool:
        """Whether there is enough speech, and enough left to hear better, to foretell anything.

        Not where training began with an earlier version, or learned from what was heard: how much speech with
        texts that stands for is no point of a curve.
        """
        if self.person.start.version or self.person.heard:
            return False
        long = self.person.seconds >= LEAST_SECONDS and len(self.person.examples) >= LEAST_UTTERANCES
        return long and total(self.after).errors > 0


@dataclass(frozen=True)
class Curve:
    """The end of a learning curve: word error rate `rate` at `seconds` of speech, falling with `exponent`.

    Attributes:
        seconds: Training speech of a fold.
        rates: Resampled word error rates there (R).
        exponents: Resampled exponents (R), none below 0.
        rate: The error rate that was measured.
        exponent: The shrunk exponent.
    """

    seconds: float
    rates: Floats
    exponents: Floats
    rate: float
    exponent: float

    def at(self, seconds: float) -> float:
        """The word error rate foretold for so much training speech."""
        return self.rate * math.pow(seconds / self.seconds, -self.exponent)

    def gains(self, start: float, end: float) -> Floats:
        """Resampled falls (R) of the error rate between two amounts of speech."""
        return self.rates * ((start / self.seconds) ** -self.exponents - (end / self.seconds) ** -self.exponents)


def foretell(model: SourceModel, accepted: Sequence[Accepted], options: EnrolmentOptions) -> dict[str, Forecast]:
    """The forecast of everybody of a job who has enough speech, by name."""
    return {
        one.person.name: make_forecast(curve, one.person.seconds)
        for one, curve in curves(model, accepted, options)
    }


def make_forecast(curve: Curve, seconds: float, more: float = MORE_SECONDS) -> Forecast:
    """What `more` seconds beyond the person's own would bring."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(curve.gains(seconds, seconds + more), (tail, 100 - tail))
    return Forecast(more, curve.at(seconds), curve.at(seconds + more), float(low), float(high), CONFIDENCE)


def curves(
    model: SourceModel, accepted: Sequence[Accepted], options: EnrolmentOptions
) -> list[tuple[Accepted, Curve]]:
    """Train the chosen settings once more on parts of the folds, alike ones in one job, and fit the curves."""
    able = [one for one in accepted if one.enough]
    found = []
    of_each = [one.choice.setting.methods(options.method_options) for one in able]
    for methods in dict.fromkeys(of_each):
        chosen = [one for one, own in zip(able, of_each, strict=True) if own == methods]
        less = _less_speech(model, chosen, methods, options)
        found += [(one, fit(one, counts)) for one, counts in zip(chosen, less, strict=True)]
    return found


def fold_seconds(person: Person) -> float:
    """Mean training speech of a fold."""
    return person.seconds * (1 - 1 / len(person.folds))


def _less_speech(
    model: SourceModel, chosen: Sequence[Accepted], methods: Sequence[Method], options: EnrolmentOptions
) -> list[list[ErrorCounts]]:
    """Held-out counts of each person's setting, trained on a part of each fold."""
    tasks: list[Task] = []
    steps: list[int] = []
    strengths: list[float] = []
    pairs: list[Pair] = []
    for one in chosen:
        for fold in one.person.folds:
            part = _part(one.person, set(fold))
            pairs += [(len(tasks), one.person.examples[index]) for index in fold]
            tasks.append(Task(part, one.choice.setting.rate, one.person.seed))
            passes = one.choice.share * portions(sum(e.seconds for e in part), len(part), options)
            steps.append(max(min(one.choice.steps, options.least_steps), round(passes)))
            strengths.append(one.choice.strength)
    bank = SpeakerBank(model, methods, speakers=len(tasks), seed=options.seed)
    train(Trainer(model, bank, tasks, options.training), steps)
    bank.requires_grad(False)
    return _held_out(model, bank.scaled(torch.tensor(strengths)), pairs, chosen, options)


def _held_out(
    model: SourceModel,
    bank: SpeakerBank,
    pairs: Sequence[Pair],
    chosen: Sequence[Accepted],
    options: EnrolmentOptions,
) -> list[list[ErrorCounts]]:
    scores = evaluate_pairs(model, bank, pairs, options.training)
    counts = {key: value for entry in scores.values() for key, value in entry.counts.items()}
    return [[counts[id(example)] for example in one.person.examples] for one in chosen]


def _part(person: Person, held_out: set[int]) -> tuple[Example, ...]:
    """A random part of what a fold trains on, at least one utterance."""
    left = [example for index, example in enumerate(person.examples) if index not in held_out]
    wanted = PART * sum(example.seconds for example in left)
    random.Random(person.seed).shuffle(left)
    part: list[Example] = []
    while left and sum(example.seconds for example in part) + left[-1].seconds / 2 < wanted:
        part.append(left.pop())
    return tuple(part) or (left[-1],)


def fit(one: Accepted, less: Counts) -> Curve:
    """The curve through the error with a part of the speech and with all of it, typical where that is unsure."""
    few, many, after = (_errors(counts) for counts in (less, one.choice.counts, one.after))
    words = np.array([c.words for c in less], dtype=np.float64)
    generator = np.random.default_rng(one.person.seed)
    draws = generator.integers(len(words), size=(RESAMPLES, len(words)))
    seen = _exponent(few[draws].sum(axis=1), many[draws].sum(axis=1))
    weight = SPREAD**2 / (SPREAD**2 + DRAWN**2 + float(seen.var()))
    drawn = generator.normal(0, weight * DRAWN, RESAMPLES)
    people = generator.normal(0, (1 - weight) * SPREAD, RESAMPLES)
    exponents = np.maximum(0.0, weight * seen + (1 - weight) * TYPICAL + drawn + people)
    exponent = weight * _exponent(few.sum(), many.sum()) + (1 - weight) * TYPICAL
    rates = after[draws].sum(axis=1) / words[draws].sum(axis=1)
    return Curve(fold_seconds(one.person), rates, exponents, total(one.after).wer, max(0.0, float(exponent)))


def _errors(counts: Counts) -> Floats:
    return np.array([c.errors for c in counts], dtype=np.float64)


def _exponent(few: Floats | float, many: Floats | float) -> Floats:
    """The exponent between a part of the speech and all of it; half an error more, so that none is zero."""
    return np.asarray((np.log(np.asarray(few) + 0.5) - np.log(np.asarray(many) + 0.5)) / -math.log(PART))
