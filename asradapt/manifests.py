"""Manifests: which recordings there are, what was said in them, and by whom.

A manifest is a file of JSON lines with `audio_filepath`, `text`, and optionally `speaker`, `duration` and
any other columns; a CSV or TSV table with the same names; or one with the names of Common Voice. Audio paths are
relative to the manifest's folder. Whether the audio exists shows when it is loaded, not here. For manifests
that are too long to hold there is `manifest_stream`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asradapt.audio import audio_files
from asradapt.errors import AudioError, ManifestError, TextError, UsageError
from asradapt.manifest_file import open_manifest_file
from asradapt.manifest_rows import AUDIO, DURATION, SPEAKER, TEXT
from asradapt.manifest_selection import (
    Selection,
    has_offset,
    offset_warning,
    part_of,
    repeated_warning,
    row_key,
    speaker_name,
)
from asradapt.texts_beside import TextsBeside
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

MANIFESTS = {".jsonl", ".json", ".tsv", ".csv"}  # endings that no audio has


@dataclass(frozen=True)
class Manifest:
    """The utterances that were found, and what could not be used.

    Attributes:
        utterances: The usable rows, in the order of the file.
        failed: The others, by `file:line` or by path.
        warnings: What somebody should look at, in plain sentences.
    """

    utterances: tuple[Utterance, ...]
    failed: tuple[Failure, ...] = ()
    warnings: tuple[str, ...] = ()


def read_manifest(path: str | Path, where: Iterable[tuple[str, str]] = ()) -> Manifest:
    """Read a manifest, and keep the rows that pass a filter.

    Args:
        path: JSON lines, CSV or TSV in UTF-8.
        where: Pairs (column, value) as `parse_where` gives them. Values of one column are alternatives;
            different columns must all match. A row without the column has the empty value.

    Returns:
        The utterances; a broken row is listed as failed and the rest is read.

    Raises:
        ManifestError: The file cannot be read, lacks the audio column, or no row of it is left.
    """
    path = Path(path)
    selection = Selection(path, where)
    with open_manifest_file(path) as file:
        items = list(selection.of(file))
    selection.check()
    once, warnings = _once(item for item in items if isinstance(item, Utterance))
    failed = tuple(item for item in items if isinstance(item, Failure))
    return Manifest(once, failed, warnings + offset_warning(sum(map(has_offset, once))))


def pooled(manifest: Manifest) -> Manifest:
    """The manifest with every recording once, for who uses all its parts together: the first row of each stays."""
    first: dict[tuple[Path, str | None, str | None], Utterance] = {}
    again: list[str] = []
    for u in manifest.utterances:
        kept = first.setdefault((u.audio, u.text, u.speaker), u)
        if kept is not u:
            again.append(f"{u.audio} ({part_of(kept) or 'no part'} and {part_of(u) or 'no part'})")
    if not again:
        return manifest
    told = (
        f"{counted(len(again), 'row')} again in another part, such as {again[0]}: each recording is used once; "
        "what is learned from must not be measured, `asradapt check` names all"
    )
    return replace(manifest, utterances=tuple(first.values()), warnings=(*manifest.warnings, told))


def parse_where(items: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Split filters written as `KEY=VALUE`, for `read_manifest`.

    Raises:
        UsageError: An item has no `=` or no key; the message names all of them.
    """
    items = list(items)
    pairs = [(key.strip(), value.strip()) for key, _, value in (item.partition("=") for item in items)]
    bad = [item for item, (key, _) in zip(items, pairs, strict=True) if "=" not in item or not key]
    if bad:
        shown = ", ".join(repr(item) for item in bad)
        raise UsageError(f"a filter is KEY=VALUE (for example part=test), not {shown}")
    return tuple(pairs)


def utterances_from_audio(
    paths: Iterable[str | Path],
    speaker: str | None = None,
    need_text: bool = True,
    tell_texts: bool | None = None,
) -> Manifest:
    """Make utterances of audio files and folders, with texts from `.txt` files of the same names beside them.

    The same name is one that looks the same (`texts_beside`).

    Args:
        paths: Audio files, and folders that are searched with their subfolders.
        speaker: Who speaks in all of them; None where it is not known.
        need_text: Whether audio without text is a failure; otherwise its text is None.
        tell_texts: Whether texts without audio are warned of; by default where texts are needed.

    Returns:
        The utterances; paths that do not exist, folders without audio and missing texts are listed as failed.
    """
    found: list[Utterance] = []
    failed: list[Failure] = []
    warnings: list[str] = []
    places, beside = [Path(path) for path in paths], TextsBeside()
    for audio in _all_audio(places, failed):
        text = None
        if audio.suffix.lower() in MANIFESTS:
            failed.append(Failure(str(audio), "this looks like a manifest, which --manifest takes"))
            continue
        try:
            text = _read_text(beside.of(audio))
        except TextError as error:
            if need_text:
                failed.append(Failure(str(audio), str(error)))
                continue
            if not isinstance(error.__cause__, FileNotFoundError):
                warnings.append(f"{audio} is used without its text: {error}")
        found.append(Utterance(audio, text, speaker_name(speaker)))
    once, more = _once(found)
    alone = beside.alone_in(places) if (need_text if tell_texts is None else tell_texts) else ()
    return Manifest(once, tuple(failed), (*warnings, *more, *alone))


def write_manifest(path: str | Path, utterances: Iterable[Utterance]) -> None:
    """Write utterances as JSON lines, all or nothing; audio below the manifest's folder gets a relative path.

    Raises:
        ManifestError: The file cannot be written.
    """
    path = Path(path)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        folder = path.parent.resolve()
        lines = [json.dumps(_as_columns(u, folder), ensure_ascii=False) + "\n" for u in utterances]
        temporary.write_text("".join(lines), encoding="utf-8", newline="\n")
        temporary.replace(path)
    except (OSError, UnicodeEncodeError) as error:
        raise ManifestError(f"{path} cannot be written ({error}): choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def _once(utterances: Iterable[Utterance]) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """The utterances without exact repetitions, and warnings about those and about differing texts."""
    utterances = list(utterances)
    unique = {row_key(u): u for u in reversed(utterances)}  # the first one wins
    once = tuple(u for u in utterances if unique[row_key(u)] is u)
    texts: dict[tuple[Path, str | None], list[str]] = {}
    for u in once:
        said = texts.setdefault((u.audio, u.speaker), [])
        if u.text is not None and u.text not in said:  # it may come in several parts
            said.append(u.text)
    warnings = list(repeated_warning(len(utterances) - len(once)))
    if differing := [(audio, said) for (audio, _), said in texts.items() if len(said) > 1]:
        audio, said = differing[0]
        example = f"{audio}: {said[0]!r} and {said[1]!r}"
        warnings.append(f"{len(differing)} with several texts for the same audio, for example {example}")
    return once, tuple(warnings)


def _all_audio(paths: Iterable[Path], failed: list[Failure]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        try:
            found += audio_files(path)
        except AudioError as error:
            failed.append(Failure(str(path), str(error)))
    return found


def _read_text(path: Path) -> str:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise TextError(f"no text: write what was said into {path.name} beside it") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TextError(f"{path.name} cannot be read ({error}): save it as UTF-8 text") from error
    text = " ".join(content.split())
    if not text:
        raise TextError(f"{path.name} is empty: write what was said into it")
    return text


def _as_columns(utterance: Utterance, folder: Path) -> Mapping[str, object]:
    # The folder is resolved and the file is not: a link keeps its own name.
    audio = utterance.audio.parent.resolve() / utterance.audio.name
    name = audio.relative_to(folder).as_posix() if audio.is_relative_to(folder) else str(audio)
    known = {AUDIO: name, DURATION: utterance.duration, TEXT: utterance.text, SPEAKER: utterance.speaker}
    columns = {key: value for key, value in known.items() if value is not None}
    return {**columns, **{k: v for k, v in utterance.fields.items() if k not in known}}
