"""Simulated experiments with a known truth: what is drawn, and how often intervals hold it and tests cry wolf.

In an experiment people with error rates of their own say utterances of 4 to 12 words (isolated words: of one);
every word is misheard by chance; a second system changes everybody's rate by their own amount. What is
simulated is known, so it can be counted how often an interval holds it. The tables: `simulated_statistics.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from asradapt.scoring import (
    ErrorCounts,
    McNemar,
    Step,
    mapsswe,
    mcnemar,
    paired_bootstrap,
    rate_interval,
    sign_flip,
)
from asradapt.scoring.groups import gap_by_chance

HEARD_ARIGHT = 0.95  # of the words that a system hears anew
HEARD_ANEW = (1, 2, 3)  # how many words of an utterance, where any


@dataclass(frozen=True)
class World:
    """What is simulated.

    Attributes:
        speakers: People in an experiment.
        utterances: Utterances of each.
        change: Mean change of the error rate.
        spread: Standard deviation of the change between people.
        words: Fewest and most words of an utterance.
        rate: Mean error rate of the first system.
        difference: Standard deviation of the error rate between people.
        kept: Share of the people for whom the second system is the first, as where the gate keeps the source.
        uneven: Whether people say unequal amounts: from 2 to twice as many utterances less 2.
        touched: If above 0, the share of the utterances of which the second system hears one to three words anew,
            and nearly always aright; else it is as the first, and `change` means nothing.
    """

    speakers: int
    utterances: int
    change: float = -0.05
    spread: float = 0.0
    words: tuple[int, int] = (4, 12)
    rate: float = 0.5
    difference: float = 0.1
    kept: float = 0.0
    uneven: bool = False
    touched: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """One simulated test set: counts of two systems, who said what, and which words were misheard."""

    before: list[ErrorCounts]
    after: list[ErrorCounts]
    speakers: list[str]
    misheard: list[tuple[list[bool], list[bool]]]


def experiment(world: World, generator: np.random.Generator) -> Experiment:
    """Draws people, and what both systems mishear of them."""
    found = Experiment([], [], [], [])
    low, high = world.words
    for speaker in range(world.speakers):
        least = min(0.15, world.rate)
        first = float(np.clip(generator.normal(world.rate, world.difference), least, 0.85))
        change = float(np.clip(generator.normal(world.change, world.spread), -0.14, 0.14))
        kept = world.kept > 0 and generator.random() < world.kept
        said = int(generator.integers(2, 2 * world.utterances - 1)) if world.uneven else world.utterances
        for _ in range(said):
            words = int(generator.integers(low, high + 1))
            wrong = [(generator.random(words) < rate).tolist() for rate in (first, first + change)]
            wrong[1] = wrong[0] if kept else wrong[1]
            if world.touched:
                wrong[1] = touched(wrong[0], world, generator)
            found.before.append(ErrorCounts(sum(wrong[0]), 0, 0, words, 0, words))
            found.after.append(ErrorCounts(sum(wrong[1]), 0, 0, words, 0, words))
            found.speakers.append(str(speaker))
            found.misheard.append((wrong[0], wrong[1]))
    return found


def touched(wrong: list[bool], world: World, generator: np.random.Generator) -> list[bool]:
    """What a system hears that rarely hears words of an utterance anew."""
    if generator.random() >= world.touched:
        return wrong
    found = list(wrong)
    for place in generator.choice(len(wrong), size=generator.choice(HEARD_ANEW), replace=False):
        found[place] = bool(generator.random() >= HEARD_ARIGHT)
    return found


def true_change(world: World) -> float:
    """The change of the error rate of everybody there could be; clipping moves the mean a little."""
    if world.touched:
        words = sum(HEARD_ANEW) / len(HEARD_ANEW)
        return world.touched * words * (1 - HEARD_ARIGHT - world.rate) / (sum(world.words) / 2)
    generator = np.random.default_rng(12345)
    changes = np.clip(generator.normal(world.change, world.spread, 2_000_000), -0.14, 0.14)
    return (1 - world.kept) * float(changes.mean())


def coverage(world: World, experiments: int, seed: int, *, over_speakers: bool) -> float:
    """Share of the 95% intervals that hold the truth."""
    held, given = intervals(world, experiments, seed, over_speakers=over_speakers)
    return held / given


def intervals(world: World, experiments: int, seed: int, *, over_speakers: bool) -> tuple[int, int]:
    """In how many experiments the 95% interval holds the truth, and in how many there is one."""
    generator, truth, held, given = np.random.default_rng(seed), true_change(world), 0, 0
    for number in range(experiments):
        one = experiment(world, generator)
        who = one.speakers if over_speakers else None
        found = paired_bootstrap(one.before, one.after, speakers=who, samples=1000, seed=number)
        if found.low is not None and found.high is not None:
            given += 1
            held += found.low <= truth <= found.high
    return held, given


def percentiles(one: Experiment, seed: int, *, doubled: bool) -> tuple[float, float]:
    """What asradapt does not use: percentiles over speakers, `doubled` with utterances drawn again inside them."""
    speakers = len(set(one.speakers))
    rows = [(a.errors, b.errors, a.words) for a, b in zip(one.before, one.after, strict=True)]
    table = np.array(rows).reshape(speakers, -1, 3)  # (speakers, utterances, 3)
    generator = np.random.default_rng(seed)
    who = generator.integers(speakers, size=(500, speakers))
    drawn = table[who]  # (resamples, speakers, utterances, 3)
    if doubled:
        what = generator.integers(table.shape[1], size=(*who.shape, table.shape[1], 1))
        drawn = np.take_along_axis(drawn, what, axis=2)
    sums = drawn.sum(axis=(1, 2))
    low, high = np.quantile((sums[:, 1] - sums[:, 0]) / sums[:, 2], [0.025, 0.975])
    return float(low), float(high)


def coverage_of_percentiles(world: World, experiments: int, seed: int, *, doubled: bool) -> float:
    """Share of the experiments whose interval of `percentiles` holds the truth."""
    generator, truth, held = np.random.default_rng(seed), true_change(world), 0
    for number in range(experiments):
        low, high = percentiles(experiment(world, generator), number, doubled=doubled)
        held += low <= truth <= high
    return held / experiments


def coverage_of_spread(world: World, experiments: int, seed: int) -> tuple[int, int]:
    """What asradapt does not use, over utterances: Student's t times the spread of what happened to change.

    Returns:
        How often that holds the truth where two utterances or more changed, and in how many experiments they did.
    """
    generator, truth, held, given = np.random.default_rng(seed), true_change(world), 0, 0
    for _ in range(experiments):
        one = experiment(world, generator)
        rows = [(b.errors - a.errors, a.words) for a, b in zip(one.before, one.after, strict=True)]
        changes, words = np.array(rows).T
        if np.count_nonzero(changes) < 2:
            continue
        found, units = changes.sum() / words.sum(), len(rows)
        error = np.sqrt(np.square(changes - found * words).sum() * units / (units - 1)) / words.sum()
        given += 1
        held += bool(abs(found - truth) <= -stdtrit(units - 1, 0.025) * error)
    return held, given


def excludes_zero(one: Experiment, seed: int, who: list[str] | None) -> bool:
    """Whether the 95% interval says that the systems differ."""
    found = paired_bootstrap(one.before, one.after, speakers=who, samples=1000, seed=seed)
    assert found.low is not None
    assert found.high is not None
    return not found.low <= 0 <= found.high


def _steps(wrong: list[bool]) -> tuple[Step, ...]:
    return tuple(
        Step("substitution", str(place), "x") if bad else Step("hit", str(place), str(place))
        for place, bad in enumerate(wrong)
    )


def _by_segments(one: Experiment, seed: int) -> bool:
    p = mapsswe((_steps(a), _steps(b)) for a, b in one.misheard).p
    return p is not None and p <= 0.05


def _by_signs(one: Experiment, seed: int) -> bool:
    changes = [new.errors - old.errors for old, new in zip(one.before, one.after, strict=True)]
    return sign_flip(changes, samples=2000, seed=seed) <= 0.05


def _mcnemar(one: Experiment) -> McNemar:
    return mcnemar(*([count.errors == 0 for count in counts] for counts in (one.before, one.after)))


TESTS: dict[str, Callable[[Experiment, int], bool]] = {
    "interval over speakers": lambda one, seed: excludes_zero(one, seed, one.speakers),
    "interval over utterances": lambda one, seed: excludes_zero(one, seed, None),
    "MAPSSWE": _by_segments,
    "sign flip (one-sided)": _by_signs,
    "McNemar (mid-p)": lambda one, seed: _mcnemar(one).p <= 0.05,
    "McNemar (exact)": lambda one, seed: _mcnemar(one).exact <= 0.05,
}


def false_alarms(world: World, test: str, experiments: int, seed: int) -> float:
    """Share of the experiments without any difference in which a test at 5% finds one."""
    generator = np.random.default_rng(seed)
    return sum(TESTS[test](experiment(world, generator), n) for n in range(experiments)) / experiments


def rate_coverage(world: World, experiments: int, seed: int) -> tuple[int, int]:
    """In how many experiments a rate's interval over speakers holds the truth, and in how many there is one."""
    generator, held, given = np.random.default_rng(seed), 0, 0
    for number in range(experiments):
        one = experiment(world, generator)
        found = rate_interval(one.before, speakers=one.speakers, samples=1000, seed=number)
        if found.low is not None and found.high is not None:
            given += 1
            held += found.low <= world.rate <= found.high
    return held, given


def gap_alarms(world: World, groups: int, experiments: int, seed: int) -> float:
    """Share of the experiments in which groups drawn by lot have a gap beyond chance at 5%."""
    generator, found = np.random.default_rng(seed), 0
    for number in range(experiments):
        one = experiment(world, generator)
        lots = [f"group {int(name) % groups}" for name in one.speakers]
        p = gap_by_chance(one.before, lots, one.speakers, samples=200, seed=number)
        found += p is not None and p <= 0.05
    return found / experiments
