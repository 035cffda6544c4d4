"""Transcripts that `transcribe --format json` and `jsonl` wrote, read again after a person worked on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asradapt.errors import TextError
from asradapt.types import Failure

MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True)
class Piece:
    """A segment of a transcript file: its times in seconds, its text, and what was heard."""

    start: float
    end: float
    text: str
    recognised: str


@dataclass(frozen=True)
class Written:
    """One recording's transcript as it stands in a file.

    Attributes:
        audio: The audio file as it was named.
        speaker: Whose it is; None where nobody was named.
        text: The text, maybe changed.
        recognised: What was heard.
        seconds: Length of the audio.
        digest: sha256 of the samples.
        pieces: The segments.
    """

    audio: str
    speaker: str | None
    text: str
    recognised: str
    seconds: float
    digest: str
    pieces: tuple[Piece, ...]


def read_transcripts(path: Path) -> tuple[list[Written], list[Failure]]:
    """The transcripts of a file, and the entries that cannot be used.

    Args:
        path: One object, an object with `results`, a list, or an object a line.

    Raises:
        TextError: If the file cannot be read or holds no transcript.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise TextError(f"{path} has more than {MOST_BYTES} bytes: split it")
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TextError(
            f"{path} cannot be read ({reason}): give the file of `transcribe --format json`"
        ) from error
    found, failed = [], []
    for number, entry in enumerate(_entries(path, content), start=1):
        try:
            found.append(_written(entry))
        except (KeyError, TypeError, ValueError) as error:
            failed.append(Failure(_name(entry, path, number), _reason(error)))
    return found, failed


def _entries(path: Path, content: str) -> Sequence[object]:
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        if not _is_lines(content):
            raise TextError(f"{path} is not JSON ({error}): mind quotes and commas") from error
        return _lines(path, content)
    if isinstance(whole, dict):
        whole = whole["results"] if isinstance(whole.get("results"), list) else [whole]
    if not isinstance(whole, list) or not whole:
        raise TextError(f"{path} holds no transcript: give the file of `transcribe --format json` or `jsonl`")
    return whole


def _is_lines(content: str) -> bool:
    """Whether the file means to hold an object a line: the first line is one, or there is nothing."""
    first = next((line for line in content.splitlines() if line.strip()), "")
    try:
        return not first or isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return len([line for line in content.splitlines() if line.strip()]) > 1 and first.rstrip().endswith("}")


def _lines(path: Path, content: str) -> list[object]:
    entries = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                entries.append(json.loads(line))
            except (ValueError, RecursionError) as error:
                raise TextError(f"{path} is not JSON (line {number}: {error}): mind quotes and commas") from error
    if not entries:
        raise TextError(f"{path} is empty")
    return entries


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return f"the transcript has no {error}: transcribe again with --format json"
    return f"the transcript cannot be used: {error}"


def _name(entry: object, path: Path, number: int) -> str:
    audio = entry.get("audio") if isinstance(entry, dict) else None
    return audio if isinstance(audio, str) else f"{path}, entry {number}"


def _written(entry: object) -> Written:
    if not isinstance(entry, dict):
        raise TypeError(f"it is a {type(entry).__name__}, not an object")
    pieces = entry["segments"]
    if not isinstance(pieces, list):
        raise TypeError("its segments are no list")
    speaker = entry.get("speaker")
    return Written(
        audio=_text(entry, "audio"),
        speaker=None if speaker is None else str(speaker),
        text=_text(entry, "text"),
        recognised=_text(entry, "recognised"),
        seconds=_number(entry, "seconds"),
        digest=_text(entry, "sha256"),
        pieces=tuple(_piece(piece) for piece in pieces),
    )


def _piece(entry: object) -> Piece:
    if not isinstance(entry, dict):
        raise TypeError("a segment is no object")
    times = _number(entry, "start"), _number(entry, "end")
    return Piece(*times, _text(entry, "text"), _text(entry, "recognised"))


def _text(entry: Mapping[str, object], key: str) -> str:
    value = entry[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} is {value!r}, not a text")
    return value


def _number(entry: Mapping[str, object], key: str) -> float:
    value = entry[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{key} is {value!r}, not a number of seconds")
    return float(value)
