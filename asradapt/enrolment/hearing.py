"""Learning from recordings without texts beside those with texts: self-training that the texts judge.

Each fold, which has learned from its part of the texts, hears the recordings without texts with the language model
and then learns anew from both (a noisy student: Xie et al. 2020, arXiv 1911.04252), but for sentences that it
holds out and that were read once more. So what it holds out, with the true texts, judges it as in any enrolment:
docs/untranscribed.md.

Letters: S rows of the bank, one for every fold and one for their mean.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from asradapt.adaptation import METHODS, SpeakerBank
from asradapt.decoding import GREEDY, Decoder, Heard
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.compare import compare, nothing_new
from asradapt.enrolment.examples import Example
from asradapt.enrolment.gate import Verdict
from asradapt.enrolment.judging import Judged, judge
from asradapt.enrolment.label_space import characters_of
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.partly import Partly
from asradapt.enrolment.people import Person, with_heard
from asradapt.enrolment.planning import keeps_folds
from asradapt.enrolment.pseudo import hear, labelled, phrases_of
from asradapt.enrolment.selection import Choice
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel, without_ctc, writes
from asradapt.scoring import total
from asradapt.store import SpeakerStore
from asradapt.wording import counted

Report = Callable[[float], None]  # share of the work that is done
PASSES = 12
"""Most passes over texts and what was heard, where these are more updates than are allowed for at least."""
LISTENING = 0.1
"""Of the work, before there is anything to learn."""


@dataclass(frozen=True, eq=False)
class Teacher:
    """Who hears, and whose phrases help.

    Attributes:
        decoder: A search with a language model.
        store: Holds everybody's phrases; None for no phrases.
    """

    decoder: Decoder
    store: SpeakerStore | None = None


def learn_rest(
    model: SourceModel,
    judged: Sequence[Judged],
    teacher: Teacher,
    options: EnrolmentOptions,
    report: Report,
    warnings: list[str],
) -> list[Judged]:
    """Let those who have recordings without texts learn from them, too, where that is no worse.

    Args:
        model: The source model; it is not changed.
        judged: Everybody, after cross-validation on the texts.
        teacher: Who hears.
        options: How to enrol.
        report: Called with the share of the work that is done.
        warnings: Gets what could not be used.

    Returns:
        Everybody, in this order.
    """
    rest = [one for one in judged if one.person.to_hear]
    able = [(one, one.choice) for one in rest if one.choice and one.choice.learned]
    warnings += [_too_few(one.person, options) for one in rest if not one.choice and not one.comparison]
    more: list[Person] = []
    sure: dict[str, float | None] = {}
    for number, (one, choice) in enumerate(able):
        report(LISTENING * number / len(able))
        person, confidence = _hear(model, one.person, choice, teacher, options, warnings)
        if person:
            more.append(person)
            sure[person.name] = confidence
    found = _learn_anew(model, more, options, lambda share: report(LISTENING + (1 - LISTENING) * share))
    return [
        _better(_alone(one), found.get(one.person.name), sure.get(one.person.name), options)
        if one.person.to_hear
        else one
        for one in judged
    ]


def _too_few(person: Person, options: EnrolmentOptions) -> str:
    """The advice for somebody with too few texts to judge by."""
    count = len({id(piece.utterance) for piece in person.untranscribed})
    return (
        f"{person.name}: {counted(count, 'recording')} without a text not heard, as too few have one to judge by: "
        f"write down what is said in some, so that at least {options.least_utterances} different texts are there; "
        "or `enroll --untranscribed`"
    )


def _learn_anew(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions, report: Report
) -> dict[str, Judged]:
    """Cross-validation and gate of those who have heard something, by name."""
    if not people:
        return {}
    fewer = replace(options, passes=min(PASSES, options.passes))
    return {one.person.name: one for one in judge(model, people, fewer, Clock(), report)}


def _hear(
    model: SourceModel,
    person: Person,
    choice: Choice,
    teacher: Teacher,
    options: EnrolmentOptions,
    warnings: list[str],
) -> tuple[Person | None, float | None]:
    """A person with what each fold hears, and how sure all together are; None where one of them hears nothing."""
    bank = _folds(model, choice, len(person.folds), options)
    pairs = [(row, piece) for row in range(bank.speakers) for piece in person.to_hear]
    phrases = phrases_of(teacher.store, person.name, warnings)
    heard = hear(
        model, bank, pairs, teacher.decoder, options.training, dict.fromkeys(range(bank.speakers), phrases)
    )
    lessons: list[list[Example]] = [[] for _ in range(bank.speakers)]
    for (row, piece), text in zip(pairs, heard, strict=True):
        if lesson := labelled(model, piece, text, characters_of(options)):
            lessons[row].append(lesson)
    if not all(lessons):
        warnings.append(
            f"{person.name}: too little was heard in the recordings without texts, so they teach nothing"
        )
        return None, None
    return with_heard(person, lessons, options), _confidence(heard[-len(person.untranscribed) :])


def _folds(model: SourceModel, choice: Choice, folds: int, options: EnrolmentOptions) -> SpeakerBank:
    """What the folds have learnt, a row each, and behind them the mean: at the strength that was chosen."""
    empty = SpeakerBank(model, choice.setting.methods(options.method_options)).select([])
    learned = empty.extended([choice.learned])
    everybody = learned.extended([learned.averaged([range(folds)]).tensors])
    return everybody.scaled(torch.full((folds + 1,), choice.strength))


def _confidence(heard: Sequence[Heard]) -> float | None:
    known = [one.confidence for one in heard if one.confidence is not None]
    return sum(known) / len(known) if known else None


def _alone(one: Judged) -> Judged:
    """What the texts alone have led to, as if there were no other recordings."""
    person = replace(one.person, untranscribed=())
    choice = one.choice if one.choice is None or keeps_folds(person) else replace(one.choice, learned={})
    beside = one.comparison
    if not (beside and beside.current):  # nothing new was there to compare with: by the texts alone, then
        beside = compare(person, one.verdict, {}) if one.verdict else nothing_new(person)
    return replace(one, person=person, choice=choice, comparison=beside)


def _better(alone: Judged, both: Judged | None, confidence: float | None, options: EnrolmentOptions) -> Judged:
    """What has learned from both, where that passes the gate and is no worse on held-out recordings.

    Where the texts alone did not pass, it is a second chance at the gate, so that it may be by chance in half as
    many cases.
    """
    if both is None or both.verdict is None:
        return alone
    reason = _against(alone, both, both.verdict, options)
    pieces = both.person.heard[-1]
    seconds = sum(piece.seconds for piece in pieces)
    old, new = total(alone.after), total(both.after)
    return replace(alone if reason else both, partly=Partly(len(pieces), seconds, confidence, reason, old, new))


def _against(alone: Judged, both: Judged, verdict: Verdict, options: EnrolmentOptions) -> str:
    """Why what was heard is not learned; empty where it is."""
    old, new = total(alone.after), total(both.after)
    if both.comparison and not both.comparison.accepted:
        return both.comparison.explanation
    second = not (alone.verdict and alone.verdict.accepted)
    tolerated = (1 - options.confidence) / (2 if second else 1)
    if verdict.chance > tolerated:
        most = f"{100 * tolerated:.3g}% are the most{', where the texts alone do not pass' if second else ''}"
        return f"chance alone does as well in {verdict.chance:.1%} of cases, {most}"
    if not verdict.accepted:
        return "more words are wrong than by the source"
    if second:
        return ""
    worse = [("letters", new.character_errors > old.character_errors), ("words", new.errors > old.errors)]
    found = " and ".join(what for what, more in worse if more)
    return f"more {found} are wrong with it" if found else ""


def require_teacher(model: SourceModel, decoder: Decoder, options: EnrolmentOptions) -> None:
    """Refuse a teacher that cannot teach, and what does not go with one.

    Raises:
        UsageError: If there is any.
    """
    if writes(model):
        raise UsageError(without_ctc(model, "learning from recordings without texts"))
    if decoder.language is None or decoder.options.beams == GREEDY:
        raise UsageError("recordings without texts are heard by beam search with a language model; give both")
    if options.strict or options.budget is not None:
        raise UsageError("strict and budget are for recordings with texts only, not beside some without")
    own = options.method.split("+") if options.method != "auto" else []
    if any(METHODS[name].one_speaker for name in own):
        raise UsageError(
            f"recordings without texts are not learned by {options.method}, which changes a whole encoder: "
            "take another method, or recordings with texts only"
        )
