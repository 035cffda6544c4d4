"""Enrolment: a person's recordings in, a gated and stored adaptation out; any number of people at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.compare import Comparison, compare
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.folds import speaker_seed, split_folds
from asradapt.enrolment.forecast import Accepted, foretell
from asradapt.enrolment.gate import Verdict, decide
from asradapt.enrolment.keeping import keep_recordings
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting
from asradapt.enrolment.outlook import refusals, with_outlook
from asradapt.enrolment.past import Past, begin, load_starts, look_back, split_of, with_kept
from asradapt.enrolment.retention import Retention, RetentionCheck
from asradapt.enrolment.screening import Screening, screen
from asradapt.enrolment.selection import Choice, Person, cross_validate, portions
from asradapt.enrolment.training import Task, Trainer, evaluate_pairs, train
from asradapt.errors import StoreError
from asradapt.models.base import SourceModel
from asradapt.scoring import NORMALIZER, ErrorCounts, Interval, total
from asradapt.store import SpeakerRecord, SpeakerStore, validate_speaker
from asradapt.types import Failure, Utterance

Progress = Callable[[str, float], None]  # what is being done, and the share of the whole that is done

# What `auto` tries, by seconds of speech: little data, few parameters; and methods are compared by the
# folds only where there is enough speech to tell them apart. The measurements: docs/adaptation.md
AUTO_SETTINGS: tuple[tuple[float, tuple[Setting, ...]], ...] = (
    (0.0, (Setting("affine"),)),
    (20.0, (Setting("lowrank"),)),
    (120.0, (Setting("lowrank"), Setting("affine+lowrank"))),
)


def auto_settings(seconds: float) -> tuple[Setting, ...]:
    """The settings that `--method auto` tries for this much speech."""
    return next(settings for least, settings in reversed(AUTO_SETTINGS) if seconds >= least)


def make_person(
    name: str, examples: Sequence[Example], options: EnrolmentOptions, past: Past | None = None
) -> Person:
    """A person with folds and candidates; one who goes on from a version goes on with its method."""
    past = past or Past()
    start = begin(past, examples, options.method, options.method_options)
    seed = speaker_seed(options.seed, name)
    folds = split_folds([example.text for example in examples], options.folds, seed)
    if options.method == "auto" and start.version and past.current:
        settings: tuple[Setting, ...] = (Setting(past.current.record.method),)
    elif options.method == "auto":
        settings = auto_settings(sum(example.seconds for example in examples))
    else:
        settings = tuple(Setting(options.method, rate) for rate in options.rates)
    return Person(name, tuple(examples), tuple(map(tuple, folds)), seed, settings, past, start)


def source_counts(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Error counts of the source alone, one an utterance, for everybody in one run."""
    pairs = [(row, example) for row, person in enumerate(people) for example in person.examples]
    scores = evaluate_pairs(model, None, pairs, options.training)
    return [
        tuple(scores[row].counts[id(example)] for example in person.examples) for row, person in enumerate(people)
    ]


def _final_steps(person: Person, choice: Choice, options: EnrolmentOptions) -> int:
    """As many passes over everything as were best over the training part of a fold.

    Where one update took in all of that part, it is the number of updates that was found, not of passes.
    """
    if choice.share == choice.steps:
        return choice.steps
    return max(1, round(choice.share * portions(person.seconds, len(person.examples), options)))


def fit_final(
    model: SourceModel,
    people: Sequence[Person],
    choices: Sequence[Choice],
    options: EnrolmentOptions,
    check: RetentionCheck,
    report: Callable[[float], None],
) -> list[tuple[dict[str, Tensor], Retention | None]]:
    """Train everybody's chosen setting on all of their recordings, and try it on others; one job per method."""
    fitted: dict[str, tuple[dict[str, Tensor], Retention | None]] = {}
    planned = [_final_steps(person, choice, options) for person, choice in zip(people, choices, strict=True)]
    updates = 0

    def advance(count: int) -> None:
        nonlocal updates
        updates += count
        report(updates / sum(planned))

    for method in dict.fromkeys(choice.setting.method for choice in choices):
        chosen = [(p, c) for p, c in zip(people, choices, strict=True) if c.setting.method == method]
        methods = create(method, options.method_options)
        bank = SpeakerBank(model, methods, speakers=len(chosen), seed=options.seed)
        load_starts(bank, ((row, person.start.state) for row, (person, _) in enumerate(chosen)))
        tasks = [Task(person.examples, choice.setting.rate, person.seed) for person, choice in chosen]
        steps = [_final_steps(person, choice, options) for person, choice in chosen]
        train(Trainer(model, bank, tasks, options.training), steps, advance)
        scaled = bank.scaled(torch.tensor([choice.strength for _, choice in chosen]))
        states = [scaled.state(row) for row in range(len(chosen))]
        for (person, _), state, retained in zip(chosen, states, check.measure(methods, states), strict=True):
            fitted[person.name] = (state, retained)
    return [fitted[person.name] for person in people]


@dataclass(frozen=True, eq=False)
class Judged:
    """A person after cross-validation and gate; no choice and no verdict where the recordings were too few."""

    person: Person
    before: tuple[ErrorCounts, ...]
    choice: Choice | None
    verdict: Verdict | None
    comparison: Comparison | None = None

    @property
    def accepted(self) -> bool:
        """Whether the adaptation is to be used."""
        better = self.verdict is not None and self.verdict.accepted
        return better and (self.comparison is None or self.comparison.accepted)

    @property
    def after(self) -> tuple[ErrorCounts, ...]:
        """Held-out counts of the adaptations; those of the source where there are none."""
        return self.verdict.after if self.verdict else self.before


def judge(
    model: SourceModel,
    people: Sequence[Person],
    options: EnrolmentOptions,
    clock: Clock,
    report: Callable[[float], None],
) -> list[Judged]:
    """Cross-validate everybody who has enough recordings, and pass each through the gate."""
    began = time.monotonic()
    before = source_counts(model, people, options)
    clock.measured(sum(person.seconds for person in people), began)
    able = [p for p in people if len(p.examples) >= options.least_utterances and len(p.folds) >= 2]
    selected = cross_validate(model, able, options, clock, report) if able else []
    by_name = {person.name: one for person, one in zip(able, selected, strict=True)}
    judged = []
    for person, counts in zip(people, before, strict=True):
        one = by_name.get(person.name)
        verdict = decide(counts, one.counts, confidence=options.confidence, seed=person.seed) if one else None
        beside = compare(model, person, verdict, options) if verdict else None
        judged.append(Judged(person, counts, one.choice if one else None, verdict, beside))
    return judged


def make_record(
    model: SourceModel, judged: Judged, retention: Retention | None, options: EnrolmentOptions
) -> SpeakerRecord:
    """What is remembered about one enrolment."""
    person, choice, verdict = judged.person, judged.choice, judged.verdict
    methods = create(choice.setting.method, options.method_options) if choice and judged.accepted else ()
    tried = {} if choice is None else asdict(choice.setting) | {"steps": choice.steps, "strength": choice.strength}
    words: dict[str, object] = dict(verdict.words.as_dict()) if verdict else {"low": None, "high": None}
    return SpeakerRecord(
        speaker=person.name,
        decision="adapted" if judged.accepted else "source",
        method=choice.setting.method if choice and judged.accepted else IDENTITY,
        options={method.name: method.options() for method in methods},
        source={"name": model.name, "fingerprint": model.fingerprint},
        utterances=len(person.examples),
        seconds=round(person.seconds, 3),
        split=split_of(person.examples, person.folds, person.past, person.start),
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
        | _beside(judged),
    )


def _beside(judged: Judged) -> dict[str, object]:
    return {"current": judged.comparison.as_dict()} if judged.comparison else {}


def explain(judged: Judged, options: EnrolmentOptions) -> str:
    """The outcome in one plain sentence."""
    if judged.verdict and judged.comparison and judged.verdict.accepted:
        beside = judged.comparison.explanation
        return f"{judged.verdict.explanation}; {beside}" if judged.accepted else beside
    if judged.verdict:
        return judged.verdict.explanation
    count = len(judged.person.examples)
    plural = "recording is" if count == 1 else "recordings are"
    return (
        f"the source is kept: {count} usable {plural} too few to check an adaptation; "
        f"record at least {options.least_utterances} different sentences, better 10"
    )


def finish(
    model: SourceModel,
    judged: Sequence[Judged],
    options: EnrolmentOptions,
    report: Callable[[float], None],
    began: float,
) -> list[Enrolled]:
    """Final fits of the accepted, records of all."""
    accepted = [j for j in judged if j.accepted]
    choices = [j.choice for j in accepted if j.choice]
    check = RetentionCheck(model, options.training)
    results = fit_final(model, [j.person for j in accepted], choices, options, check, report)
    fitted = {j.person.name: result for j, result in zip(accepted, results, strict=True)}
    wall = (time.monotonic() - began) / len(judged)
    enrolled = []
    for one in judged:
        state, retention = fitted.get(one.person.name, ({}, None))
        record = make_record(model, one, retention, options)
        interval = one.verdict.words if one.verdict else Interval(0.0, None, None, 0.95, None)
        before, after = total(one.before), total(one.after)
        said, start = explain(one, options), one.person.start.said
        enrolled.append(Enrolled(record, state, before, after, interval, said, wall, retention, start=start))
    return enrolled


def standing_version(store: SpeakerStore, record: SpeakerRecord) -> int:
    """The current version of the speaker if that is an adaptation to the same source, else 0."""
    if record.speaker not in store:
        return 0
    try:
        current = store.load(record.speaker).record
    except StoreError:  # damaged: nothing that could stand
        return 0
    return current.version if current.decision == "adapted" and current.source == record.source else 0


def stands(one: Enrolled, version: int) -> Enrolled:
    """The outcome where an enrolment without success meets an adaptation that had passed its own gate."""
    name = one.record.speaker
    reason = one.explanation.removeprefix("the source is kept: ")
    explanation = (
        f"version {version} stays in use, this enrolment brings nothing better: {reason}. `asradapt speakers "
        f"remove {name}` goes back to the source; it deletes all versions, and the recordings that are kept"
    )
    return replace(one, record=replace(one.record, version=version), explanation=explanation, stays=version)


def keep(store: SpeakerStore, enrolled: Sequence[Enrolled], failed: list[Failure]) -> list[Enrolled]:
    """Store everybody; who cannot be stored goes to `failed`, so that one bad folder loses nobody else.

    An adaptation that stands is not replaced by an enrolment that ends with the source: a second round
    with less or worse speech must not make it worse.

    Raises:
        StoreError: If nobody could be stored.
    """
    kept, errors = [], []
    for one in enrolled:
        try:
            earlier = standing_version(store, one.record) if one.record.decision == "source" else 0
            if earlier:
                kept.append(stands(one, earlier))
            else:
                kept.append(replace(one, record=store.save(one.record, one.state)))
        except StoreError as error:
            errors.append(error)
            failed.append(Failure(one.record.speaker, str(error)))
    if errors and not kept:
        raise errors[0]
    return kept


def with_audio(
    store: SpeakerStore,
    model: SourceModel,
    people: Sequence[Person],
    enrolled: Sequence[Enrolled],
    agree: bool,
    failed: list[Failure],
) -> list[Enrolled]:
    """Keep the recordings of those who agree; what is kept is noted with each."""
    stored = {one.record.speaker for one in enrolled}
    examples = {person.name: person.examples for person in people if person.name in stored}
    kept = keep_recordings(store, examples, model.sample_rate, agree=agree, failed=failed)
    return [replace(one, kept=kept.get(one.record.speaker)) for one in enrolled]


def groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Names in groups of at most `size`."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def job_size(options: EnrolmentOptions) -> int:
    """Most speakers in one job; one where a row holds a whole encoder."""
    alone = options.method != "auto" and any(m.one_speaker for m in create(options.method, options.method_options))
    return 1 if alone else options.speakers_at_once


def run_job(
    model: SourceModel,
    people: Sequence[Person],
    screened: Mapping[str, Screening],
    options: EnrolmentOptions,
    tell: Progress,
    began: float,
) -> list[Enrolled]:
    """Cross-validation, gate, forecast and final fit of one job."""
    clock = Clock(None if options.budget is None else options.budget * len(people), began)
    judged = judge(model, people, options, clock, lambda share: tell("cross-validating", 0.1 + 0.75 * share))
    accepted = [Accepted(j.person, j.choice, j.after) for j in judged if j.accepted and j.choice]
    forecasts = foretell(model, accepted, options) if options.forecast and not clock.over else {}
    done = finish(model, judged, options, lambda share: tell("fitting", 0.85 + 0.15 * share), began)
    heard = {one.person.name: one.choice.texts for one in accepted}
    return [with_outlook(one, screened[one.record.speaker], heard, forecasts) for one in done]


def gather(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    options: EnrolmentOptions,
    store: SpeakerStore | None,
    failed: list[Failure],
    warnings: list[str],
    screened: dict[str, Screening],
) -> Iterator[Person]:
    """Read and check the recordings of a job's people, and those of before; without a new one: to `failed`."""
    for name, utterances in speakers.items():
        examples, past = prepare_examples(model, utterances), look_back(model, store, name)
        given = {example.digest for example in examples.usable}
        if given:
            examples = with_kept(model, past, examples)
        failed += examples.failed
        warnings += examples.warnings
        checked = screen(model, examples.usable, options.training) if given else None
        if checked and any(example.digest in given for example in checked.kept):
            screened[name] = checked
            yield make_person(name, checked.kept, options, past)
        else:
            left_out = checked.left_out if checked else ()
            failed += [Failure(one.audio, f"{one.reason}; record again: {one.text!r}") for one in left_out]
            failed.append(Failure(name, "no usable recording; this person was not enrolled"))


def enroll(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    *,
    options: EnrolmentOptions | None = None,
    store: SpeakerStore | None = None,
    progress: Progress | None = None,
    keep_audio: bool = False,
    fresh: bool = False,
) -> Enrolment:
    """Enrol people: cross-validate, gate, fit and store an adaptation for each, many in one batched job.

    Args:
        model: The source model; it is not changed.
        speakers: Recordings with texts, by speaker name.
        options: How to enrol.
        store: Where to keep the result; None keeps nothing. Each person is stored whole or not at all, as
            soon as their job is done. Who is in it is enrolled further: from the recordings kept there, or
            from the current version, which is replaced only by one that is not worse.
        progress: Called with what is being done and the share of the whole that is done.
        keep_audio: Whether these people agree that their recordings are kept in the store.
        fresh: Enrol from the source and these recordings alone, whatever is stored.

    Returns:
        Everybody, with unusable recordings in `failed`; a person without any usable recording is in `failed` only.
        With `strict`, nobody at all as soon as one recording does not pass the checks; `failed` names those.

    Raises:
        UnknownMethod: For an unknown method.
        InvalidSpeakerName: For a name that cannot be stored.
        StoreError: If nobody of a job could be stored; people stored before stay stored.
    """
    options = options or EnrolmentOptions()
    names: dict[str, list[Utterance]] = {}
    for name, utterances in speakers.items():  # one name typed in two ways (Unicode) is one person
        names.setdefault(validate_speaker(name), []).extend(utterances)
    done: list[Enrolled] = []
    failed: list[Failure] = []
    warnings: list[str] = []
    if options.strict and (refused := refusals(model, names, options)):
        return Enrolment((), tuple(refused), ())
    jobs = list(groups(list(names), job_size(options)))
    for number, job in enumerate(jobs):

        def tell(stage: str, share: float, before: int = number) -> None:
            if progress:
                progress(stage, (before + share) / len(jobs))

        tell("reading", 0.0)
        began = time.monotonic()
        before = None if fresh else store
        screened: dict[str, Screening] = {}
        own = {name: names[name] for name in job}
        people = list(gather(model, own, options, before, failed, warnings, screened))
        if people:
            finished = run_job(model, people, screened, options, tell, began)
            if store is not None:
                finished = keep(store, finished, failed)
                finished = with_audio(store, model, people, finished, keep_audio, failed)
            done += finished
        tell("done", 1.0)
    return Enrolment(tuple(done), tuple(failed), tuple(warnings))
