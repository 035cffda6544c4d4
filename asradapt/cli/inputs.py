"""Which recordings a command is given: files, folders, or rows of a manifest; and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from unicodedata import normalize

import click

from asradapt.cli.common import manifest_option, where_option
from asradapt.errors import ManifestError, UsageError
from asradapt.types import Utterance

if TYPE_CHECKING:
    from asradapt.manifests import Manifest

F = TypeVar("F", bound=Callable[..., Any])
WHO = {"speaker", "client_id"}
"""Columns that name the speaker of a row."""


def recordings_options(command: F) -> F:
    """AUDIO, `--manifest` and `--where`; `read_recordings` reads what they name."""
    return click.argument("audio", nargs=-1)(manifest_option(where_option(command)))


def read_recordings(
    audio: Sequence[str],
    manifest: Path | None,
    where: Sequence[str],
    *,
    speaker: str | None,
    need_text: bool,
    tell_texts: bool | None = None,
) -> Manifest:
    """The recordings that are given, each once: all of them, or those of one speaker.

    Args:
        audio: Files and folders.
        manifest: Or the rows of this manifest.
        where: Filters of those rows.
        speaker: Whose recordings; None for everybody's.
        need_text: Whether audio without a text beside it is a failure.
        tell_texts: Whether texts without audio beside them are warned of; by default where texts are needed.

    Raises:
        UsageError: If not one of `audio` and `manifest` is given, or filters without a manifest.
        InvalidSpeakerName: If nobody can have this name.
        ManifestError: If the manifest cannot be read, or holds other people only.
    """
    from asradapt.manifests import parse_where, pooled, read_manifest, utterances_from_audio
    from asradapt.store import validate_speaker

    if speaker is not None:
        speaker = validate_speaker(speaker)
    if where and not manifest:
        raise UsageError("--where filters the rows of a --manifest")
    one_input(manifest, audio)
    if not manifest:
        return utterances_from_audio(audio, speaker, need_text=need_text, tell_texts=tell_texts)
    filters = parse_where(where)
    read = pooled(read_manifest(manifest, where=filters))
    if speaker is None:
        return read
    own, told = rows_of(speaker, read.utterances, chosen=any(key in WHO for key, _ in filters))
    return replace(read, utterances=tuple(own), warnings=(*read.warnings, *told))


def rows_of(
    speaker: str, utterances: Sequence[Utterance], *, chosen: bool
) -> tuple[list[Utterance], tuple[str, ...]]:
    """The rows of a manifest that belong to one named speaker; rows without a speaker are taken as theirs.

    Args:
        speaker: Who.
        utterances: The rows.
        chosen: Whether a filter says whose rows these are; those of one other person are then taken too, as
            somebody may be stored under another name than the manifest's.

    Returns:
        The rows, and a warning if they are another person's.

    Raises:
        ManifestError: If the manifest holds other people only.
    """
    own = [u for u in utterances if u.speaker and normalize("NFC", u.speaker) == speaker]
    if own or not utterances:
        return own, ()
    nameless = [u for u in utterances if u.speaker is None]
    if nameless:
        return [replace(u, speaker=speaker) for u in nameless], ()
    others = sorted({u.speaker for u in utterances if u.speaker})
    if chosen and len(others) == 1:
        return [replace(u, speaker=speaker) for u in utterances], (taken_as(speaker, others[0]),)
    raise no_rows_of(speaker, ", ".join(others[:10]) + (" ..." if len(others) > 10 else ""))


def taken_as(speaker: str, other: str) -> str:
    """The warning that another person's rows are taken as those of a speaker."""
    return f"the rows of {other} are taken as those of {speaker}, as --where and the speaker's name say"


def no_rows_of(speaker: str, others: str) -> ManifestError:
    """The error of a manifest that holds other people only."""
    return ManifestError(
        f"the manifest has no rows of {speaker!r}; its speakers are {others}. Name one of them; or if {speaker!r} "
        "is one of them under another name, say which with --where speaker=NAME; or remove the speaker column"
    )


def one_input(manifest: Path | None, audio: Sequence[str]) -> None:
    """Refuse both a manifest and files, and neither.

    Raises:
        UsageError: With what to do.
    """
    if manifest and audio:
        raise UsageError("give audio files or --manifest, not both")
    if not manifest and not audio:
        raise UsageError("give audio files or --manifest FILE")
