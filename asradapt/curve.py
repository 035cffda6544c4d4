"""Learning curves: what more minutes of enrolment bring, measured, with repeats, in batched jobs.

A point of the curve is a person like any other, with a part of the recordings: all points and repeats of all
people are enrolled together (Viering and Loog, TPAMI 2023, on learning curves and their power laws).
"""

from __future__ import annotations

import math
import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.folds import speaker_seed
from asradapt.errors import ManifestError, UsageError
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, normalize, score, total
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber, Transcript, Window
from asradapt.types import Failure, Utterance

Progress = Callable[[str, float], None]
People = Mapping[str, Sequence[Utterance]]

ENOUGH = 0.95  # a person with this share of a point's minutes has them


@dataclass(frozen=True)
class CurveOptions:
    """Which points to measure.

    Attributes:
        minutes: Minutes of enrolment, rising.
        repeats: How many draws of the recordings; the points of one repeat are parts of each other.
        seed: Seed of the draws.
        enrolment: How each point is enrolled.
    """

    minutes: tuple[float, ...] = (0.5, 1.0, 2.0, 4.0, 8.0)
    repeats: int = 3
    seed: int = 0
    enrolment: EnrolmentOptions = field(default_factory=EnrolmentOptions)

    def __post_init__(self) -> None:
        problems = []
        if not self.minutes or any(not 0 < one < math.inf for one in self.minutes):
            problems.append(f"minutes must be above 0, got {', '.join(map(str, self.minutes)) or 'none'}")
        if list(self.minutes) != sorted(set(self.minutes)):
            problems.append("minutes must rise")
        if self.repeats < 1:
            problems.append(f"repeats must be at least 1, got {self.repeats}")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True)
class Run:
    """One repeat of one point, everybody together.

    Attributes:
        repeat: Number of the repeat, from 1.
        seconds: Audio that was enrolled, all people together.
        adapted: For how many people the gate accepted the adaptation.
        after: Summed errors on the test recordings.
    """

    repeat: int
    seconds: float
    adapted: int
    after: ErrorCounts

    def as_dict(self) -> dict[str, float]:
        """The run for `--json` outputs."""
        return {"repeat": self.repeat, "seconds": round(self.seconds, 1), "adapted": self.adapted} | {
            "wer": self.after.wer,
            "cer": self.after.cer,
        }


@dataclass(frozen=True)
class Point:
    """One point of the curve.

    Attributes:
        minutes: Minutes of enrolment.
        runs: Its repeats.
        forecast: The error rate that a power law through the points before it foretells; None for the first two.
    """

    minutes: float
    runs: tuple[Run, ...]
    forecast: float | None = None

    @property
    def mean(self) -> float:
        """Mean word error rate of the repeats."""
        return sum(run.after.wer for run in self.runs) / len(self.runs)

    @property
    def best(self) -> float:
        """Word error rate of the best repeat."""
        return min(run.after.wer for run in self.runs)

    @property
    def worst(self) -> float:
        """Word error rate of the worst repeat."""
        return max(run.after.wer for run in self.runs)

    @property
    def adapted(self) -> int:
        """Accepted adaptations of all repeats together."""
        return sum(run.adapted for run in self.runs)

    def as_dict(self) -> dict[str, object]:
        """The point for `--json` outputs."""
        return {
            "minutes": self.minutes,
            "wer": self.mean,
            "forecast": self.forecast,
            "runs": [run.as_dict() for run in self.runs],
        }


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        speakers: The people.
        source: Errors of the source model on the test recordings.
        points: The points, by minutes.
        tested: The test recordings with the texts of the source and of the first repeat of the longest point.
        failed: What could not be used.
        warnings: What somebody should look at.
    """

    speakers: tuple[str, ...]
    source: ErrorCounts
    points: tuple[Point, ...]
    tested: tuple[tuple[Utterance, str, str], ...]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The curve for `--json` outputs."""
        return {
            "speakers": list(self.speakers),
            "source": self.source.as_dict(),
            "points": [point.as_dict() for point in self.points],
        }


def draw(utterances: Sequence[Utterance], minutes: float, seed: int) -> list[Utterance]:
    """As many recordings as come closest to so many minutes, in an order that only the seed decides.

    Fewer minutes of the same seed are a part of more.
    """
    order = sorted(utterances, key=lambda one: str(one.audio))
    random.Random(seed).shuffle(order)
    drawn: list[Utterance] = []
    seconds, wanted = 0.0, 60 * minutes
    for one in order:
        length = one.duration or 0.0
        if drawn and abs(seconds + length - wanted) > abs(seconds - wanted):
            break
        drawn.append(one)
        seconds += length
    return drawn


def forecast(minutes: Sequence[float], rates: Sequence[float], at: float) -> float | None:
    """The error rate that a power law a * minutes ** -b through some points foretells; never rising."""
    points = [(math.log(x), math.log(y)) for x, y in zip(minutes, rates, strict=True) if y > 0]
    if len(points) < 2:
        return None
    xs, ys = zip(*points, strict=True)
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - middle) * (y - height) for x, y in points) / sum((x - middle) ** 2 for x in xs)
    return math.exp(height + min(0.0, slope) * (math.log(at) - middle))


def learning_curve(
    model: SourceModel,
    recordings: People,
    tests: People,
    options: CurveOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Curve:
    """Enrols people with more and more minutes and measures each on their test recordings.

    Args:
        model: The source model.
        recordings: What may be enrolled, by speaker, with durations.
        tests: What is measured, by speaker; people without tests are left out.
        options: Which points to measure.
        progress: Called with what is being done and the share of the whole that is done.

    Raises:
        ManifestError: Nobody has both kinds of recordings, durations are missing, or no point has enough audio.
    """
    options = options or CurveOptions()
    warnings: list[str] = []
    people = _people(recordings, tests, warnings)
    minutes = _minutes(people, recordings, options, warnings)
    tell: Progress = progress or (lambda stage, share: None)
    names = _names(people, minutes, options.repeats)
    parts = {
        name: draw(recordings[who], length, speaker_seed(options.seed + repeat, who))
        for (who, length, repeat), name in names.items()
    }
    with tempfile.TemporaryDirectory(prefix="asradapt-curve-") as folder:
        store = SpeakerStore(Path(folder))
        enrolment = replace(options.enrolment, seed=options.seed)
        done = enroll(
            model, parts, options=enrolment, store=store, progress=lambda stage, share: tell(stage, 0.85 * share)
        )
        failed, warnings = list(done.failed), warnings + list(done.warnings)
        adapted = {one.record.speaker for one in done.speakers if one.record.method != IDENTITY}
        heard = _hear(
            model,
            store,
            people,
            tests,
            names,
            adapted,
            failed,
            lambda share: tell("measuring", 0.85 + 0.15 * share),
        )
    points = _points(people, minutes, options.repeats, names, parts, adapted, heard, tests)
    longest = {who: names[who, minutes[-1], 1] for who in people}
    tested = tuple(
        (one, heard[id(one), ""], heard[id(one), longest[who]])
        for who in people
        for one in tests[who]
        if (id(one), longest[who]) in heard
    )
    source = total(score(u.text or "", text) for u, text, _ in tested)
    return Curve(people, source, points, tested, tuple(dict.fromkeys(failed)), tuple(dict.fromkeys(warnings)))


def _people(recordings: People, tests: People, warnings: list[str]) -> tuple[str, ...]:
    both = tuple(name for name in recordings if name in tests)
    if left := sorted({*recordings, *tests} - {*both}):
        warnings.append(f"{len(left)} speakers have no recordings of one of the two parts: {', '.join(left[:10])}")
    if not both:
        raise ManifestError("nobody has recordings both to enrol and to test; check --enroll and --test")
    unknown = [str(one.audio) for name in both for one in recordings[name] if not one.duration]
    if unknown:
        raise ManifestError(f"{len(unknown)} rows have no duration, such as {unknown[0]}: a curve needs them")
    return both


def _minutes(
    people: Sequence[str], recordings: People, options: CurveOptions, warnings: list[str]
) -> tuple[float, ...]:
    """The points for which everybody has enough audio."""
    least, who = min((sum(one.duration or 0 for one in recordings[name]) / 60, name) for name in people)
    kept = tuple(length for length in options.minutes if ENOUGH * length <= least)
    if dropped := [f"{length:g}" for length in options.minutes if length not in kept]:
        warnings.append(f"no point at {', '.join(dropped)} minutes: {who} has only {least:.1f}")
    if not kept:
        raise ManifestError(f"{who} has only {least:.2f} minutes; ask for fewer minutes than that")
    return kept


Names = dict[tuple[str, float, int], str]  # speaker, minutes, repeat: the name of the point in the store


def _names(people: Sequence[str], minutes: Sequence[float], repeats: int) -> Names:
    """A short name for every point; the order is that of the jobs, so that long points do not meet late."""
    keys = [(who, length, r) for length in reversed(minutes) for who in people for r in range(1, repeats + 1)]
    return {key: f"point-{number}" for number, key in enumerate(keys)}


Heard = dict[tuple[int, str], str]  # identity of the utterance, name of the point (empty: source): the text


def _hear(
    model: SourceModel,
    store: SpeakerStore,
    people: Sequence[str],
    tests: People,
    names: Names,
    adapted: set[str],
    failed: list[Failure],
    tell: Callable[[float], None],
) -> Heard:
    """The texts of all test recordings by the source and by every point; all points share the batches."""
    usable = [(who, one) for who in people for one in tests[who] if normalize(one.text or "")]
    rows = [(one, "", replace(one, speaker=None)) for _, one in usable]
    rows += [
        (one, name, replace(one, speaker=name))
        for (who, _, _), name in names.items()
        if name in adapted
        for owner, one in usable
        if owner == who
    ]
    origin = {id(row): (id(one), name) for one, name, row in rows}
    heard: Heard = {}
    for item in Transcriber(model, store).transcribe([row for *_, row in rows]):
        if isinstance(item, Window):
            failed += item.failed
        elif isinstance(item, Transcript):
            heard[origin[id(item.utterance)]] = item.text
            tell(len(heard) / len(rows))
    for (who, _, _), name in names.items():
        for owner, one in usable:
            if owner == who and name not in adapted and (id(one), "") in heard:
                heard[id(one), name] = heard[id(one), ""]  # the source is kept
    return heard


def _points(
    people: Sequence[str],
    minutes: Sequence[float],
    repeats: int,
    names: Names,
    parts: People,
    adapted: set[str],
    heard: Heard,
    tests: People,
) -> tuple[Point, ...]:
    points: list[Point] = []
    for length in minutes:
        runs = []
        for repeat in range(1, repeats + 1):
            own = {who: names[who, length, repeat] for who in people}
            counts = [
                score(one.text or "", heard[id(one), name])
                for who, name in own.items()
                for one in tests[who]
                if (id(one), name) in heard
            ]
            seconds = sum(one.duration or 0.0 for name in own.values() for one in parts[name])
            runs.append(Run(repeat, seconds, sum(name in adapted for name in own.values()), total(counts)))
        before = [(point.minutes, point.mean) for point in points]
        told = forecast([x for x, _ in before], [y for _, y in before], length) if len(before) > 1 else None
        points.append(Point(length, tuple(runs), told))
    return tuple(points)
