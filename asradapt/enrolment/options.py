"""What an enrolment is told and what it returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from torch import Tensor

from asradapt.adaptation.method import METHODS, Method, create
from asradapt.enrolment.augmentation import Augmentation
from asradapt.enrolment.partly import Partly
from asradapt.enrolment.retention import Retention
from asradapt.enrolment.screening import LeftOut
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import UsageError
from asradapt.scoring import ErrorCounts, Interval
from asradapt.store import SpeakerRecord
from asradapt.store.kept import Kept
from asradapt.types import Failure


@dataclass(frozen=True)
class Setting:
    """One candidate of the cross-validation.

    Attributes:
        method: Name of a method or combination.
        rate: Factor on the methods' own learning rates.
        options: Options by method name; what an enrolment is given by its user comes before them.
    """

    method: str
    rate: float = 1.0
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict, hash=False)

    def methods(self, given: Mapping[str, Mapping[str, object]]) -> tuple[Method, ...]:
        """The methods with their options; settings with the same ones train together.

        Args:
            given: Options by method name that the user wants, of whatever methods.
        """
        names = self.method.split("+")
        return create(self.method, {name: {**self.options.get(name, {}), **given.get(name, {})} for name in names})


@dataclass(frozen=True)
class EnrolmentOptions:
    """How a person is enrolled.

    Attributes:
        method: `auto`, a method such as `affine`, or a combination such as `affine+lowrank`.
        method_options: Options by method name, for example `{"lowrank": {"rank": 8}}`.
        add_tokens: Characters that the model cannot write and these people learn to: a run of them, or
            `FROM_TEXTS` for those of each person's own texts. What a person has added before stays.
        folds: Number of cross-validation folds; at least 2.
        rates: Factors on the learning rate that are tried.
        fits: Trainings on all recordings whose mean, with what the folds have learnt, is kept; None takes as many
            as suit the amount of speech (`fitting.trainings_of`), 0 the folds alone where they are kept
            (`planning.keeps_folds`; never of methods that change a whole encoder). Fewer where a budget asks so.
        strengths: Interpolations towards the identity that are tried, 1 being the full adaptation.
        passes: Most passes over the recordings.
        least_steps: Least number of updates that is allowed for, however few the recordings.
        checkpoints: How often held-out error is looked at; the best number of updates is chosen from these.
        patience: Checkpoints without improvement after which a setting leaves the job.
        least_utterances: Fewer usable utterances than this keep the source.
        confidence: 1 minus the probability of chance that the gate tolerates.
        speakers_at_once: Most speakers in one job; bounds the memory.
        budget: About so many seconds of computing for each person; fewer updates, and settings where there are
            several, are tried where it is short, so that the result depends on the machine. None for no limit.
        seed: Seed of the folds, the order and the bootstrap.
        training: Sizes of batches and steps.
        forecast: Foretell what more speech would bring, which is up to two fifths more training.
        strict: Enrol nobody unless every recording of everybody passes the checks.
    """

    method: str = "auto"
    method_options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    add_tokens: str = ""
    folds: int = 3
    rates: tuple[float, ...] = (1.0,)
    fits: int | None = None
    strengths: tuple[float, ...] = (1.0, 0.7, 0.5)
    passes: int = 40
    least_steps: int = 80
    checkpoints: int = 8
    patience: int = 3
    least_utterances: int = 4
    confidence: float = 0.9
    speakers_at_once: int = 16
    budget: float | None = None
    seed: int = 0
    training: TrainingOptions = field(default_factory=lambda: TrainingOptions(augmentation=Augmentation()))
    forecast: bool = True
    strict: bool = False

    def __post_init__(self) -> None:
        problems = []
        if self.folds < 2:
            problems.append(f"folds must be at least 2, got {self.folds}")
        if not self.rates or any(rate <= 0 for rate in self.rates):
            problems.append(f"rates must be positive, got {self.rates}")
        if 1.0 not in self.strengths or any(not 0 < strength <= 1 for strength in self.strengths):
            problems.append(f"strengths must lie above 0 and up to 1, with 1 among them, got {self.strengths}")
        if self.budget is not None and not self.budget > 0:
            problems.append(f"the budget must be longer than 0 s, got {self.budget}")
        if not 0.5 <= self.confidence < 1:
            problems.append(f"confidence must lie from 0.5 to below 1, got {self.confidence}")
        if min(self.passes, self.least_steps, self.checkpoints, self.patience, self.speakers_at_once) < 1:
            problems.append("passes, steps, checkpoints, patience and speakers at once must be at least 1")
        if self.fits is not None and self.fits < 0:
            problems.append(f"fits must be at least 0, or None for as many as suit, got {self.fits}")
        unknown = self.method_options.keys() - METHODS.keys()
        problems += [f"options for {name!r}, which is no method" for name in sorted(unknown)]
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True)
class Forecast:
    """What more speech would bring.

    Attributes:
        more_seconds: How much more speech, in seconds.
        now: Word error rate foretold for the adaptation to all recordings of this enrolment (fraction).
        then: The same after that much more.
        low: Least fall of the error rate (fraction) that is likely.
        high: Greatest fall that is likely.
        confidence: Probability that the fall lies between the two.
    """

    more_seconds: float
    now: float
    then: float
    low: float
    high: float
    confidence: float

    def as_dict(self) -> dict[str, float]:
        """The forecast for `--json` outputs and the record."""
        return {name: round(value, 4) for name, value in asdict(self).items()}

    def __str__(self) -> str:
        gain, rates = 100 * (self.now - self.then), f"from {self.now:.1%} to {self.then:.1%}"
        interval = f"{self.confidence:.0%} interval {100 * self.low:.1f} to {100 * self.high:.1f} points"
        return (
            f"{self.more_seconds / 60:g} more minutes of speech would bring about {gain:.1f} points "
            f"(word error rate {rates}; {interval})"
        )


@dataclass(frozen=True, eq=False)
class Enrolled:
    """One person after enrolment.

    Attributes:
        record: What is stored as `speaker.json`.
        state: The adaptation's tensors, (1, ...) each; empty where the source is kept.
        before: Error counts of the source on all usable utterances.
        after: Error counts of the adaptations of the folds, each on the utterances it was not trained on.
        interval: Paired bootstrap of after minus before, in words.
        explanation: The gate's decision in one plain sentence.
        wall_seconds: Computing time; in a job of many, the job's time divided by the speakers in it.
        retention: What the adaptation does to other people's speech; None where the source is kept.
        left_out: Recordings that were not trained on, and why.
        remarks: What could be recorded better, in sentences.
        forecast: What more speech would bring; None where there is too little to tell.
        stays: The earlier version that stays in use, because this enrolment is not better; 0 for none.
        start: What training began with, in a plain sentence; empty where there was nothing before.
        kept: The recordings that are kept with the speaker; None without agreement.
        partly: What recordings without texts brought; None where there were none, or nothing to try.
    """

    record: SpeakerRecord
    state: Mapping[str, Tensor]
    before: ErrorCounts
    after: ErrorCounts
    interval: Interval
    explanation: str
    wall_seconds: float
    retention: Retention | None = None
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()
    forecast: Forecast | None = None
    stays: int = 0
    start: str = ""
    kept: Kept | None = None
    partly: Partly | None = None

    def as_dict(self) -> dict[str, object]:
        """The person as an entry of `enroll --json`."""
        return {
            "speaker": self.record.speaker,
            "decision": self.record.decision,
            "method": self.record.method,
            "utterances": self.record.utterances,
            "seconds": self.record.seconds,
            "folds": {
                "before": self.before.wer,
                "after": self.after.wer,
                "low": self.interval.low,
                "high": self.interval.high,
            },
            "retention": self.retention.as_dict() if self.retention else None,
            "wall_seconds": self.wall_seconds,
            "explanation": self.explanation,
            "version": self.record.version,
            "left_out": [one.as_dict() for one in self.left_out],
            "remarks": list(self.remarks),
            "forecast": self.forecast.as_dict() if self.forecast else None,
            "transcribed": self.record.transcribed,
            "stays": self.stays or None,
            "start": self.start,
            "kept_audio": self.kept.as_dict() if self.kept else None,
            "partly": self.partly.as_dict() if self.partly else None,
        }


@dataclass(frozen=True)
class Enrolment:
    """Everybody of one call, and what could not be used."""

    speakers: tuple[Enrolled, ...]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]
