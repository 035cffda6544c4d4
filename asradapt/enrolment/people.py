"""Who is enrolled: a person's recordings, checked, with folds, candidates and what is there from before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.folds import speaker_seed, split_folds
from asradapt.enrolment.label_space import characters_of, joined
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.past import Past, Start, begin, look_back, with_kept
from asradapt.enrolment.screening import Screening, screen
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerRecord, SpeakerStore
from asradapt.types import Failure, Utterance

WIDE = {"lowrank": {"rank": 32}}
# What `auto` tries, by seconds of speech: little data, few parameters. The measurements: docs/adaptation.md
AUTO_SETTINGS: tuple[tuple[float, tuple[Setting, ...]], ...] = (
    (0.0, (Setting("affine"),)),
    (20.0, (Setting("lowrank"),)),
    (60.0, (Setting("lowrank", options=WIDE),)),
    (300.0, (Setting("lowrank", 0.7, options=WIDE),)),
)


@dataclass(frozen=True, eq=False)
class Person:
    """A person's recordings with their folds.

    Attributes:
        name: Who it is.
        examples: All usable utterances.
        folds: Held-out indices of every fold.
        seed: Seed of this person's minibatch order; the same alone and in a crowd.
        settings: The candidates to try.
        past: What is there of the person from before.
        start: What training begins with.
    """

    name: str
    examples: tuple[Example, ...]
    folds: tuple[tuple[int, ...], ...]
    seed: int
    settings: tuple[Setting, ...]
    past: Past = field(default_factory=Past)
    start: Start = field(default_factory=Start)

    @property
    def seconds(self) -> float:
        """Seconds of usable audio."""
        return sum(example.seconds for example in self.examples)


def auto_settings(seconds: float) -> tuple[Setting, ...]:
    """The settings that `--method auto` tries for this much speech."""
    return next(settings for least, settings in reversed(AUTO_SETTINGS) if seconds >= least)


def _going_on(record: SpeakerRecord, examples: Sequence[Example]) -> Setting:
    """The method of a version with its own options, at the rate that `auto` takes for this much speech."""
    usual = auto_settings(sum(example.seconds for example in examples))
    rate = next((one.rate for one in usual if one.method == record.method), 1.0)
    return Setting(record.method, rate, record.options)


def make_person(
    name: str, examples: Sequence[Example], options: EnrolmentOptions, past: Past | None = None
) -> Person:
    """A person with folds and candidates; one who goes on from a version goes on with its method."""
    past = past or Past()
    start = begin(past, examples, options.method, options.method_options)
    seed = speaker_seed(options.seed, name)
    folds = split_folds([example.text for example in examples], options.folds, seed)
    if options.method == "auto" and start.version and past.current:
        settings: tuple[Setting, ...] = (_going_on(past.current.record, examples),)
    elif options.method == "auto":
        settings = auto_settings(sum(example.seconds for example in examples))
    else:
        settings = tuple(Setting(options.method, rate) for rate in options.rates)
    settings = tuple(replace(one, method=joined(one.method, options)) for one in settings)
    return Person(name, tuple(examples), tuple(map(tuple, folds)), seed, settings, past, start)


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
        added = characters_of(options)
        examples, past = prepare_examples(model, utterances, added), look_back(model, store, name)
        given = {example.digest for example in examples.usable}
        if given:
            examples = with_kept(model, past, examples, added)
        failed += examples.failed
        warnings += examples.warnings
        checked = screen(model, examples.usable, options.training, added) if given else None
        if checked and any(example.digest in given for example in checked.kept):
            screened[name] = checked
            yield make_person(name, checked.kept, options, past)
        else:
            left_out = checked.left_out if checked else ()
            failed += [Failure(one.audio, f"{one.reason}; record again: {one.text!r}") for one in left_out]
            failed.append(Failure(name, "no usable recording, so nothing was learned"))
