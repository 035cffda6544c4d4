"""Outcomes into the store: nothing that works is replaced by something worse, one bad folder loses nobody else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
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


def is_enrolled(store: SpeakerStore, model: SourceModel, name: str, *, with_audio: bool = False) -> bool:
    """Whether a speaker's current version, adapted or not, is one of this source model.

    Args:
        store: Where the speaker may be.
        model: The source model.
        name: The speaker.
        with_audio: Whether recordings must be kept, too: an interruption may have come before they were.
    """
    try:
        record = store.load(name).record  # with its tensors, which may be damaged
        there = not with_audio or store.recordings(name).agreed
    except (StoreError, UnknownName):  # damaged: nothing that could be used
        return False
    return there and not another_source(record, model.name, model.fingerprint)


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
    then: Callable[[Enrolled], Enrolled] = lambda one: one,
) -> list[Enrolled]:
    """Store one after the other; who cannot be stored goes to `failed`, so that one bad folder loses nobody else.

    An adaptation that stands is not replaced by an enrolment that ends with the source: a second round
    with less or worse speech must not make it worse. Nor is a version that was stored since the enrolment began,
    with whose stamps (`expected`, by speaker) it was not compared. What is to be done `then` is done with each
    before the next is stored, so that an interruption finds one person unfinished at most.

    Raises:
        StoreError: If nobody could be stored.
    """
    kept, errors = [], []
    for one in enrolled:
        try:
            earlier = standing_version(store, one.record) if one.record.decision == "source" else 0
            if earlier:
                done = stands(one, earlier)
            else:
                stamp = (expected or {}).get(one.record.speaker, ANY)
                done = replace(one, record=store.save(one.record, one.state, expected=stamp))
        except StoreError as error:
            errors.append(error)
            failed.append(Failure(one.record.speaker, str(error)))
        else:
            kept.append(then(done))
    if errors and not kept:
        raise errors[0]
    return kept


def with_audio(
    store: SpeakerStore,
    model: SourceModel,
    people: Sequence[Person],
    one: Enrolled,
    agree: bool,
    failed: list[Failure],
) -> Enrolled:
    """Keep the recordings of somebody who agrees; what is kept is noted."""
    examples = {person.name: person.examples for person in people if person.name == one.record.speaker}
    kept = keep_recordings(store, examples, model.sample_rate, agree=agree, failed=failed)
    return replace(one, kept=kept.get(one.record.speaker))
