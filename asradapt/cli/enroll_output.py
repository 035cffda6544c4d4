"""What `asradapt enroll` and its relatives print: everybody's outcome, warnings, and the JSON of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from asradapt.cli.common import Bar, note, print_json, report_problems, running, say
from asradapt.errors import AsradaptError
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

NO_TEXTS = ("no text", "the text is empty")  # how failures of recordings without a text begin

if TYPE_CHECKING:
    from asradapt.enrolment import Enrolled, Enrolment
    from asradapt.store import SpeakerStore
    from asradapt.store.kept import Kept


def _line(one: Enrolled) -> str:
    record = one.record
    label = f"{record.method}, version {record.version}" if record.decision == "adapted" else "source kept"
    if one.stays:
        label = f"version {one.stays} stays"
    learned = counted(record.utterances, "recording" if record.transcribed else "piece")
    lines = [
        f"{record.speaker}: {learned}, {record.seconds:.0f} s, {one.wall_seconds:.1f} s to enrol [{label}]",
        one.explanation,
    ]
    lines += [str(part) for part in (one.partly, one.forecast) if part]
    lines += [f"for information: {one.retention}"] if one.retention else []
    if one.left_out:
        lines.append(f"left out of the training, {len(one.left_out)} to record again or to correct:")
        lines += [f"  {left.audio}: {left.text!r}: {left.reason}" for left in one.left_out]
    return "\n  ".join([*lines, *(f"note: {remark}" for remark in one.remarks)])


def tell_one(one: Enrolled, store: SpeakerStore) -> None:
    """Print the outcome for one person, and which of their recordings are kept where."""
    say(_line(one))
    if one.start:
        say(f"  {one.start}")
    if one.kept:
        more = "; recordings without texts are not kept" if one.partly else ""
        say(f"  {audio_is_kept(one.kept, store, one.record.speaker)}{more}")


def audio_is_kept(kept: Kept, store: SpeakerStore, speaker: str) -> str:
    """Which recordings are kept where."""
    size = f"{counted(len(kept.recordings), 'recording')}, {kept.seconds / 60:.1f} min, {kept.bytes / 1e6:.1f} MB"
    path = store.recordings(speaker).path
    return f"audio is kept: {size} in {path}; `asradapt speakers forget-audio` deletes them"


class Outcomes:
    """Everybody's outcome as soon as it is stored: printed, or kept for the JSON, also if the others fail."""

    def __init__(self, store: SpeakerStore, as_json: bool) -> None:
        self.store, self.as_json = store, as_json
        self._done: list[Enrolled] = []
        self._told = 0
        self._entries: list[dict[str, object]] = []
        running().done["speakers"] = self._entries

    def stored(self, people: Sequence[Enrolled], bar: Bar) -> None:
        """These are done. Where stdout does not take it the others are enrolled all the same."""
        self._done += people
        if self.as_json:
            self._entries += [one.as_dict() for one in people]
        elif people:
            with suppress(OSError, AsradaptError):  # told by the next try, in the end
                bar.aside()
                self.tell()

    def tell(self) -> None:
        """Print what has not been printed yet."""
        for one in self._done[self._told :]:
            tell_one(one, self.store)
            self._told += 1


def _print(result: Enrolment, outcomes: Outcomes) -> None:
    outcomes.tell()
    if len(result.speakers) > 1:
        fresh = [one.record.decision == "adapted" for one in result.speakers if not one.stays]
        stays = len(result.speakers) - len(fresh)
        outcome = f"{sum(fresh)} adapted, {len(fresh) - sum(fresh)} keep the source"
        outcome += f", {stays} keep what they had" if stays else ""
        say(f"{len(result.speakers)} speakers enrolled, {outcome}")


def tell_texts(people: Mapping[str, Sequence[Utterance]]) -> None:
    """Print how many of the recordings have a text, so that a misnamed text is noticed before the work."""
    told = sum(one.text is not None for utterances in people.values() for one in utterances)
    count = sum(map(len, people.values()))
    note(f"{counted(told, 'recording')} with a text, {count - told} without")


def without_rank(result: Enrolment, rank: int | None) -> list[str]:
    """Whom `auto` has enrolled by a method that has no rank, although one was asked for."""
    tried = {
        one.record.speaker: str(gate.get("method", ""))
        for one in result.speakers
        if isinstance(gate := one.record.gate["tried"], dict)
    }
    return [
        f"{name}: --rank is not used: auto takes {method} for so little speech, or goes on with it"
        for name, method in tried.items()
        if rank and method and "lowrank" not in method.split("+")
    ]


def finish(
    result: Enrolment,
    failed: Sequence[Failure],
    warnings: Sequence[str],
    outcomes: Outcomes,
    skipped: Sequence[str] = (),
    hint: bool = False,
) -> int:
    """Print the outcome; the exit code.

    Args:
        result: Everybody who was enrolled.
        failed: What could not be used.
        warnings: What else is to be told.
        outcomes: Who of them has been told of.
        skipped: Who was enrolled already.
        hint: Whether to tell what learns from recordings without texts beside others.
    """
    store = outcomes.store
    if outcomes.as_json:
        entries = [one.as_dict() for one in result.speakers]
        told: dict[str, object] = {"skipped": list(skipped)} if skipped else {}
        failures = [one.as_dict() for one in failed]
        print_json({"speakers": entries, **told, "failed": failures, "warnings": list(warnings)})
    else:
        _print(result, outcomes)
    report_problems(warnings, failed)
    new = [one for one in result.speakers if not one.stays or one.kept]  # kept recordings are stored, too
    if skipped:
        note(f"{counted(len(skipped), 'speaker')} enrolled already, left as they are")
    nothing = "nobody was enrolled" if failed and not result.speakers else "nothing was stored"
    note(f"stored in {store.root}" if new else nothing)
    without = any(one.reason.startswith(NO_TEXTS) for one in failed)
    if without and not result.speakers:
        more = (
            "; `--partly-transcribed` learns from them beside some with texts, such as kept ones" if hint else ""
        )
        note(f"`--untranscribed` enrols from recordings without texts{more}")
    elif without and hint:
        note("`--partly-transcribed` learns from recordings without texts, too")
    return 1 if failed else 0
