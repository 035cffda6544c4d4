"""Keeping enrolment recordings of people who agreed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asradapt.enrolment.examples import LONGEST_SECONDS, Example
from asradapt.errors import AudioError, InputError
from asradapt.held import Held, recording_of
from asradapt.pcm import digest, to_integers
from asradapt.store import SpeakerStore
from asradapt.store.kept import Kept
from asradapt.store.recordings import NewRecording
from asradapt.types import Failure


def keep_recordings(
    store: SpeakerStore,
    people: Mapping[str, Sequence[Example]],
    sample_rate: int,
    *,
    agree: bool,
    failed: list[Failure],
) -> dict[str, Kept]:
    """Keep the recordings of those who agree now or agreed before; nothing is written for anybody else.

    Args:
        store: The store; everybody is in it.
        people: Usable recordings by speaker.
        sample_rate: The model's rate in Hz, at which they are kept.
        agree: Whether all of these people agree now.
        failed: Takes the recordings that could not be kept.

    Returns:
        What is kept of those who agree.
    """
    found = {}
    for name, examples in people.items():
        try:
            shelf = store.recordings(name)
            if agree or shelf.agreed:
                texts = {one.digest: one.text for one in shelf.kept().recordings}
                given = [one for one in examples if not (isinstance(one.utterance, Held) and one.utterance.kept)]
                wanted = [one for one in given if texts.get(one.digest) != one.utterance.text]
                found[name] = shelf.add(list(_new(wanted, sample_rate, failed)), agree=agree)
        except InputError as error:
            failed.append(Failure(name, f"the recordings are not kept: {error}"))
    return found


def _new(examples: Sequence[Example], sample_rate: int, failed: list[Failure]) -> list[NewRecording]:
    """The samples of recordings, read again, because enrolment holds their features only."""
    new = []
    for one in examples:
        try:
            samples = recording_of(one.utterance, sample_rate, LONGEST_SECONDS).samples
            if digest(samples) != one.digest:
                raise AudioError("it changed while the person was enrolled; enrol again to keep it")
            text = " ".join((one.utterance.text or "").split())
            new.append(NewRecording(to_integers(samples), sample_rate, text, one.digest))
        except InputError as error:
            failed.append(Failure(str(one.utterance.audio), f"not kept: {error}"))
    return new
