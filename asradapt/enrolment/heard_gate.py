"""The gate of an enrolment without transcripts: which half of the learning is used, if any, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from torch import Tensor

from asradapt.decoding import Decoder
from asradapt.enrolment.gate import Verdict, decide
from asradapt.enrolment.heard_texts import setting_of
from asradapt.enrolment.judging import Judged, explain, make_record
from asradapt.enrolment.learners import Learner, prefer_clearly
from asradapt.enrolment.options import Enrolled, EnrolmentOptions
from asradapt.enrolment.planning import fits_of
from asradapt.enrolment.retention import RetentionCheck
from asradapt.enrolment.selection import Choice, select
from asradapt.enrolment.self_training import SelfTraining
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, Interval, total
from asradapt.store import SpeakerStore
from asradapt.types import Failure

REFERENCE = "words that the source, adapted to each recording, hears with the language model, by confidence"
"""What error counts of an enrolment without transcripts are relative to."""
EACH = ", and `transcribe --adapt-each` needs no enrolment"
"""What else helps, without texts and without anything to judge by."""


@dataclass(frozen=True, eq=False)
class Work:
    """What all steps of an enrolment without transcripts need."""

    model: SourceModel
    decoder: Decoder
    options: EnrolmentOptions
    plan: SelfTraining
    store: SpeakerStore | None
    check: RetentionCheck
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def _explain(judged: Judged, options: EnrolmentOptions) -> str:
    """The outcome in one plain sentence."""
    verdict = judged.verdict
    if total(judged.before).words == 0:
        return "the source is kept: no word in these recordings is sure enough to judge by; record more clearly"
    if total(judged.before).errors == 0:
        return "the source is kept: the language model changes nothing in these recordings, so they teach nothing"
    if verdict is None:
        return explain(judged, options)
    old, new = total(verdict.before), total(verdict.after)
    change = (
        "on held-out recordings the model alone misses "
        f"{old.wer:.1%} of the words that are heard with the language model before and {new.wer:.1%} after"
    )
    if verdict.accepted:
        odds = f"{verdict.chance:.1%}" if verdict.chance >= 0.001 else "under 0.1%"
        return f"adapted without transcripts: {change} (chance alone does as well in {odds} of cases)"
    if verdict.words.difference < 0 and new.character_errors >= old.character_errors:
        return f"the source is kept: no fewer wrong letters, which decide, although {change}"
    if verdict.words.difference < 0:
        return (
            f"the source is kept: {change}, which may be chance; more recordings, or their texts, would tell{EACH}"
        )
    return f"the source is kept: {change}, no improvement; recordings with their texts would help more{EACH}"


def first_passes(work: Work, learner: Learner, before: Sequence[ErrorCounts]) -> bool:
    """Whether the gate would let the first half of the learning pass, were it all."""
    person = learner.person
    counts = select(person, learner.first.seen, prefer_clearly).counts
    return _decide(before, counts, work.options.confidence, person.seed).accepted


def _decide(before: Sequence[ErrorCounts], after: Sequence[ErrorCounts], confidence: float, seed: int) -> Verdict:
    """The gate, which overlooks no word here: these counts are tenths of words that may not have been said."""
    return decide(before, after, confidence=confidence, seed=seed, overlooked=0)


@dataclass(frozen=True)
class _Outcome:
    """What the gate says of one half of the learning."""

    choice: Choice
    verdict: Verdict
    state: Mapping[str, Tensor]
    fits: int


def _outcome(work: Work, learner: Learner, before: tuple[ErrorCounts, ...]) -> _Outcome | None:
    """The second half, if it passes the gate, else the first one; None where nothing was learned.

    The first half has then had a second chance, so that it may be by chance in half as many cases.
    """
    person, tolerated = learner.person, 1 - work.options.confidence
    fits = fits_of(setting_of(learner, work.options), person.seconds, work.options)
    halves = [(learner.second, fits), (learner.first, 1)]
    outcomes = []
    for found, count in halves:
        if found.seen:
            selected = select(person, found.seen, prefer_clearly)
            verdict = _decide(before, selected.counts, 1 - tolerated, person.seed)
            place = next(i for i, choice in enumerate(found.seen) if choice is selected.choice)
            outcomes.append(_Outcome(selected.choice, verdict, found.states[place], count))
            tolerated /= 2
    return next((one for one in outcomes if one.verdict.accepted), outcomes[0] if outcomes else None)


def finish(work: Work, learner: Learner, before: tuple[ErrorCounts, ...]) -> Enrolled:
    """Choose, pass the gate, and write the record of one person."""
    person, found = learner.person, _outcome(work, learner, before)
    choice, verdict = (found.choice, found.verdict) if found else (None, None)
    judged = Judged(person, before, choice, verdict)
    state: Mapping[str, Tensor] = {}
    retention = None
    if found and judged.accepted:
        state = found.state
        (retention,) = work.check.measure(found.choice.setting.methods(work.options.method_options), [state])
    record = make_record(work.model, judged, retention, work.options, found.fits if found and state else 0)
    sure = [text.confidence for text in learner.heard if text.confidence is not None]  # where words were heard
    confidence = sum(sure) / len(sure) if sure else 0.0
    record = replace(
        record,
        split=record.split | {"transcribed": False, "texts": []},  # what was heard may be private talk
        folds=record.folds | {"reference": REFERENCE},
        gate=record.gate | {"self_training": asdict(work.plan), "confidence_of_texts": round(confidence, 4)},
    )
    interval = verdict.words if verdict else Interval(0.0, None, None, 0.95, None)
    explanation = _explain(judged, work.options)
    return Enrolled(record, state, total(before), total(judged.after), interval, explanation, 0.0, retention)
