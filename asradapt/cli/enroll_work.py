"""The work of `asradapt enroll`: who is enrolled from what, with texts or by what a teacher hears."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.cli.common import progress, require_writable
from asradapt.cli.inputs import read_recordings
from asradapt.errors import InvalidSpeakerName, UsageError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.cli.enroll_output import Outcomes
    from asradapt.decoding import Decoder
    from asradapt.enrolment import Enrolment, EnrolmentOptions
    from asradapt.models.base import SourceModel
    from asradapt.store import SpeakerStore

People = dict[str, list[Utterance]]


def _everybody(utterances: Sequence[Utterance], failed: list[Failure]) -> People:
    """The rows of a manifest by speaker; rows without a usable speaker go to `failed`."""
    from asradapt.store import validate_speaker

    people: People = {}
    unusable: dict[str, str] = {}
    for utterance in utterances:
        if utterance.speaker is None:
            failed.append(Failure(str(utterance.audio), "the row names no speaker"))
        elif utterance.speaker not in unusable:
            try:
                people.setdefault(validate_speaker(utterance.speaker), []).append(utterance)
            except InvalidSpeakerName as error:
                unusable[utterance.speaker] = str(error)
    failed += [Failure(name, reason) for name, reason in unusable.items()]
    return people


def gather(
    speaker: str | None,
    audio: Sequence[str],
    manifest: Path | None,
    where: Sequence[str],
    everybody: bool,
    need_text: bool,
    tell_texts: bool,
) -> tuple[People, list[Failure], list[str]]:
    """Who is to be enrolled from what, with failures and warnings met on the way.

    Raises:
        UsageError: If the arguments contradict each other.
        ManifestError: If the manifest cannot be read, or holds other people only.
        InvalidSpeakerName: If the speaker cannot be stored under that name.
    """
    if everybody and (speaker or not manifest):
        raise UsageError("--every-speaker takes --manifest FILE and no SPEAKER")
    if not everybody and not speaker:
        raise UsageError("name the SPEAKER, or give --every-speaker")
    read = read_recordings(audio, manifest, where, speaker=speaker, need_text=need_text, tell_texts=tell_texts)
    if not need_text:  # an empty cell of a table is no text
        told = tuple(replace(one, text=(one.text or "").strip() or None) for one in read.utterances)
        read = replace(read, utterances=told)
    failed, warnings = list(read.failed), list(read.warnings)
    if speaker is None:
        return _everybody(read.utterances, failed), failed, warnings
    from asradapt.store import validate_speaker

    return ({validate_speaker(speaker): list(read.utterances)} if read.utterances else {}), failed, warnings


def without_enrolled(
    people: People, source: SourceModel, store: SpeakerStore, keep_audio: bool
) -> tuple[People, list[str]]:
    """Who is not enrolled on this model yet, or not with recordings that are to be kept, and who is."""
    from asradapt.enrolment.storing import is_enrolled

    skipped = [name for name in people if is_enrolled(store, source, name, with_audio=keep_audio)]
    return {name: found for name, found in people.items() if name not in skipped}, skipped


def learn(
    source: SourceModel,
    people: People,
    options: EnrolmentOptions,
    outcomes: Outcomes,
    *,
    keep_audio: bool,
    fresh: bool,
    teacher: Decoder | None = None,
) -> Enrolment:
    """Enrol people from recordings with their texts; where a teacher hears, from others, too.

    Raises:
        StoreError: If the store cannot be written; found out before the work.
    """
    from asradapt.enrolment import enroll as enroll_people

    require_writable(outcomes.store)
    with progress() as bar:
        return enroll_people(
            source,
            people,
            options=options,
            store=outcomes.store,
            progress=bar,
            keep_audio=keep_audio,
            fresh=fresh,
            teacher=teacher,
            stored=lambda done: outcomes.stored(done, bar),
        )


def hear(
    source: SourceModel, people: People, options: EnrolmentOptions, outcomes: Outcomes, lm: str | None
) -> Enrolment:
    """Enrol people from recordings without texts, by what a teacher hears in them.

    Raises:
        UsageError: If there is no language model to judge by.
        StoreError: If the store cannot be written; found out before the work.
    """
    from asradapt.enrolment import enroll_untranscribed

    teacher = teacher_of(source, lm)
    require_writable(outcomes.store)
    with progress() as bar:
        return enroll_untranscribed(
            source,
            people,
            decoder=teacher,
            options=options,
            store=outcomes.store,
            progress=bar,
            stored=lambda done: outcomes.stored(done, bar),
        )


def teacher_of(source: SourceModel, lm: str | None) -> Decoder:
    """What hears recordings without transcripts: beam search with a language model.

    Raises:
        UsageError: If none is given and none comes with the model.
    """
    from asradapt.decoding import Decoder, DecoderOptions
    from asradapt.enrolment.pseudo import teacher_for
    from asradapt.language import load_language
    from asradapt.models.base import writes

    if lm is None or writes(source):  # which it refuses
        return teacher_for(source)
    return Decoder.of(source, load_language(lm), DecoderOptions())
