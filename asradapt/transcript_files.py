"""Transcripts that `transcribe --format json` and `jsonl` wrote, read again after a person worked on them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asradapt.errors import TextError
from asradapt.transcript import check_of
from asradapt.types import Failure

MOST_BYTES = 256 * 1024**2


@dataclass(frozen=True)
class Piece:
    """A segment of a transcript file: its times in seconds, its text, and what was heard.

    `altered` is whether both the text and what was heard are other ones than `transcribe` wrote.
    """

    start: float
    end: float
    text: str
    recognised: str
    altered: bool = False


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
        altered: Whether both the text and what was heard are other ones than `transcribe` wrote.
        words: The words that are listed one by one, between spaces; None where there is no list.
        home: The folder of the file.
    """

    audio: str
    speaker: str | None
    text: str
    recognised: str
    seconds: float
    digest: str
    pieces: tuple[Piece, ...]
    altered: bool = False
    words: str | None = None
    home: Path = Path()


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
    except UnicodeDecodeError as error:
        raise TextError(f"{path} is not UTF-8 ({error.reason}): save it as UTF-8") from error
    except OSError as error:
        raise TextError(
            f"{path} cannot be read ({error.strerror or error}): give the file of `transcribe --format json`"
        ) from error
    found, failed = [], []
    for number, entry in enumerate(_entries(path, content), start=1):
        try:
            found.append(replace(_written(entry), home=path.parent))
        except (KeyError, TypeError, ValueError) as error:
            failed.append(Failure(_name(entry, path, number), _reason(error)))
    return found, failed


def _entries(path: Path, content: str) -> Sequence[object]:
    try:
        whole = json.loads(content)
    except (ValueError, RecursionError) as error:
        if content.strip() and content.lstrip()[0] not in "[{":
            raise TextError(
                f"{path} is no JSON but something else: a transcript to correct is written by `transcribe "
                "--format json`, other formats do not say where the audio is"
            ) from error
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
    first = next((line for line in content.split("\n") if line.strip()), "")
    try:
        return not first or isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return len([line for line in content.split("\n") if line.strip()]) > 1 and first.rstrip().endswith("}")


def _lines(path: Path, content: str) -> list[object]:
    entries = []
    for number, line in enumerate(content.split("\n"), start=1):
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
    text, recognised, altered = _heard(entry)
    return Written(
        audio=_text(entry, "audio"),
        speaker=None if speaker is None else str(speaker),
        text=text,
        recognised=recognised,
        seconds=_number(entry, "seconds"),
        digest=_text(entry, "sha256"),
        pieces=tuple(_piece(piece) for piece in pieces),
        altered=altered,
        words=_words(entry),
    )


def _piece(entry: object) -> Piece:
    if not isinstance(entry, dict):
        raise TypeError("a segment is no object")
    return Piece(_number(entry, "start"), _number(entry, "end"), *_heard(entry))


def _heard(entry: Mapping[str, object]) -> tuple[str, str, bool]:
    """The text, what was heard, and whether both were altered, as by an editor that replaces words everywhere.

    Where what was heard alone was altered, it is the text. Files of before there was a `check` are believed.
    """
    text, recognised = _text(entry, "text"), _text(entry, "recognised")
    check = entry.get("check")
    if check is None or check == check_of(recognised):
        return text, recognised, False
    return (text, text, False) if check == check_of(text) else (text, recognised, True)


def _words(entry: Mapping[str, object]) -> str | None:
    listed = entry.get("words")
    if not isinstance(listed, list) or not listed:
        return None
    return " ".join(str(one.get("word", "")) for one in listed if isinstance(one, dict))


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
