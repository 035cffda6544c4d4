"""Enrolment without transcripts: recordings in, a gated and stored adaptation out; any number of people."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from shlex import quote

import torch

from asradapt.decoding import GREEDY, Decoder, Heard
from asradapt.enrolment.enroll import Progress, Stored, groups, job_size
from asradapt.enrolment.examples import Example
from asradapt.enrolment.heard_gate import Work, finish, first_passes
from asradapt.enrolment.heard_texts import learn_texts
from asradapt.enrolment.learners import Learner
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting
from asradapt.enrolment.people import by_name, make_person
from asradapt.enrolment.pseudo import cut_recordings, hear, labelled, phrases_of, teacher_for
from asradapt.enrolment.retention import RetentionCheck
from asradapt.enrolment.self_training import SelfTraining, self_train, source_agreement
from asradapt.enrolment.storing import keep, stamps_of, standing_version
from asradapt.errors import StoreError, UsageError
from asradapt.models import require_fp32
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.scoring import ErrorCounts, total
from asradapt.store import SpeakerRecord, SpeakerStore, another_source
from asradapt.types import Failure, Utterance


def _in_use(work: Work, name: str) -> SpeakerRecord | None:
    """The record of a speaker's current version, if that is an adaptation to the same source."""
    if work.store is None or name not in work.store:
        return None
    try:
        record = work.store.record(name)
    except StoreError:  # damaged: nothing that could stand
        return None
    own = not another_source(record, work.model.name, work.model.fingerprint)
    return record if record.decision == "adapted" and own else None


def _allowed(work: Work, names: Sequence[str]) -> list[str]:
    """Whoever has no adaptation that was learned from transcripts; that one is better and stays."""
    free = []
    for name in names:
        if (record := _in_use(work, name)) and record.transcribed:
            work.warnings.append(
                f"{name}: version {record.version} was learned from transcripts and stays in use; "
                "--partly-transcribed learns from recordings with texts and these together, and "
                f"`asradapt speakers remove {quote(name)}` makes room for an enrolment without transcripts"
            )
        else:
            free.append(name)
    return free


def _label(work: Work, cut: Mapping[str, Sequence[Example]]) -> list[Learner]:
    """What the source hears in everybody's recordings; where nothing is heard, they go to `failed`."""
    pairs = [(row, example) for row, examples in enumerate(cut.values()) for example in examples]
    vocabularies = {row: phrases_of(work.store, name, work.warnings) for row, name in enumerate(cut)}
    heard = hear(work.model, None, pairs, work.decoder, work.options.training, vocabularies, work.plan.each)
    lessons: dict[int, list[tuple[Example, Heard]]] = {}
    for (row, example), text in zip(pairs, heard, strict=True):
        if (lesson := labelled(work.model, example, text)) is None:
            work.warnings.append(f"{example.utterance.audio}: no word was heard in it, so it is left out")
        else:
            lessons.setdefault(row, []).append((lesson, text))
    learners = []
    for row, name in enumerate(cut):
        if found := lessons.get(row):
            person = make_person(name, [lesson for lesson, _ in found], work.options)
            person = replace(person, settings=(_setting(work),))  # of the first half
            learners.append(Learner(person, tuple(text for _, text in found), vocabularies[row]))
        else:
            work.failed.append(Failure(name, "no usable recording, so nothing was learned"))
    return learners


def _setting(work: Work) -> Setting:
    method = work.plan.method if work.options.method == "auto" else work.options.method
    return Setting(method, work.plan.rate * work.options.rates[0])


def _unless_less(store: SpeakerStore, one: Enrolled) -> Enrolled:
    """The outcome, or the earlier version where that has learned from as much speech: nothing compares the two."""
    version = standing_version(store, one.record) if one.record.decision == "adapted" else 0
    if not version or store.record(one.record.speaker).seconds < one.record.seconds:
        return one
    name = one.record.speaker
    record = replace(one.record, version=version)
    return replace(one, record=record, explanation=_stays(name, version), stays=version)


def _heard_enough(work: Work, cut: Mapping[str, Sequence[Example]]) -> dict[str, Sequence[Example]]:
    """Whoever brings more speech than their version has learned from; the others are told before any work."""
    more: dict[str, Sequence[Example]] = {}
    for name, examples in cut.items():
        seconds, record = round(sum(example.seconds for example in examples), 3), _in_use(work, name)
        if examples and record and record.seconds >= seconds:
            work.warnings.append(f"{name}: {_stays(name, record.version)}")
        else:
            more[name] = examples
    return more


def _stays(name: str, version: int) -> str:
    return (
        f"version {version} stays in use: without transcripts nothing tells which is better, and it has learned "
        f"from as much speech. `asradapt speakers remove {quote(name)}` makes room"
    )


def _cut(work: Work, speakers: Mapping[str, Sequence[Utterance]]) -> dict[str, tuple[Example, ...]]:
    """Everybody's recordings in pieces."""
    cut = {}
    for name, utterances in speakers.items():
        found = cut_recordings(work.model, utterances)
        work.failed.extend(found.failed)
        work.warnings.extend(found.warnings)
        cut[name] = found.usable
    return cut


def _goes_on(work: Work, learner: Learner, before: Sequence[ErrorCounts]) -> bool:
    """Whether somebody who has learned by doubt has enough speech, or some and a gain, to learn from texts too."""
    seconds, plan = learner.person.seconds, work.plan
    return seconds >= plan.texts_from or (seconds >= plan.texts_earlier and first_passes(work, learner, before))


def _learn(
    work: Work,
    learners: Sequence[Learner],
    before: Sequence[Sequence[ErrorCounts]],
    report: Callable[[float], None],
) -> None:
    """By doubt, and those with more speech then from what they hear with the language model."""
    least = min(work.plan.texts_from, work.plan.texts_earlier)
    first = 0.15 if any(one.person.seconds >= least for one in learners) else 1.0  # of the work, at most
    found = self_train(work.model, learners, work.options, work.plan, lambda share: report(first * share))
    long = [one for one, counts in zip(learners, before, strict=True) if _goes_on(work, one, counts)]
    if long:

        def tell(share: float) -> None:
            report(first + (1 - first) * share)

        learn_texts(work.model, long, found, work.decoder, work.options, work.plan, tell)


def _run_job(work: Work, speakers: Mapping[str, Sequence[Utterance]], tell: Progress) -> list[Enrolled]:
    """Read, hear, learn and judge the people of one job."""
    began = time.monotonic()
    tell("reading", 0.0)
    cut = _heard_enough(work, _cut(work, speakers))
    learners = _label(work, cut) if cut else []
    if not learners:
        return []
    tell("learning", 0.1)
    before = source_agreement(work.model, learners, work.options)
    options = work.options
    able = [
        (one, counts)
        for one, counts in zip(learners, before, strict=True)
        if len(one.person.examples) >= options.least_utterances
        and len(one.person.folds) >= 2
        and total(counts).errors  # else there is nothing to learn
    ]
    if able:
        people, counts = zip(*able, strict=True)
        _learn(work, people, counts, lambda share: tell("learning", 0.1 + 0.9 * share))
    enrolled = [finish(work, one, counts) for one, counts in zip(learners, before, strict=True)]
    wall = (time.monotonic() - began) / len(enrolled)
    return [replace(one, wall_seconds=wall) for one in enrolled]


def _tell(stored: Stored | None, people: list[Enrolled]) -> list[Enrolled]:
    """The people, of whom is told that they are stored."""
    if stored and people:
        stored(people)
    return people


@torch.inference_mode(mode=False)
@torch.enable_grad()
def enroll_untranscribed(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    *,
    decoder: Decoder | None = None,
    options: EnrolmentOptions | None = None,
    plan: SelfTraining | None = None,
    store: SpeakerStore | None = None,
    progress: Progress | None = None,
    stored: Stored | None = None,
) -> Enrolment:
    """Enrol people from recordings that nobody has written down, by self-training with a gate.

    An adaptation that was learned from transcripts is never replaced by one that was not.

    Args:
        model: The source model; it is not changed.
        speakers: Recordings of any length, by speaker name; texts that are there are not looked at.
        decoder: The teacher, with a language model; the one that comes with the model by default.
        options: How to enrol; of the settings of a method the first is taken.
        plan: How to learn from what is heard.
        store: Where to keep the result, and whose vocabularies help the teacher; None keeps nothing.
        progress: Called with what is being done and the share of the whole that is done.
        stored: Called with everybody's outcome as soon as it is stored, or with those of a job where nothing is.

    Returns:
        Everybody, as from `enroll`; error counts are the words missed of those that are heard with the
        language model, in tenths of their confidence.

    Raises:
        UsageError: If there is no language model to learn from, or an unknown method.
        InvalidSpeakerName: For a name that cannot be stored.
        StoreError: If nobody of a job could be stored; people stored before stay stored.
    """
    require_fp32()
    if writes(model):
        raise UsageError(without_ctc(model, "learning without transcripts"))
    decoder = decoder or teacher_for(model)
    if decoder.language is None or decoder.options.beams == GREEDY:
        raise UsageError("learning without transcripts needs beam search with a language model; give both")
    options = options or EnrolmentOptions()
    check = RetentionCheck(model, options.training)
    work = Work(model, decoder, options, plan or SelfTraining(), store, check)
    names = by_name(speakers)
    done: list[Enrolled] = []
    most = max(1, job_size(work.model, work.options) // 2)  # the rows of folds and fits train side by side
    jobs = list(groups(_allowed(work, list(names)), most))
    for number, job in enumerate(jobs):

        def tell(stage: str, share: float, before: int = number) -> None:
            if progress:
                progress(stage, (before + share) / len(jobs))

        stamps = stamps_of(store, job)
        finished = _run_job(work, {name: names[name] for name in job}, tell)
        if store is not None and finished:
            checked = [_unless_less(store, one) for one in finished]
            standing = [one for one in checked if one.stays]
            _tell(stored, standing)
            fresh = [one for one in checked if not one.stays]
            finished = standing + keep(store, fresh, work.failed, stamps, lambda one: _tell(stored, [one])[0])
        else:
            _tell(stored, finished)
        done += finished
        tell("done", 1.0)
    return Enrolment(tuple(done), tuple(work.failed), tuple(work.warnings))
