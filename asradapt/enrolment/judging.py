"""Cross-validation and both gates of everybody in a job, and what is remembered and said of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.compare import Comparison, compare, counts_in_use, nothing_new, worse_than_source
from asradapt.enrolment.gate import Verdict, decide
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.partly import Partly
from asradapt.enrolment.past import split_of
from asradapt.enrolment.people import Person
from asradapt.enrolment.retention import Retention
from asradapt.enrolment.selection import Choice, cross_validate
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.models.base import SourceModel, source_of
from asradapt.scoring import NORMALIZER, ErrorCounts, total
from asradapt.store import SpeakerRecord
from asradapt.wording import counted

HARDLY = 5  # updates: fewer than these were a matter of time, not of the recordings
DIFFERENT = 3  # texts at least: of one or two the folds say nothing, and everything would become them


@dataclass(frozen=True, eq=False)
class Judged:
    """A person after cross-validation and gate; no choice and no verdict where the recordings were too few.

    `doubt` says where the version in use, which stays unless this enrolment is accepted, is worse than the source;
    `partly` what recordings without texts brought.
    """

    person: Person
    before: tuple[ErrorCounts, ...]
    choice: Choice | None
    verdict: Verdict | None
    comparison: Comparison | None = None
    doubt: str = ""
    partly: Partly | None = None

    @property
    def accepted(self) -> bool:
        """Whether the adaptation is to be used."""
        better = self.verdict is not None and self.verdict.accepted
        return better and (self.comparison is None or self.comparison.accepted)

    @property
    def after(self) -> tuple[ErrorCounts, ...]:
        """Held-out counts of the adaptations; those of the source where there are none."""
        return self.verdict.after if self.verdict else self.before


def source_counts(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Error counts of the source alone, one an utterance, for everybody in one run."""
    pairs = [(row, example) for row, person in enumerate(people) for example in person.examples]
    scores = evaluate_pairs(model, None, pairs, options.training)
    return [
        tuple(scores[row].counts[id(example)] for example in person.examples) for row, person in enumerate(people)
    ]


def judge(
    model: SourceModel,
    people: Sequence[Person],
    options: EnrolmentOptions,
    clock: Clock,
    report: Callable[[float], None],
) -> list[Judged]:
    """Cross-validate everybody who has enough recordings and any new one, and pass each through the gate."""
    began = time.monotonic()
    before = source_counts(model, people, options)
    clock.measured(sum(person.seconds for person in people), began)
    known = {person.name: nothing_new(person) for person in people}
    able = [
        p
        for p in people
        if len(p.examples) >= options.least_utterances
        and len(p.folds) >= 2
        and _different(p) >= DIFFERENT
        and not known[p.name]
    ]
    selected = cross_validate(model, able, options, clock, report) if able else []
    by_name = {person.name: one for person, one in zip(able, selected, strict=True)}
    judged = []
    for person, counts in zip(people, before, strict=True):
        one = by_name.get(person.name)
        verdict = decide(counts, one.counts, confidence=options.confidence, seed=person.seed) if one else None
        current = counts_in_use(model, person, options)
        beside = compare(person, verdict, current) if verdict else known[person.name]
        doubt = _doubt(person, counts, current, options)
        judged.append(Judged(person, counts, one.choice if one else None, verdict, beside, doubt))
    return judged


def _doubt(
    person: Person, source: Sequence[ErrorCounts], current: Mapping[int, ErrorCounts], options: EnrolmentOptions
) -> str:
    before = [source[index] for index in current]
    after = list(current.values())
    return worse_than_source(person.past.version, before, after, confidence=options.confidence, seed=person.seed)


def _different(person: Person) -> int:
    """How many different texts there are: who says one word ten times is adapted to it, and not to a voice."""
    return len({example.text for example in person.examples})


def make_record(
    model: SourceModel, judged: Judged, retention: Retention | None, options: EnrolmentOptions, fits: int
) -> SpeakerRecord:
    """What is remembered about one enrolment, and how many trainings were averaged, with those of the folds."""
    person, choice, verdict = judged.person, judged.choice, judged.verdict
    heard = person.untranscribed if person.heard else ()  # any fold may have heard something in any of these
    methods = choice.setting.methods(options.method_options) if choice else ()
    own = {method.name: method.options() for method in methods}
    tried = asdict(replace(choice.setting, options=own)) if choice else {}
    tried |= {"steps": choice.steps, "strength": choice.strength, "fits": fits} if choice else {}
    words: dict[str, object] = dict(verdict.words.as_dict()) if verdict else {"low": None, "high": None}
    return SpeakerRecord(
        speaker=person.name,
        decision="adapted" if judged.accepted else "source",
        method=choice.setting.method if choice and judged.accepted else IDENTITY,
        options=own if judged.accepted else {},
        source=source_of(model),
        utterances=len(person.examples),
        seconds=round(person.seconds, 3),
        split=split_of(person.examples, person.folds, person.past, person.start, heard),
        seed=options.seed,
        folds={
            "before": total(judged.before).as_dict(),
            "after": total(judged.after).as_dict(),
            "low": words["low"],
            "high": words["high"],
            "normalizer": NORMALIZER,
        },
        gate={
            "confidence": options.confidence,
            "budget": options.budget,
            "chance": verdict.chance if verdict else None,
            "tried": tried,
            "retention": retention.as_dict() if retention else None,
        }
        | _beside(judged)
        | ({"partly": judged.partly.as_dict()} if judged.partly else {})
        | _precision(model),
    )


def _beside(judged: Judged) -> dict[str, object]:
    return {"current": judged.comparison.as_dict()} if judged.comparison else {}


def _precision(model: SourceModel) -> dict[str, object]:
    """What the frozen network computed with, where it is not full precision; the adaptation fits every one."""
    precision = model.card.get("precision", "fp32")
    return {} if precision == "fp32" else {"precision": precision}


def explain(judged: Judged, options: EnrolmentOptions) -> str:
    """The outcome in one plain sentence, with what speaks against the version that stays in use."""
    said = _outcome(judged, options)
    return f"{said}; {judged.doubt}" if judged.doubt and not judged.accepted else said


def _outcome(judged: Judged, options: EnrolmentOptions) -> str:
    if judged.verdict and judged.comparison and judged.verdict.accepted:
        beside = judged.comparison.explanation
        return f"{judged.verdict.explanation}; {beside}" if judged.accepted else beside
    if judged.verdict:
        short = options.budget is not None and judged.choice is not None and judged.choice.steps < HARDLY
        return judged.verdict.explanation + ("; the budget allowed hardly any training" if short else "")
    if judged.comparison:
        return judged.comparison.explanation
    count, different = len(judged.person.examples), _different(judged.person)
    if count >= options.least_utterances and different < DIFFERENT:
        says = f"{counted(count, 'recording')} {'says' if count == 1 else 'say'} {counted(different, 'text')}"
        return f"the source is kept: {says}, too few different ones to adapt to; {record_more(options)}"
    plural = "recording is" if count == 1 else "recordings are"
    return f"the source is kept: {count} usable {plural} too few to check an adaptation; {record_more(options)}"


def record_more(options: EnrolmentOptions) -> str:
    """The advice where recordings were too few."""
    return f"record at least {options.least_utterances} different sentences, better 10"
