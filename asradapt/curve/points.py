"""What a learning curve is asked for, and what it consists of."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from asradapt.enrolment import EnrolmentOptions
from asradapt.errors import UsageError
from asradapt.scoring import ErrorCounts, Interval
from asradapt.types import Failure, Utterance


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
        change: Difference of the mean of the repeats from the source, with its 95% interval: for other people, or
            for other recordings where there is one person.
    """

    minutes: float
    runs: tuple[Run, ...]
    forecast: float | None = None
    change: Interval | None = None

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
            "change": None if self.change is None else self.change.as_dict() | {"over": self.change.over},
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
