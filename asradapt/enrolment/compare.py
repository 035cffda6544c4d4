"""The second half of the gate: a new version must not be worse than the one in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asradapt.enrolment.examples import digests_of
from asradapt.enrolment.gate import Verdict
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import learned_from, standing_bank
from asradapt.enrolment.people import Person
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, sign_flip, total
from asradapt.store import SpeakerRecord
from asradapt.wording import counted


@dataclass(frozen=True)
class Comparison:
    """A new version beside the one in use, on recordings that neither has learned from.

    Attributes:
        version: The version in use.
        accepted: Whether the new one may take its place.
        current: Counts of the version in use, one a recording that it has not learned from.
        new: Held-out counts of the new one, in the same order.
        chance: Probability that chance alone makes a difference this much in favour of the new one.
        explanation: The decision in one plain sentence.
    """

    version: int
    accepted: bool
    current: tuple[ErrorCounts, ...]
    new: tuple[ErrorCounts, ...]
    chance: float | None
    explanation: str

    def as_dict(self) -> dict[str, object]:
        """The comparison as a part of `gate` in the record."""
        return {
            "version": self.version,
            "accepted": self.accepted,
            "utterances": len(self.new),
            "before": total(self.current).as_dict() if self.current else None,
            "after": total(self.new).as_dict() if self.new else None,
            "chance": self.chance,
        }


def compare(person: Person, verdict: Verdict, current: Mapping[int, ErrorCounts]) -> Comparison | None:
    """Compare a new version with the one in use; None where none is in use, or nothing speaks about it.

    Not worse means: neither more wrong characters nor more wrong words, on the recordings that the version
    in use has not learned from, each judged by a fold that has not either. The recordings it has learned
    from cannot tell. Where there are no others, the version in use stays, unless the new one has learned from
    more recordings or from corrected texts; or, where either has heard recordings without texts, unless all that
    it has learned from is here again and the new folds are no worse than its own were.

    Args:
        person: The person, with what was there before.
        verdict: Of the new version, beside the source.
        current: Counts of the version in use, as `counts_in_use` finds them.
    """
    if not current:
        return nothing_new(person) or _in_its_place(person, verdict)
    new = [verdict.after[index] for index in current]
    return judge_pair(person.past.version, list(current.values()), new, person.seed)


def counts_in_use(model: SourceModel, person: Person, options: EnrolmentOptions) -> dict[int, ErrorCounts]:
    """Counts of the version in use on the recordings that it has not learned from, by their position."""
    past = person.past
    if past.current is None:
        return {}
    unseen = [index for index, seen in enumerate(past.seen(person.examples)) if not seen]
    pairs = [(0, person.examples[index]) for index in unseen]
    if not pairs:
        return {}
    scores = evaluate_pairs(model, standing_bank(model, past.current), pairs, options.training)[0]
    return {index: scores.counts[id(person.examples[index])] for index in unseen}


def worse_than_source(
    version: int, source: Sequence[ErrorCounts], current: Sequence[ErrorCounts], *, confidence: float, seed: int
) -> str:
    """What to know where the version in use is worse than the source beyond chance, else an empty string.

    Whose voice or microphone has changed would keep it, as an enrolment that does not pass replaces nothing.
    """
    before, after = total(source), total(current)
    pairs = zip(source, current, strict=True)
    chance = sign_flip([old.character_errors - new.character_errors for old, new in pairs], seed=seed)
    if chance > 1 - confidence or after.errors < before.errors:
        return ""
    return (
        f"on {counted(len(current), 'new recording')} version {version} is worse than the source (wrong letters "
        f"{after.cer:.1%}, the source {before.cer:.1%}; word errors {after.wer:.1%} and {before.wer:.1%})"
    )


def judge_pair(version: int, current: Sequence[ErrorCounts], new: Sequence[ErrorCounts], seed: int) -> Comparison:
    """The decision between the counts of the version in use and those of the new one, recording by recording."""
    old, fresh = total(current), total(new)
    pairs = zip(current, new, strict=True)
    chance = sign_flip([after.character_errors - before.character_errors for before, after in pairs], seed=seed)
    accepted = fresh.character_errors <= old.character_errors and fresh.errors <= old.errors
    count = f"{len(new)} new recording{'' if len(new) == 1 else 's'}"
    rates = f"word errors {old.wer:.1%} with version {version}, {fresh.wer:.1%} after this enrolment"
    letters = f"wrong letters {old.cer:.1%} and {fresh.cer:.1%}"
    said = f"{'no worse' if accepted else 'worse'} than version {version} on {count}: {rates}; {letters}"
    return Comparison(version, accepted, tuple(current), tuple(new), chance, said)


def _in_its_place(person: Person, verdict: Verdict) -> Comparison | None:
    """Whether a version that has learned all of these texts may be replaced, where it or the new one has heard.

    No recording can compare the two. What the new one learns from must hold all that the version has learned from,
    and its folds must be no worse than those of the version were on the same recordings. None where neither has
    learned from what was heard.
    """
    past = person.past
    if past.current is None or not (person.heard or _has_heard(past.current.record)):
        return None
    record = past.current.record
    digests, _, _ = learned_from(record)
    same = _judged_before(person, record)
    if not same or not digests <= set(digests_of([*person.examples, *person.untranscribed])):
        said = (
            f"no new text tells whether it is better than version {past.version}, which has learned from what is "
            "not among these recordings and texts: give them all together (--fresh enrols from these alone)"
        )
        return Comparison(past.version, False, (), (), None, said)
    old, new = record.folds.get("after"), total([verdict.after[index] for index in same]).as_dict()
    rates = {key: float(old[key]) for key in ("wer", "cer")} if isinstance(old, dict) else {}
    accepted = bool(rates) and all(float(str(new[key])) <= rate for key, rate in rates.items())
    said = f"{'no worse' if accepted else 'worse'} on the recordings that version {past.version} was judged by"
    return Comparison(past.version, accepted, (), (), None, said)


def _has_heard(record: SpeakerRecord) -> bool:
    """Whether a version has learned from recordings without texts, beside those with texts."""
    partly = record.gate.get("partly")
    return isinstance(partly, dict) and bool(partly.get("used"))


def _judged_before(person: Person, record: SpeakerRecord) -> list[int]:
    """The recordings by which a version was judged; none where one of them is missing or the version was moved."""
    texts = record.split.get("texts")
    if not isinstance(texts, list) or "earlier" in record.split or "migrated" in record.split:
        return []
    digests, said = set(learned_from(record)[0]), set(map(str, texts))
    found = [n for n, one in enumerate(person.examples) if one.digest in digests and one.text in said]
    return found if len(found) == len(texts) else []


def nothing_new(person: Person) -> Comparison | None:
    """That the version in use has learned from all of these recordings, so that it stays; else None."""
    past = person.past
    if past.current is None or person.heard or not all(past.seen(person.examples)):
        return None
    digests, texts, learned = learned_from(past.current.record)
    if any(piece.digest not in digests for piece in person.to_hear):
        return None
    if len(person.examples) > learned or any(example.text not in texts for example in person.examples):
        return None
    said = (
        f"nothing new here ({counted(len(person.examples), 'recording')}): version {past.version} has learned "
        "from all of it (--fresh enrols from these alone)"
    )
    return Comparison(past.version, False, (), (), None, said)
