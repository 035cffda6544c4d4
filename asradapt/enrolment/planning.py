"""How many updates an enrolment takes, when held-out error is looked at, and what the time allows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from asradapt.enrolment.clock import Clock
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.training import update_seconds

SOONEST = 1 / 12
"""The first look at held-out error, as a share of the most updates."""
MANY_FITS, FEW_FITS, FEW_FROM = 4, 2, 300.0
"""Trainings whose mean is kept without folds, below so many seconds of speech and from there on."""
LEAST_PART = 0.4
"""What every fold learns from, of all the speech, if it is to be kept."""


def keeps_folds(person: Person) -> bool:
    """Whether what the folds learn is kept: three at least, each from a good part of the recordings.

    Much speech teaches clearly more than two thirds of it; and readings of one sentence are in one fold, so that
    the others may learn from next to nothing.
    """
    parts = [sum(person.examples[index].seconds for index in fold) for fold in person.folds]
    seconds = person.learned_seconds
    least = seconds - max(parts, default=0.0)  # that a fold learns from
    return seconds < FEW_FROM and len(parts) > 2 and least >= LEAST_PART * seconds


def usual_fits(seconds: float) -> int:
    """Trainings on all of this much speech whose mean is kept: with little of it each learns more by chance."""
    return MANY_FITS if seconds < FEW_FROM else FEW_FITS


def fits_of(setting: Setting, seconds: float, options: EnrolmentOptions) -> int:
    """Trainings of so much speech where no folds are kept: as asked for or usual, one of a whole encoder."""
    if options.fits is not None:
        return max(1, options.fits)
    whole = any(method.one_speaker for method in setting.methods(options.method_options))
    return 1 if whole else usual_fits(seconds)


def portions(seconds: float, utterances: int, options: EnrolmentOptions) -> int:
    """Number of updates that one pass over this much audio takes; agrees with what `Trainer` takes."""
    one = update_seconds(seconds, options.training.step_seconds)
    return max(1, min(utterances, round(seconds / one)))


def plan_marks(steps_a_pass: int, options: EnrolmentOptions) -> tuple[int, ...]:
    """The numbers of updates at which held-out error is looked at, up to the most allowed.

    Each is about a third more than the one before: what is best after few updates is found as exactly, in
    proportion, as what is best after many, and who learns quickly ends soon.
    """
    most, last = max(options.least_steps, options.passes * steps_a_pass), options.checkpoints - 1
    marks = [most * SOONEST ** ((last - i) / max(1, last)) for i in range(options.checkpoints)]
    return tuple(sorted({max(1, round(mark)) for mark in marks}))


def cost(person: Person, options: EnrolmentOptions) -> float:
    """Seconds of audio in all updates of all folds of one setting."""
    count = len(person.folds)
    seconds = person.learned_seconds - person.seconds / max(1, count)  # of the training part of a fold
    steps_a_pass = portions(seconds, len(person.everything), options)
    return count * plan_marks(steps_a_pass, options)[-1] * seconds / steps_a_pass


def affordable(people: Sequence[Person], options: EnrolmentOptions, clock: Clock) -> list[Person]:
    """The people with as many of their settings, the first ones, as the time allows."""
    most = max((len(person.settings) for person in people), default=0)
    costs = [sum(cost(p, options) for p in people if len(p.settings) > rank) for rank in range(most)]
    count = clock.affordable(costs)
    return [replace(person, settings=person.settings[:count]) for person in people]
