"""Manifests: which recordings there are, what was said in them, and by whom.

A manifest is a file of JSON lines with `audio_filepath`, `text`, and optionally `speaker`, `duration` and
any other columns; a CSV or TSV table with the same names; or a table of Common Voice. Audio paths are
relative to the manifest's folder. Whether the audio exists shows when it is loaded, not here.
"""

from __future__ import annotations

import json
import math
import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from asradapt.audio import audio_files
from asradapt.errors import AudioError, ManifestError, TextError, UsageError
from asradapt.manifest_rows import AUDIO, DURATION, SPEAKER, TEXT, Row, as_text, filter_rows, read_rows
from asradapt.types import Failure, Utterance


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
    rows = read_rows(path)
    readable = [row for row in rows if not row.problem]
    kept = {row.line for row in (filter_rows(path, readable, where) if readable else [])}
    utterances, failed = [], []
    for row in (row for row in rows if row.problem or row.line in kept):
        try:
            utterances.append(_utterance(row, path.parent))
        except ManifestError as error:
            failed.append(Failure(f"{path.name}:{row.line}", str(error)))
    if not utterances:
        first = f"{failed[0].item}: {failed[0].reason}"
        raise ManifestError(f"{path} has no usable row; {len(failed)} are broken, the first is {first}")
    once, warnings = _once(utterances)
    return Manifest(once, tuple(failed), warnings + _offset_warnings(once))


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
    paths: Iterable[str | Path], speaker: str | None = None, need_text: bool = True
) -> Manifest:
    """Make utterances of audio files and folders, with texts from `.txt` files of the same names beside them.

    Args:
        paths: Audio files, and folders that are searched with their subfolders.
        speaker: Who speaks in all of them; None where it is not known.
        need_text: Whether audio without text is a failure; otherwise its text is None.

    Returns:
        The utterances; paths that do not exist, folders without audio and missing texts are listed as failed.
    """
    found: list[Utterance] = []
    failed: list[Failure] = []
    warnings: list[str] = []
    for audio in _all_audio(paths, failed):
        text = None
        try:
            text = _text_beside(audio)
        except TextError as error:
            if need_text:
                failed.append(Failure(str(audio), str(error)))
                continue
            if audio.with_suffix(".txt").exists():
                warnings.append(f"{audio} is used without its text: {error}")
        found.append(Utterance(audio, text, _speaker(speaker)))
    once, more = _once(found)
    return Manifest(once, tuple(failed), tuple(warnings) + more)


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


def _utterance(row: Row, folder: Path) -> Utterance:
    if row.problem:
        raise ManifestError(row.problem)
    audio, text = row.columns.get(AUDIO), row.columns.get(TEXT)
    if not isinstance(audio, str) or not audio.strip():
        raise ManifestError(f"{AUDIO} is {audio!r}: write the path of an audio file")
    if not (text is None or isinstance(text, str)):
        raise ManifestError(f"{TEXT} is {text!r}: write a string in quotes")
    others = {k: as_text(v) for k, v in row.columns.items() if v is not None}
    fields = {k: v for k, v in others.items() if k not in {AUDIO, TEXT, SPEAKER, DURATION}}
    speaker, duration = _speaker(row.columns.get(SPEAKER)), _duration(row.columns.get(DURATION))
    return Utterance(folder / audio.strip(), text, speaker, duration, fields)


def _speaker(value: object) -> str | None:
    if isinstance(value, bool | list | dict):
        raise ManifestError(f"{SPEAKER} is {value!r}: write a name")
    name = unicodedata.normalize("NFC", as_text(value).strip())  # one name typed in two ways is one person
    return name or None


def _duration(value: object) -> float | None:
    if not as_text(value).strip():
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        raise ManifestError(f"{DURATION} is {value!r}: write the length in seconds as a number")
    return seconds


def _once(utterances: Iterable[Utterance]) -> tuple[tuple[Utterance, ...], tuple[str, ...]]:
    """The utterances without exact repetitions, and warnings about those and about differing texts."""
    utterances = list(utterances)
    unique = {(u.audio, u.text, u.speaker): u for u in reversed(utterances)}  # the first one wins
    once = tuple(u for u in utterances if unique.get((u.audio, u.text, u.speaker)) is u)
    texts: dict[tuple[Path, str | None], list[str]] = {}
    for u in once:
        if u.text is not None:
            texts.setdefault((u.audio, u.speaker), []).append(u.text)
    warnings = []
    if repeated := len(utterances) - len(once):
        warnings.append(f"{repeated} repeated (same audio, text and speaker): each is used once")
    if differing := [(audio, said) for (audio, _), said in texts.items() if len(said) > 1]:
        audio, said = differing[0]
        example = f"{audio}: {said[0]!r} and {said[1]!r}"
        warnings.append(f"{len(differing)} with several texts for the same audio, for example {example}")
    return once, tuple(warnings)


def _offset_warnings(utterances: Iterable[Utterance]) -> tuple[str, ...]:
    """Other tools read only a part of the file where a row has an offset."""
    count = sum(u.fields.get("offset", "").strip().strip("0.") != "" for u in utterances)
    return (f"{count} rows have an offset, which is ignored: cut the audio into files",) if count else ()


def _all_audio(paths: Iterable[str | Path], failed: list[Failure]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        try:
            found += audio_files(path)
        except AudioError as error:
            failed.append(Failure(str(path), str(error)))
    return found


def _text_beside(audio: Path) -> str:
    path = audio.with_suffix(".txt")
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
