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
from asradapt.enrolment.untold import divided, pieces_of, without
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerRecord, SpeakerStore, validate_speaker
from asradapt.types import Failure, Utterance

WIDE = {"lowrank": {"rank": 32}}
# What `auto` tries, by seconds of speech: little data, few parameters. The measurements: docs/adaptation.md
AUTO_SETTINGS: tuple[tuple[float, tuple[Setting, ...]], ...] = (
    (0.0, (Setting("affine"),)),
    (20.0, (Setting("lowrank"),)),
    (60.0, (Setting("lowrank", options=WIDE),)),
    (300.0, (Setting("lowrank", 0.7, options=WIDE),)),
)


NOTHING_USABLE = "no usable recording, so nothing was learned"
WITHOUT_TEXTS = (
    "no usable recording with a text, so nothing was learned: write down what is said in some, give earlier ones "
    "with their texts as well, or `enroll --untranscribed`"
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
        untranscribed: Pieces of recordings without texts.
        heard: Those with what each fold has heard in them as their texts, but for sentences that it holds out; and
            last with what the mean of the folds has heard. Empty before.
    """

    name: str
    examples: tuple[Example, ...]
    folds: tuple[tuple[int, ...], ...]
    seed: int
    settings: tuple[Setting, ...]
    past: Past = field(default_factory=Past)
    start: Start = field(default_factory=Start)
    untranscribed: tuple[Example, ...] = ()
    heard: tuple[tuple[Example, ...], ...] = ()

    @property
    def seconds(self) -> float:
        """Seconds of usable audio with texts."""
        return sum(example.seconds for example in self.examples)

    @property
    def to_hear(self) -> tuple[Example, ...]:
        """The pieces in which nobody has heard anything yet."""
        return () if self.heard else self.untranscribed

    @property
    def everything(self) -> tuple[Example, ...]:
        """All that is learned from where nothing is held out: with texts, and with what was heard."""
        return self.examples + (self.heard[-1] if self.heard else ())

    @property
    def learned_seconds(self) -> float:
        """Seconds of that."""
        return sum(example.seconds for example in self.everything)

    def part(self, fold: int) -> tuple[Example, ...]:
        """What a fold learns from: all but what it holds out, and what it has heard itself."""
        held_out = set(self.folds[fold])
        kept = tuple(example for index, example in enumerate(self.examples) if index not in held_out)
        return kept + (self.heard[fold] if self.heard else ())


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
    settings = _settings(examples, options, past, start)
    return Person(name, tuple(examples), tuple(map(tuple, folds)), seed, settings, past, start)


def _settings(
    examples: Sequence[Example], options: EnrolmentOptions, past: Past, start: Start
) -> tuple[Setting, ...]:
    """The candidates for somebody who learns from these."""
    if options.method == "auto" and start.version and past.current:
        settings: tuple[Setting, ...] = (_going_on(past.current.record, examples),)
    elif options.method == "auto":
        settings = auto_settings(sum(example.seconds for example in examples))
    else:
        settings = tuple(Setting(options.method, rate) for rate in options.rates)
    return tuple(replace(one, method=joined(one.method, options)) for one in settings)


def with_heard(person: Person, heard: Sequence[Sequence[Example]], options: EnrolmentOptions) -> Person:
    """A person who learns from what was heard, too: by each fold, and last by all of them together."""
    texts = [[person.examples[index].text for index in fold] for fold in person.folds]
    by_fold = [without(own, held_out) for own, held_out in zip(heard, texts, strict=False)]
    more = replace(person, heard=(*by_fold, tuple(heard[-1])))
    return replace(more, settings=_settings(more.everything, options, person.past, person.start))


def by_name(speakers: Mapping[str, Sequence[Utterance]]) -> dict[str, list[Utterance]]:
    """The recordings by checked name: one name typed in two ways (Unicode) is one person.

    Raises:
        InvalidSpeakerName: For a name that cannot be stored.
    """
    names: dict[str, list[Utterance]] = {}
    for name, utterances in speakers.items():
        names.setdefault(validate_speaker(name), []).extend(utterances)
    return names


def gather(
    model: SourceModel,
    speakers: Mapping[str, Sequence[Utterance]],
    options: EnrolmentOptions,
    store: SpeakerStore | None,
    failed: list[Failure],
    warnings: list[str],
    screened: dict[str, Screening],
    *,
    hears: bool = False,
) -> Iterator[Person]:
    """Read and check the recordings of a job's people, and those of before; without a new one: to `failed`.

    Where somebody `hears` what is said in recordings without texts, these are taken beside the others.
    """
    for name, utterances in speakers.items():
        added = characters_of(options)
        told, untold = divided(utterances, hears)
        examples, past = prepare_examples(model, told, added), look_back(model, store, name)
        given = {example.digest for example in examples.usable}
        if given or untold:
            examples = with_kept(model, past, examples, added)
        more = pieces_of(model, untold, examples.usable)
        failed += [*examples.failed, *more.failed]
        warnings += [*examples.warnings, *more.warnings]
        usable = examples.usable if given or more.usable else ()
        checked = screen(model, usable, options.training, added) if usable else None
        if checked and checked.kept and (more.usable or any(one.digest in given for one in checked.kept)):
            screened[name] = checked
            yield replace(make_person(name, checked.kept, options, past), untranscribed=more.usable)
        else:
            left_out = checked.left_out if checked else ()
            failed += [Failure(one.audio, f"{one.reason}; record again: {one.text!r}") for one in left_out]
            failed.append(Failure(name, WITHOUT_TEXTS if more.usable else NOTHING_USABLE))
