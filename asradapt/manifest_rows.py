"""Read the rows of a manifest file, JSON lines or a table, without yet asking what they mean.

A row that cannot be read keeps its line number and says why; the others are still read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from asradapt.errors import ManifestError

AUDIO, TEXT, SPEAKER, DURATION = "audio_filepath", "text", "speaker", "duration"
"""The columns that mean something; all others are only for filters."""

COMMON_VOICE = {"path": AUDIO, "sentence": TEXT, "client_id": SPEAKER}
"""How the tables of Common Voice name the same columns."""

MAX_SHOWN = 10
"""So many names, at most, are listed in a message."""

JSON_SUFFIXES = frozenset({".jsonl", ".json", ".ndjson"})


@dataclass(frozen=True)
class Row:
    """One row of a manifest.

    Attributes:
        line: Line of the file, from 1; where a quoted cell has several lines, the first of them.
        columns: The values by column: strings from a table, any JSON value from JSON lines.
        problem: Why the row cannot be used; empty where it can.
    """

    line: int
    columns: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a JSON lines, CSV or TSV file; blank lines are skipped.

    Raises:
        ManifestError: The file is missing, not text, empty, or no row of it has the column `audio_filepath`.
    """
    text = _read_text(path)
    is_json = path.suffix.lower() in JSON_SUFFIXES or text.lstrip().startswith("{")
    rows = list(_json_rows(text)) if is_json else _table_rows(text, path)
    if not rows:
        raise ManifestError(f"{path} has no rows: write one utterance per line")
    readable = [row for row in rows if not row.problem]
    if readable and not any(AUDIO in row.columns for row in readable):
        raise _no_audio_column(path, {name for row in readable for name in row.columns})
    return rows


def as_text(value: object) -> str:
    """A column's value as a string: `None` is empty, what is not a string is written as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def filter_rows(path: Path, rows: list[Row], where: Iterable[tuple[str, str]]) -> list[Row]:
    """Keep the rows that have one of the wanted values in every wanted column.

    Raises:
        ManifestError: No row is left; the message lists the values or columns there are.
    """
    wanted: dict[str, set[str]] = {}
    for key, value in where:
        wanted.setdefault(key, set()).add(value)
    for key, values in wanted.items():
        kept = [row for row in rows if _value(row, key) in values]
        if not kept:
            shown = " or ".join(f"{key}={value}" for value in sorted(values))
            raise ManifestError(f"{path}: no row is left with {shown}; {_known_values(rows, key)}")
        rows = kept
    return rows


def _value(row: Row, key: str) -> str:
    return as_text(row.columns.get(key)).strip()


def _known_values(rows: list[Row], key: str) -> str:
    if not any(key in row.columns for row in rows):
        return f"the columns are {_listed({name for row in rows for name in row.columns})}"
    return f"{key} is one of {_listed({_value(row, key) or repr('') for row in rows})}"


def _listed(names: set[str]) -> str:
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return (", ".join(sorted(names)[:MAX_SHOWN]) or "none") + more


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise ManifestError(f"{path} is a folder: give the manifest file in it") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ManifestError(f"{path} does not exist: check the path") from error
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path} cannot be read ({error}): check the path and its permissions") from error
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError(f"{path} is UTF-16: save it as UTF-8")
    if b"\0" in content:
        raise ManifestError(f"{path} is not a text file: give JSON lines, CSV or TSV")
    # What is not UTF-8 is kept as surrogates, so that only its own rows fail.
    return content.decode("utf-8-sig", errors="surrogateescape")


def _no_audio_column(path: Path, found: set[str]) -> ManifestError:
    columns = ", ".join(sorted(found)) or "none"
    return ManifestError(f"{path} has no column {AUDIO!r}; its columns: {columns}. Name the audio {AUDIO!r}")


def _json_rows(text: str) -> Iterator[Row]:
    # Not splitlines(): it also splits at characters that may stand inside a JSON string.
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            yield _json_row(line, content)


def _json_row(line: int, content: str) -> Row:
    try:
        value = json.loads(content)
    except json.JSONDecodeError as error:
        return Row(line, problem=f"not valid JSON ({error.msg} at column {error.colno}): one object per line")
    except (ValueError, RecursionError) as error:
        return Row(line, problem=f"not valid JSON ({error})")
    if not isinstance(value, dict):
        return Row(line, problem='not a JSON object: write {"audio_filepath": ..., "text": ...}')
    return _checked(line, value)


def _checked(line: int, columns: Mapping[str, object]) -> Row:
    try:
        for name, value in columns.items():
            f"{name}{as_text(value)}".encode()
    except UnicodeEncodeError:
        return Row(line, columns, "not valid UTF-8: save the file as UTF-8")
    return Row(line, columns)


def _table_rows(text: str, path: Path) -> list[Row]:
    first = next((line for line in text.split("\n") if line.strip()), "")
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    records = [r for r in _records(text, delimiter) if r[2] or any(cell.strip() for cell in r[1])]
    if not records:
        return []
    _, header, problem = records[0]
    names, is_common_voice = _column_names(path, [name.strip() for name in header], problem)
    rows = [_table_row(names, *record) for record in records[1:]]
    if is_common_voice:
        rows = [_with_clip(row, path.parent) for row in rows]
    return rows


def _column_names(path: Path, header: list[str], problem: str) -> tuple[list[str], bool]:
    if problem:
        raise ManifestError(f"{path} has a header that cannot be read: {problem}")
    is_common_voice = AUDIO not in header and "path" in header
    if is_common_voice:
        header = [name if COMMON_VOICE.get(name, name) in header else COMMON_VOICE[name] for name in header]
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ManifestError(f"{path} has several columns named {', '.join(twice)}: rename all but one")
    if AUDIO not in header:
        raise _no_audio_column(path, {name for name in header if name})
    return header, is_common_voice


def _table_row(names: list[str], line: int, cells: list[str], problem: str) -> Row:
    if problem:
        return Row(line, problem=f"not a row of a table ({problem}): check its quotes")
    if len(cells) != len(names):
        hint = "put a text with separators in it into quotes"
        return Row(line, problem=f"{len(cells)} cells where the header has {len(names)}: {hint}")
    columns: dict[str, object] = {name: cell for name, cell in zip(names, cells, strict=True) if name}
    if not str(columns.get(TEXT, "")).strip():  # a table cannot tell an empty text from none
        columns[TEXT] = None
    return _checked(line, columns)


def _with_clip(row: Row, folder: Path) -> Row:
    """Common Voice keeps its clips in `clips/` beside the tables, and names them without the folder."""
    name = row.columns.get(AUDIO)
    if not isinstance(name, str) or not name or row.problem:
        return row
    try:
        in_clips = (folder / "clips" / name).exists() and not (folder / name).exists()
    except OSError:  # a name that cannot be a file; loading it will say so
        in_clips = False
    return Row(row.line, {**row.columns, AUDIO: f"clips/{name}"}) if in_clips else row


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """Cells of each record with its line number, or a problem.

    After a broken record reading goes on at the next line: an open quote must not swallow the rest.
    Tab-separated tables are read without quotes, for those of Common Voice hold unbalanced ones.
    """
    lines = _Lines(io.StringIO(text, newline="").readlines())
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        start = lines.position
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            lines.position = start + 1
            yield start + 1, [], str(error)
            continue
        yield start + 1, [_unquoted(cell) for cell in cells] if delimiter == "\t" else cells, ""


def _unquoted(cell: str) -> str:
    """A tab-separated cell without the quotes that spreadsheet programs put around it."""
    inner = cell[1:-1]
    is_quoted = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if is_quoted else cell


class _Lines:
    """An iterator over lines that can be set back."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.position = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.position >= len(self.lines):
            raise StopIteration
        self.position += 1
        return self.lines[self.position - 1]
