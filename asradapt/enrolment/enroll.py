"""Enrolment: a person's recordings in, a gated and stored adaptation out; any number of people at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import Decoder
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.fitting import fit_final, folds_of, trainings_of
from asradapt.enrolment.forecast import Accepted, foretell
from asradapt.enrolment.hearing import Teacher, learn_rest, require_teacher
from asradapt.enrolment.judging import Judged, explain, judge, make_record
from asradapt.enrolment.label_space import characters_of, label_spaces, rare_characters
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting
from asradapt.enrolment.outlook import refusals, with_outlook
from asradapt.enrolment.people import AUTO_SETTINGS, Person, by_name, gather
from asradapt.enrolment.planning import MANY_FITS
from asradapt.enrolment.retention import RetentionCheck
from asradapt.enrolment.screening import Screening
from asradapt.enrolment.spelling import left_out_of
from asradapt.enrolment.storing import keep, stamps_of, with_audio
from asradapt.models import require_fp32
from asradapt.models.base import SourceModel
from asradapt.scoring import Interval, total
from asradapt.store import SpeakerStore
from asradapt.store.vocabulary import Stamp
from asradapt.types import Failure, Utterance

BANK_BYTES = 2 * 2**30
"""Memory that the banks of a job may take."""
COPIES = 7
"""Of a bank in training: itself, gradient, two moments of Adam, average, that at less strength, the best."""
Progress = Callable[[str, float], None]  # what is being done, and the share of the whole that is done
Stored = Callable[[Sequence[Enrolled]], None]  # outcomes that are stored


def finish(
    model: SourceModel,
    judged: Sequence[Judged],
    options: EnrolmentOptions,
    report: Callable[[float], None],
    began: float,
    most: int,
) -> list[Enrolled]:
    """Final fits of the accepted, each of `most` trainings at most or one if it takes one; records of all."""
    accepted = [j for j in judged if j.accepted]
    choices = [j.choice for j in accepted if j.choice]
    chosen = list(zip((j.person for j in accepted), choices, strict=True))
    fits = [trainings_of(choice, person.learned_seconds, options, most) for person, choice in chosen]
    averaged = {p.name: n + folds_of(p, c) for (p, c), n in zip(chosen, fits, strict=True)}
    check = RetentionCheck(model, options.training)
    results = fit_final(model, [j.person for j in accepted], choices, options, check, report, fits)
    fitted = {j.person.name: result for j, result in zip(accepted, results, strict=True)}
    wall = (time.monotonic() - began) / len(judged)
    enrolled = []
    for one in judged:
        state, retention = fitted.get(one.person.name, ({}, None))
        record = make_record(model, one, retention, options, averaged.get(one.person.name, 0))
        interval = one.verdict.words if one.verdict else Interval(0.0, None, None, 0.95, None)
        before, after = total(one.before), total(one.after)
        said = explain(one, options)
        start = one.person.start.said if one.choice else ""  # without enough recordings nothing was trained
        found = Enrolled(record, state, before, after, interval, said, wall, retention)
        enrolled.append(replace(found, start=start, partly=one.partly))
    return enrolled


def groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Names in groups of at most `size`."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def job_size(model: SourceModel, options: EnrolmentOptions) -> int:
    """Most speakers in one job: as many as their banks leave room for, one where a row holds a whole encoder."""
    asked = options.method != "auto"
    settings = [Setting(options.method)] if asked else [one for _, own in AUTO_SETTINGS for one in own]
    most = 1
    for methods in (setting.methods(options.method_options) for setting in settings):
        if any(method.one_speaker for method in methods):
            return 1
        if all(method.sites(model) for method in methods):  # else it is told when somebody needs it
            most = max(most, SpeakerBank(model, methods).bytes_a_speaker())
    rows = max(options.folds, options.fits or 0, MANY_FITS)  # of a person, at most
    return max(1, min(options.speakers_at_once, BANK_BYTES // (most * rows * COPIES)))


def run_job(
    model: SourceModel,
    people: Sequence[Person],
    screened: Mapping[str, Screening],
    options: EnrolmentOptions,
    tell: Progress,
    began: float,
    teacher: Teacher | None,
    warnings: list[str],
) -> list[Enrolled]:
    """Cross-validation, gate, forecast and final fit of one job."""
    clock = Clock(None if options.budget is None else options.budget * len(people), began)
    start = time.monotonic()
    rest = any(person.to_hear for person in people)
    end = 0.3 if rest else 0.75
    judged = judge(
        model, people, options, clock, lambda share: tell("cross-validating", 0.1 + (end - 0.1) * share)
    )
    if teacher and rest:

        def report(share: float) -> None:
            tell("learning what is heard", end + (0.75 - end) * share)

        judged = learn_rest(model, judged, teacher, options, report, warnings)
    tried = time.monotonic() - start
    accepted = [Accepted(j.person, j.choice, j.after) for j in judged if j.accepted and j.choice]
    forecasts = foretell(model, accepted, options) if options.forecast and not clock.over else {}
    fits = clock.fits(tried, options.folds)
    done = finish(model, judged, options, lambda share: tell("fitting", 0.75 + 0.25 * share), began, fits)
    heard = {one.person.name: one.choice.texts for one in accepted}
    return [with_outlook(one, screened[one.record.speaker], heard, forecasts) for one in done]


def _one_job(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    options: EnrolmentOptions,
    before: SpeakerStore | None,
    teacher: Teacher | None,
    tell: Progress,
    failed: list[Failure],
    warnings: list[str],
) -> tuple[list[Person], list[Enrolled]]:
    """Read and enrol the people of one job; `before` holds what there is of them."""
    tell("reading", 0.0)
    began = time.monotonic()
    screened: dict[str, Screening] = {}
    hears = teacher is not None
    people = list(gather(model, speakers, options, before, failed, warnings, screened, hears=hears))
    return people, run_job(model, people, screened, options, tell, began, teacher, warnings) if people else []


def _keep(
    store: SpeakerStore,
    model: SourceModel,
    people: Sequence[Person],
    finished: Sequence[Enrolled],
    failed: list[Failure],
    stamps: Mapping[str, Stamp | None],
    keep_audio: bool,
    stored: Stored | None,
) -> list[Enrolled]:
    """Store the people of a job, each with the recordings that are kept."""

    def then(one: Enrolled) -> Enrolled:
        one = with_audio(store, model, people, one, keep_audio, failed)
        if stored:
            stored([one])
        return one

    return keep(store, finished, failed, stamps, then)


@torch.inference_mode(mode=False)
@torch.enable_grad()
def enroll(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    *,
    options: EnrolmentOptions | None = None,
    store: SpeakerStore | None = None,
    progress: Progress | None = None,
    keep_audio: bool = False,
    fresh: bool = False,
    teacher: Decoder | None = None,
    stored: Stored | None = None,
) -> Enrolment:
    """Enrol people: cross-validate, gate, fit and store an adaptation for each, many in one batched job.

    Args:
        model: The source model; it is not changed.
        speakers: Recordings with texts, by speaker name; with a `teacher` some of them without.
        options: How to enrol.
        store: Where to keep the result; None keeps nothing. Each person is stored whole or not at all, as
            soon as their job is done. Who is in it is enrolled further: from the recordings kept there, or
            from the current version, which is replaced only by one that is not worse.
        progress: Called with what is being done and the share of the whole that is done.
        keep_audio: Whether these people agree that their recordings are kept in the store.
        fresh: Enrol from the source and these recordings alone, whatever is stored.
        teacher: Hears with a language model what is said in recordings without texts (`text` None), which are then
            learned from beside those with texts where held-out ones with texts are no worse for it. None: they are
            failures.
        stored: Called with everybody's outcome as soon as it is stored, or with those of a job where nothing is.

    Returns:
        Everybody, with unusable recordings in `failed`; a person without any usable recording is in `failed` only.
        With `strict`, nobody at all as soon as one recording does not pass the checks; `failed` names those.

    Raises:
        UnknownMethod: For an unknown method.
        UsageError: If a teacher has no language model, or comes with a model, a method or options that it does not
            go with: without CTC outputs, whole encoders, `strict`, `budget`.
        InvalidSpeakerName: For a name that cannot be stored.
        StoreError: If nobody of a job could be stored; people stored before stay stored.
    """
    require_fp32()
    options = options or EnrolmentOptions()
    if options.method != "auto":
        create(options.method, options.method_options)  # what is wrong with them is told before any work
    if teacher:
        require_teacher(model, teacher, options)
    names = by_name(speakers)
    done: list[Enrolled] = []
    failed: list[Failure] = []
    warnings: list[str] = []
    before = None if fresh else store
    hearing = Teacher(teacher, store) if teacher else None
    spaces = label_spaces(model, names, options, before)
    warnings += [told] if (told := left_out_of(model.tokens)) else []
    if options.add_tokens:
        warnings += [told for own, wide in spaces for told in rare_characters(own, characters_of(wide))]
    if options.strict and (refused := [one for own, wide in spaces for one in refusals(model, own, wide)]):
        return Enrolment((), tuple(refused), ())
    jobs = [(job, wide) for own, wide in spaces for job in groups(list(own), job_size(model, wide))]
    for number, (job, wide) in enumerate(jobs):

        def tell(stage: str, share: float, earlier: int = number) -> None:
            if progress:
                progress(stage, (earlier + share) / len(jobs))

        stamps = stamps_of(store, job)
        people, finished = _one_job(
            model, {name: names[name] for name in job}, wide, before, hearing, tell, failed, warnings
        )
        if store is not None and people:
            finished = _keep(store, model, people, finished, failed, stamps, keep_audio, stored)
        elif stored:
            stored(finished)
        done += finished
        tell("done", 1.0)
    return Enrolment(tuple(done), tuple(failed), tuple(warnings))
