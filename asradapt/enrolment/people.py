"""Who is enrolled: a person's recordings, checked, with folds, candidates and what is there from before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from asradapt.enrolment.examples import Example, Examples, prepare_examples
from asradapt.enrolment.folds import speaker_seed, split_folds
from asradapt.enrolment.label_space import characters_of, joined
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.past import Past, Start, begin, look_back, with_kept
from asradapt.enrolment.pseudo import cut_recordings
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
        untranscribed: Pieces of recordings without texts, which are to be heard.
        heard: Those with what each fold has heard in them as their texts, and last with what all of them together
            have; empty before.
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
    """A person who learns from what was heard, too: by each fold, and last by all together."""
    more = replace(person, untranscribed=(), heard=tuple(map(tuple, heard)))
    return replace(more, settings=_settings(more.everything, options, person.past, person.start))


def _divided(utterances: Sequence[Utterance], hears: bool) -> tuple[list[Utterance], list[Utterance]]:
    """Recordings to learn from by their texts, and those to be heard: the ones without, where somebody hears."""
    untold = {id(one) for one in utterances if hears and not (one.text or "").strip()}
    return [u for u in utterances if id(u) not in untold], [u for u in utterances if id(u) in untold]


def _pieces(model: SourceModel, utterances: Sequence[Utterance], known: Sequence[Example]) -> Examples:
    """Recordings without texts in pieces; what is there with its text is left out."""
    cut, texts = cut_recordings(model, utterances), {one.digest: one.utterance.audio for one in known}
    copies = {id(one): texts[d] for one in cut.usable for d in (one.digest, one.whole) if d in texts}
    notes = [
        f"{one.utterance.audio}: the same sound as in {copies[id(one)]}, used once, with its text"
        for one in cut.usable
        if id(one) in copies
    ]
    kept = tuple(one for one in cut.usable if id(one) not in copies)
    return replace(cut, usable=kept, warnings=(*cut.warnings, *notes))


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
        told, untold = _divided(utterances, hears)
        examples, past = prepare_examples(model, told, added), look_back(model, store, name)
        given = {example.digest for example in examples.usable}
        if given or untold:
            examples = with_kept(model, past, examples, added)
        more = _pieces(model, untold, examples.usable)
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
            which = "usable recording with a text" if more.usable else "usable recording"
            failed.append(Failure(name, f"no {which}, so nothing was learned"))
