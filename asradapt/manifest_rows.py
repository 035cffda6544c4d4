"""Read the rows of a manifest file one by one, JSON lines or a table, without yet asking what they mean.

A row that cannot be read keeps its line number and says why; the others are still read.
"""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Literal

from asradapt.errors import ManifestError
from asradapt.manifest_file import lines

AUDIO, TEXT, SPEAKER, DURATION = "audio_filepath", "text", "speaker", "duration"
"""The columns that mean something; all others are only for filters."""

PART = "part"
"""What a row is for: only a filter, but rows that differ in it do not repeat each other."""

COMMON_VOICE = {"path": AUDIO, "sentence": TEXT, "client_id": SPEAKER}
"""How Common Voice names the same columns."""

_EXCEL_SEPARATOR = re.compile(r'"?sep=([,;\t])"?', re.IGNORECASE)
"""The first line by which Excel knows what separates the cells."""
JSON_SUFFIXES = frozenset({".jsonl", ".json", ".ndjson"})


@dataclass(frozen=True)
class Row:
    """One row of a manifest.

    Attributes:
        line: Line of the file, from 1; where a quoted cell has several lines, the first of them.
        columns: The values by column: strings from a table, any JSON value from JSON lines.
        problem: Why the row cannot be used; empty where it can.
        written: What stands in the file under Common Voice's names, where they were taken for the others.
    """

    line: int
    columns: Mapping[str, object] = field(default_factory=dict)
    problem: str = ""
    written: Mapping[str, object] = field(default_factory=dict)

    def value(self, key: str) -> str:
        """What stands in a column, under the name in the file or the name of its meaning."""
        return as_text(self.written[key] if key in self.written else self.columns.get(key)).strip()

    @property
    def own_names(self) -> list[str]:
        """The names of the columns as they stand in the file."""
        meant = {COMMON_VOICE[name] for name in self.written}
        return [*self.written, *(name for name in self.columns if name not in meant)]


def read_rows(path: Path, file: IO[bytes]) -> Iterator[Row]:
    """The rows of a JSON lines, CSV or TSV file, from its beginning; blank lines are skipped.

    Args:
        path: Where the file is; its ending may tell what it holds.
        file: The file, see `manifest_file.open_manifest_file`.

    Raises:
        ManifestError: The file cannot be read to its end, or the header of a table cannot be used.
    """
    first = next((line for line in lines(path, file, "\n") if line.strip()), "")
    if path.suffix.lower() in JSON_SUFFIXES or first.lstrip().startswith("{"):
        return _json_rows(lines(path, file, "\n"), path.parent)
    if said := _EXCEL_SEPARATOR.fullmatch(first.rstrip("\r\n")):
        return _table_rows(_without_first(lines(path, file, "")), said[1], path)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else max(",;\t", key=first.count)
    return _table_rows(lines(path, file, ""), delimiter, path)


def _without_first(contents: Iterator[str]) -> Iterator[str]:
    """The lines with a blank one, which keeps their numbers, in the place of the first that is not blank."""
    for content in contents:
        yield "\n"
        if content.strip():
            break
    yield from contents


def as_text(value: object) -> str:
    """A column's value as a string: `None` is empty, what is not a string is written as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def no_audio_column(path: Path, columns: str) -> ManifestError:
    """The error of a manifest that names no audio, with the columns it has."""
    return ManifestError(f"{path} has no column {AUDIO!r}; its columns: {columns}. Name the audio {AUDIO!r}")


def _json_rows(contents: Iterator[str], folder: Path) -> Iterator[Row]:
    for line, content in enumerate(contents, start=1):
        if content.strip():
            row = _json_row(line, content.removesuffix("\n"))
            yield _meant(row, _other_names(row.columns), folder)


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


def _table_rows(contents: Iterator[str], delimiter: str, path: Path) -> Iterator[Row]:
    records = (r for r in _records(contents, delimiter) if r[2] or any(cell.strip() for cell in r[1]))
    for _, header, problem in records:
        names = _column_names(path, [name.strip() for name in header], problem)
        break
    else:
        return
    others = _other_names(names)
    for record in records:
        yield _without_empty_text(_meant(_table_row(names, *record), others, path.parent))


def _column_names(path: Path, header: list[str], problem: str) -> list[str]:
    if problem:
        raise ManifestError(f"{path} has a header that cannot be read: {problem}")
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise ManifestError(f"{path} has several columns named {', '.join(twice)}: rename all but one")
    if AUDIO not in header and not _other_names(header):
        raise no_audio_column(path, ", ".join(sorted({name for name in header if name})) or "none")
    return header


def _other_names(names: Collection[str]) -> dict[str, str]:
    """Common Voice's names among those of a file, with what they mean; none where the file names its audio."""
    if AUDIO in names or "path" not in names:
        return {}
    return {name: meant for name, meant in COMMON_VOICE.items() if name in names and meant not in names}


def _meant(row: Row, others: Mapping[str, str], folder: Path) -> Row:
    """A row whose columns have the names of their meaning."""
    if not others or row.problem:
        return row
    columns = {others.get(name, name): value for name, value in row.columns.items()}
    written = {name: row.columns[name] for name in others}
    return _with_clip(replace(row, columns=columns, written=written), folder)


def _table_row(names: list[str], line: int, cells: list[str], problem: str) -> Row:
    if problem:
        return Row(line, problem=f"not a row of a table ({problem}): check its quotes")
    if any("\0" in cell for cell in cells):
        return Row(line, problem="it holds a NUL byte: this is not text")
    if len(cells) != len(names):
        hint = "put a text with separators in it into quotes"
        return Row(line, problem=f"{len(cells)} cells where the header has {len(names)}: {hint}")
    return _checked(line, {name: cell for name, cell in zip(names, cells, strict=True) if name})


def _without_empty_text(row: Row) -> Row:
    """A table cannot tell an empty text from none."""
    return row if str(row.columns.get(TEXT, "")).strip() else replace(row, columns={**row.columns, TEXT: None})


def _with_clip(row: Row, folder: Path) -> Row:
    """Common Voice keeps its clips in `clips/` beside the tables, and names them without the folder."""
    name = row.columns.get(AUDIO)
    if not isinstance(name, str) or not name or row.problem:
        return row
    try:
        in_clips = (folder / "clips" / name).exists() and not (folder / name).exists()
    except OSError:  # a name that cannot be a file; loading it will say so
        in_clips = False
    return replace(row, columns={**row.columns, AUDIO: f"clips/{name}"}) if in_clips else row


def _records(contents: Iterator[str], delimiter: str) -> Iterator[tuple[int, list[str], str]]:
    """Cells of each record with its line number, or a problem.

    After a broken record reading goes on at the next line: an open quote must not swallow the rest.
    Tab-separated tables are read without quotes, for those of Common Voice hold unbalanced ones.
    """
    source = _Lines(contents)
    quoting: Literal[0, 3] = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    reader = csv.reader(source, delimiter=delimiter, quoting=quoting, strict=True)
    while True:
        start = source.begin()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            source.back()
            yield start, [], str(error)
            continue
        yield start, [_unquoted(cell) for cell in cells] if delimiter == "\t" else cells, ""


def _unquoted(cell: str) -> str:
    """A tab-separated cell without the quotes that spreadsheet programs put around it."""
    inner = cell[1:-1]
    is_quoted = len(cell) >= 2 and cell[0] == cell[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if is_quoted else cell


class _Lines:
    """An iterator over lines that can be set back to the second line of the record that is read.

    It holds that record only; the reader ends a cell that is too long, so an open quote does not gather the file.
    """

    def __init__(self, lines: Iterator[str]) -> None:
        self._lines = lines
        self._again: deque[str] = deque()  # lines that come once more
        self._record: list[str] = []
        self._line = 1  # of the file, of the next line

    def begin(self) -> int:
        """A record begins: the number of its first line."""
        self._record.clear()
        return self._line

    def back(self) -> None:
        """Let the lines of this record come again, but for the first."""
        again = self._record[1:]
        self._again.extendleft(reversed(again))
        self._line -= len(again)
        self._record.clear()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self._line += 1
        self._record.append(line)
        return line
