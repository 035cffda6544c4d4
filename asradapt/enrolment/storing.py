"""Outcomes into the store: nothing that works is replaced by something worse, one bad folder loses nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from asradapt.enrolment.keeping import keep_recordings
from asradapt.enrolment.options import Enrolled
from asradapt.enrolment.people import Person
from asradapt.errors import StoreError, UnknownName
from asradapt.models.base import SourceModel
from asradapt.store import SpeakerRecord, SpeakerStore, another_source
from asradapt.store.store import ANY
from asradapt.store.vocabulary import Stamp
from asradapt.types import Failure


def is_enrolled(store: SpeakerStore, model: SourceModel, name: str) -> bool:
    """Whether a speaker's current version, adapted or not, is one of this source model."""
    try:
        record = store.record(name)
    except (StoreError, UnknownName):  # damaged: nothing that could be used
        return False
    return not another_source(record, model.name, model.fingerprint)


def standing_version(store: SpeakerStore, record: SpeakerRecord) -> int:
    """The current version of the speaker if that is an adaptation to the same source, else 0."""
    if record.speaker not in store:
        return 0
    try:
        current = store.load(record.speaker).record
    except StoreError:  # damaged: nothing that could stand
        return 0
    own = not another_source(current, record.source["name"], record.source["fingerprint"])
    return current.version if current.decision == "adapted" and own else 0


def stands(one: Enrolled, version: int) -> Enrolled:
    """The outcome where an enrolment without success meets an adaptation that had passed its own gate."""
    reason = one.explanation.removeprefix("the source is kept: ")
    explanation = f"version {version} stays in use, this enrolment does not replace it: {reason}"
    return replace(one, record=replace(one.record, version=version), explanation=explanation, stays=version)


def stamps_of(store: SpeakerStore | None, names: Iterable[str]) -> dict[str, Stamp | None]:
    """What tells whether speakers were stored since; of those whose folders can be read."""
    found: dict[str, Stamp | None] = {}
    if store is None:
        return found
    for name in names:
        with suppress(StoreError):
            found[name] = store.version_stamp(name)
    return found


def keep(
    store: SpeakerStore,
    enrolled: Sequence[Enrolled],
    failed: list[Failure],
    expected: Mapping[str, Stamp | None] | None = None,
) -> list[Enrolled]:
    """Store everybody; who cannot be stored goes to `failed`, so that one bad folder loses nobody else.

    An adaptation that stands is not replaced by an enrolment that ends with the source: a second round
    with less or worse speech must not make it worse. Nor is a version that was stored since the enrolment began,
    with whose stamps (`expected`, by speaker) it was not compared.

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
                stamp = (expected or {}).get(one.record.speaker, ANY)
                kept.append(replace(one, record=store.save(one.record, one.state, expected=stamp)))
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
