"""A speaker taken to another source model: enrolled anew from kept recordings, or moved and judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asradapt.adaptation.mixed import IDENTITY
from asradapt.enrolment.enroll import Progress, enroll
from asradapt.enrolment.moving import Moved, move
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import kept_recordings, learned_from
from asradapt.enrolment.suiting import Suited, own_options, suit
from asradapt.enrolment.trial import Trial, judge_moved, left_out_lines
from asradapt.errors import AsradaptError, StoreError, UsageError
from asradapt.held import recording_of
from asradapt.models.base import SourceModel, source_of
from asradapt.pcm import digest
from asradapt.scoring import NORMALIZER, total
from asradapt.store import SpeakerRecord, SpeakerStore, another_source
from asradapt.store.kept import Kept
from asradapt.types import Failure, Utterance


@dataclass(frozen=True)
class Migrated:
    """A speaker on another source model.

    Attributes:
        record: What was stored.
        anew: Whether the person was enrolled anew; otherwise the tensors were moved.
        how: What was done, in a plain sentence.
        explanation: What was decided, in a plain sentence.
        moved: The places whose tensors were moved.
        dropped: The places whose tensors were not, and methods and characters that the new model has no place
            for; and why.
        failed: Recordings that could not be used.
        warnings: What is odd about the others.
        kept: What is kept of the person's recordings, if they agreed.
    """

    record: SpeakerRecord
    anew: bool
    how: str
    explanation: str
    moved: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    failed: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()
    kept: Kept | None = None

    def as_dict(self) -> dict[str, object]:
        """The outcome for `--json`, besides what the record says."""
        return {
            "anew": self.anew,
            "how": self.how,
            "explanation": self.explanation,
            "moved": list(self.moved),
            "dropped": list(self.dropped),
            "warnings": list(self.warnings),
            "kept_audio": self.kept.as_dict() if self.kept else None,
        }


@torch.inference_mode(mode=False)
@torch.enable_grad()
def migrate(
    model: SourceModel,
    store: SpeakerStore,
    speaker: str,
    utterances: Sequence[Utterance] = (),
    *,
    options: EnrolmentOptions | None = None,
    unjudged: bool = False,
    progress: Progress | None = None,
) -> Migrated:
    """Take a stored speaker to another source model; the earlier version stays for a rollback.

    Args:
        model: The new source model.
        store: Where the speaker is.
        speaker: Who.
        utterances: Recordings with texts: to learn from together with those that were kept, or to judge the moved
            adaptation by.
        options: How to enrol and to judge.
        unjudged: Move the adaptation without any recordings to judge it by.
        progress: Called with what is being done and the share of the whole that is done.

    Raises:
        StoreError: If the speaker is on this model already, nothing can be moved, or there is nothing to judge by;
            the store is as it was.
        UsageError: If `unjudged` is given although there are recordings.
    """
    options = options or EnrolmentOptions()
    record = store.record(speaker)
    if not another_source(record, model.name, model.fingerprint):
        raise StoreError(f"{speaker} is on {model.name} already; name the new model with --model")
    notes: list[str] = []
    kept = list(kept_recordings(store, record.speaker, notes).values())
    if unjudged and (kept or utterances):
        raise UsageError("there are recordings to judge by; leave out --unjudged")
    if kept:
        done = _anew(model, store, record, kept, utterances, options, progress)
    else:
        if notes and not utterances and not unjudged:
            raise StoreError(f"what is kept of {speaker} cannot be used: {'; '.join(notes[:3])}")
        done = _move(model, store, record, utterances, options, unjudged)
    return replace(done, warnings=(*notes, *done.warnings))


def _anew(
    model: SourceModel,
    store: SpeakerStore,
    record: SpeakerRecord,
    kept: Sequence[Utterance],
    new: Sequence[Utterance],
    options: EnrolmentOptions,
    progress: Progress | None,
) -> Migrated:
    """An enrolment with the person's own method and characters, from kept recordings and new ones, if any."""
    speaker = record.speaker
    try:
        suited = suit(model, record)
    except AsradaptError as error:  # the recordings are of use all the same
        suited = Suited("", {}, {record.method: str(error)})
    own = own_options(options, suited)
    result = enroll(model, {speaker: new or kept}, options=own, store=store, progress=progress, fresh=not new)
    if not result.speakers:
        reasons = "; ".join(failure.reason for failure in result.failed[:3])
        raise StoreError(f"{speaker} cannot be enrolled on {model.name} from what is kept: {reasons}")
    (one,) = result.speakers
    how = f"enrolled anew from {_used(model, one.record, kept, new)}"
    warnings = (*result.warnings, *left_out_lines(one.left_out))
    done = Migrated(one.record, True, how, one.explanation, dropped=suited.reasons, kept=one.kept)
    return replace(done, failed=result.failed, warnings=warnings)


def _move(
    model: SourceModel,
    store: SpeakerStore,
    record: SpeakerRecord,
    utterances: Sequence[Utterance],
    options: EnrolmentOptions,
    unjudged: bool,
) -> Migrated:
    """The tensors that fit, if the gate lets them pass."""
    if record.decision != "adapted":
        raise StoreError(
            f"{record.speaker} keeps the source, which goes with every model: there is nothing to move"
        )
    stamp = store.version_stamp(record.speaker)
    stored = store.load(record.speaker, record.version)
    moved = move(model, stored)  # first: recordings would be of no use where nothing fits
    if not utterances and not unjudged:
        raise StoreError(
            f"no recordings of {record.speaker} are kept, so nothing tells whether the adaptation still helps on "
            f"{model.name}: give recordings with texts to judge it by, or --unjudged"
        )
    trial = None if unjudged else judge_moved(model, stored, moved, utterances, options)
    saved = store.save(*_record(model, record, moved, trial, options), expected=stamp)
    places = len(moved.moved) + len(moved.dropped)
    how = f"moved {len(moved.moved)} of {places} places from version {record.version}"
    how += f"; {moved.fresh} places of the new model begin as the identity" if moved.fresh else ""
    said = trial.verdict.explanation if trial else "never judged: nothing tells whether it helps on this model"
    beside = (trial.failed, trial.warnings) if trial else ((), ())
    return Migrated(saved, False, how, said, moved.moved, (*moved.dropped, *moved.suited.notes), *beside)


def _used(model: SourceModel, record: SpeakerRecord, kept: Sequence[Utterance], new: Sequence[Utterance]) -> str:
    """How many recordings were learned from, of those that are kept and of new ones."""
    learned, _, _ = learned_from(record)
    made = {digest(recording_of(one, model.sample_rate, None).samples) for one in kept}
    both = len(made & learned)
    old = _of(both, len(kept)) + (" kept recording" if len(kept) == 1 else " kept recordings")
    return (
        f"{old} and {_of(record.utterances - both, len(new))} new {'one' if len(new) == 1 else 'ones'}"
        if new
        else old
    )


def _of(part: int, whole: int) -> str:
    return f"{whole}" if part == whole else f"{part} of {whole}"


def _record(
    model: SourceModel, old: SpeakerRecord, moved: Moved, trial: Trial | None, options: EnrolmentOptions
) -> tuple[SpeakerRecord, dict[str, Tensor]]:
    """What is remembered, and the tensors: those of the source where the gate did not let them pass."""
    adapted = trial is None or trial.verdict.accepted
    origin: dict[str, object] = {
        "version": old.version,
        "source": old.source,
        "moved": list(moved.moved),
        "dropped": [*moved.dropped, *moved.suited.notes],
    }
    record = replace(
        old,
        method=moved.suited.method,
        options={name: dict(one) for name, one in moved.suited.options.items()},
        source=source_of(model),
        split=old.split | {"migrated": origin},
        seed=options.seed,
        folds=_folds(trial) if trial else {},
        gate=_gate(old, moved, trial, options),
        created="",
        version=0,
        sha256="",
    )
    if adapted:
        return record, moved.state
    return replace(record, decision="source", method=IDENTITY, options={}), {}


def _folds(trial: Trial) -> dict[str, object]:
    words = trial.verdict.words.as_dict()
    return {
        "before": total(trial.verdict.before).as_dict(),
        "after": total(trial.verdict.after).as_dict(),
        "low": words["low"],
        "high": words["high"],
        "normalizer": NORMALIZER,
    }


def _gate(old: SpeakerRecord, moved: Moved, trial: Trial | None, options: EnrolmentOptions) -> dict[str, object]:
    origin = f"moved from version {old.version}, made for {old.source['name']}"
    if trial is None:
        return {"judged": False, "reason": f"{origin}, without recordings to judge it by"}
    return {
        "judged": True,
        "reason": origin,
        "confidence": options.confidence,
        "chance": trial.verdict.chance,
        "tried": {"method": moved.suited.method, "moved": old.version},
        "recordings": {"digests": [one.digest for one in trial.examples]},
    }
