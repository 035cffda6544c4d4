"""Enrolment: a person's recordings in, a gated and stored adaptation out; any number of people at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.folds import speaker_seed, split_folds
from asradapt.enrolment.gate import Verdict, decide
from asradapt.enrolment.options import Enrolled, Enrolment, EnrolmentOptions, Setting
from asradapt.enrolment.selection import Choice, Person, cross_validate, portions
from asradapt.enrolment.training import Task, Trainer, evaluate_pairs, train
from asradapt.models.base import SourceModel
from asradapt.scoring import NORMALIZER, ErrorCounts, Interval, total
from asradapt.store import SpeakerRecord, SpeakerStore, validate_speaker
from asradapt.types import Failure, Utterance

Progress = Callable[[str, float], None]  # what is being done, and the share of the whole that is done

# What `auto` tries, by seconds of speech: little data, few parameters. The table behind it: docs/adaptation.md
AUTO_SETTINGS: tuple[tuple[float, tuple[Setting, ...]], ...] = (
    (0.0, (Setting("affine"),)),
    (20.0, (Setting("affine"), Setting("affine+lowrank"))),
)


def auto_settings(seconds: float) -> tuple[Setting, ...]:
    """The settings that `--method auto` tries for this much speech."""
    return next(settings for least, settings in reversed(AUTO_SETTINGS) if seconds >= least)


def make_person(model: SourceModel, name: str, examples: Sequence[object], options: EnrolmentOptions) -> Person:
    """A person with folds and candidates."""
    usable = tuple(examples)
    seed = speaker_seed(options.seed, name)
    folds = split_folds([e.text for e in usable], options.folds, seed)  # type: ignore[attr-defined]
    if options.method == "auto":
        settings = auto_settings(sum(e.seconds for e in usable))  # type: ignore[attr-defined]
    else:
        settings = tuple(Setting(options.method, rate) for rate in options.rates)
    return Person(name, usable, tuple(map(tuple, folds)), seed, settings)  # type: ignore[arg-type]


def source_counts(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions
) -> list[tuple[ErrorCounts, ...]]:
    """Error counts of the source alone, one an utterance, for everybody in one run."""
    pairs = [(row, example) for row, person in enumerate(people) for example in person.examples]
    scores = evaluate_pairs(model, None, pairs, options.training)
    return [
        tuple(scores[row].counts[id(example)] for example in person.examples) if person.examples else ()
        for row, person in enumerate(people)
    ]


def fit_final(
    model: SourceModel, people: Sequence[Person], choices: Sequence[Choice], options: EnrolmentOptions
) -> list[dict[str, Tensor]]:
    """Train everybody's chosen setting on all of their recordings; one job per method."""
    states: dict[str, dict[str, Tensor]] = {}
    for method in dict.fromkeys(choice.setting.method for choice in choices):
        chosen = [(p, c) for p, c in zip(people, choices, strict=True) if c.setting.method == method]
        methods = create(method, options.method_options)
        bank = SpeakerBank(model, methods, speakers=len(chosen), seed=options.seed)
        tasks = [Task(person.examples, choice.setting.rate, person.seed) for person, choice in chosen]
        steps = [
            max(1, round(choice.share * portions(person.seconds, len(person.examples), options)))
            for person, choice in chosen
        ]
        train(Trainer(model, bank, tasks, options.training), steps)
        scaled = bank.scaled(torch.tensor([choice.strength for _, choice in chosen]))
        for row, (person, _) in enumerate(chosen):
            states[person.name] = scaled.state(row)
    return [states[person.name] for person in people]


@dataclass(frozen=True, eq=False)
class Judged:
    """A person after cross-validation and gate."""

    person: Person
    before: tuple[ErrorCounts, ...]
    choice: Choice | None
    verdict: Verdict | None

    @property
    def accepted(self) -> bool:
        """Whether the adaptation is to be used."""
        return self.verdict is not None and self.verdict.accepted


def judge(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions, report: Callable[[float], None]
) -> list[Judged]:
    """Cross-validate everybody who has enough recordings, and pass each through the gate."""
    before = source_counts(model, people, options)
    able = [p for p in people if len(p.examples) >= options.least_utterances and len(p.folds) >= 2]
    choices = (
        dict(zip([p.name for p in able], cross_validate(model, able, options, report), strict=True))
        if able
        else {}
    )
    judged = []
    for person, counts in zip(people, before, strict=True):
        choice = choices.get(person.name)
        verdict = None
        if choice:
            verdict = decide(counts, choice.counts, confidence=options.confidence, seed=person.seed)
        judged.append(Judged(person, counts, choice, verdict))
    return judged


def make_record(model: SourceModel, judged: Judged, options: EnrolmentOptions) -> SpeakerRecord:
    """What is remembered about one enrolment."""
    person, choice, verdict = judged.person, judged.choice, judged.verdict
    after = choice.counts if choice else judged.before
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
        split={"folds": [list(fold) for fold in person.folds], "texts": [e.text for e in person.examples]},
        seed=options.seed,
        folds={
            "before": total(judged.before).as_dict(),
            "after": total(after).as_dict(),
            "low": words["low"],
            "high": words["high"],
            "normalizer": NORMALIZER,
        },
        gate={
            "confidence": options.confidence,
            "probability_better": verdict.characters.probability_better if verdict else None,
            "tried": tried,
        },
    )


def explain(judged: Judged, options: EnrolmentOptions) -> str:
    """The outcome in one plain sentence."""
    if judged.verdict:
        return judged.verdict.explanation
    count = len(judged.person.examples)
    return (
        f"the source is kept: {count} usable recordings are too few different ones to check an adaptation; "
        f"record at least {options.least_utterances} different sentences, better 10"
    )


def finish(
    model: SourceModel,
    judged: Sequence[Judged],
    options: EnrolmentOptions,
    store: SpeakerStore | None,
    began: float,
) -> list[Enrolled]:
    """Final fits of the accepted, records of all, everything stored."""
    accepted = [j for j in judged if j.accepted]
    choices = [j.choice for j in accepted if j.choice]
    fitted = fit_final(model, [j.person for j in accepted], choices, options)
    states = {j.person.name: state for j, state in zip(accepted, fitted, strict=True)}
    wall = (time.monotonic() - began) / len(judged)
    enrolled = []
    for one in judged:
        state, record = states.get(one.person.name, {}), make_record(model, one, options)
        if store is not None:
            record = store.save(record, state)
        after = total(one.choice.counts if one.choice else one.before)
        interval = one.verdict.words if one.verdict else Interval(0.0, None, None, 0.95, None)
        enrolled.append(Enrolled(record, state, total(one.before), after, interval, explain(one, options), wall))
    return enrolled


def groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Names in groups of at most `size`."""
    for start in range(0, len(names), size):
        yield names[start : start + size]


def enroll(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    *,
    options: EnrolmentOptions | None = None,
    store: SpeakerStore | None = None,
    progress: Progress | None = None,
) -> Enrolment:
    """Enrol people: cross-validate, gate, fit and store an adaptation for each, many in one batched job.

    Args:
        model: The source model; it is not changed.
        speakers: Recordings with texts, by speaker name.
        options: How to enrol.
        store: Where to keep the result; None keeps nothing. Each person is stored whole or not at all.
        progress: Called with what is being done and the share of the whole that is done.

    Returns:
        Everybody, with unusable recordings in `failed`; a person without any usable recording is in `failed` only.

    Raises:
        UnknownName: For an unknown method.
        InvalidSpeakerName: For a name that cannot be stored.
        StoreError: If the store cannot be written; people stored before stay stored.
    """
    options = options or EnrolmentOptions()
    if options.method != "auto":
        create(options.method, options.method_options)  # an unknown name is told before any work
    names: dict[str, list[Utterance]] = {}
    for name, utterances in speakers.items():  # one name typed in two ways (Unicode) is one person
        names.setdefault(validate_speaker(name), []).extend(utterances)
    done: list[Enrolled] = []
    failed: list[Failure] = []
    warnings: list[str] = []
    tell = progress or (lambda stage, share: None)
    jobs = list(groups(list(names), options.speakers_at_once))
    for number, job in enumerate(jobs):
        began, people = time.monotonic(), []
        for index, name in enumerate(job):
            tell("reading", (number + 0.1 * index / len(job)) / len(jobs))
            examples = prepare_examples(model, names[name])
            failed += [replace(f, item=f.item) for f in examples.failed]
            warnings += examples.warnings
            if examples.usable:
                people.append(make_person(model, name, examples.usable, options))
            else:
                failed.append(Failure(name, "no usable recording; this person was not enrolled"))
        if people:
            judged = judge(
                model,
                people,
                options,
                lambda s, n=number: tell("cross-validating", (n + 0.1 + 0.75 * s) / len(jobs)),  # type: ignore[misc]
            )
            tell("fitting", (number + 0.85) / len(jobs))
            done += finish(model, judged, options, store, began)
    tell("done", 1.0)
    return Enrolment(tuple(done), tuple(failed), tuple(warnings))
