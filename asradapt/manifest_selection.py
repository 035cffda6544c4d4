"""Which rows of a manifest are wanted, and what they mean: one row at a time, however many there are."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from asradapt.as_there import as_there
from asradapt.errors import ManifestError
from asradapt.fingerprints import Distinct
from asradapt.manifest_rows import AUDIO, DURATION, PART, SPEAKER, TEXT, Row, as_text, no_audio_column, read_rows
from asradapt.types import Failure, Utterance

Where = Iterable[tuple[str, str]]


class Filter:
    """Rows that have one of the wanted values in every wanted column.

    Args:
        where: Pairs (column, value); values of one column are alternatives, different columns must all match.
    """

    def __init__(self, where: Where) -> None:
        self._wanted: dict[str, set[str]] = {}
        for key, value in where:
            self._wanted.setdefault(key, set()).add(value)
        # What the rows that reached a column held there; nothing more once one of them matched.
        self._missed = {key: _Missed() for key in self._wanted}

    def takes(self, row: Row) -> bool:
        """Whether the row is wanted."""
        for key, values in self._wanted.items():
            value = row.value(key)
            if value in values:
                self._missed.pop(key, None)
            else:
                if key in self._missed:
                    self._missed[key].note(row, key, value)
                return False
        return True

    def check(self, path: Path) -> None:
        """Raise if a column let no row pass, and say which values or columns there are.

        Raises:
            ManifestError: In this case.
        """
        for key, missed in self._missed.items():
            shown = " or ".join(f"{key}={value}" for value in sorted(self._wanted[key]))
            raise ManifestError(f"{path}: no row is left with {shown}; {missed.known(key)}")


class _Missed:
    """The values of one column, and the columns, of rows that a filter left out."""

    def __init__(self) -> None:
        self._values, self._columns, self._has_column = Distinct(), Distinct(), False

    def note(self, row: Row, key: str, value: str) -> None:
        self._has_column |= key in row.columns or key in row.written
        self._values.add(value or repr(""))
        for name in row.own_names:
            self._columns.add(name)

    def known(self, key: str) -> str:
        return f"{key} is one of {self._values}" if self._has_column else f"the columns are {self._columns}"


class Selection:
    """The usable rows of a manifest, one after the other; in the end `check` tells whether there were any.

    Args:
        path: Where the manifest is.
        where: Filters, see `Filter`.
    """

    def __init__(self, path: Path, where: Where) -> None:
        self._path, self._filter = path, Filter(where)
        self._rows = self._readable = self._usable = self._broken = 0
        self._columns, self._has_audio = Distinct(most=1000), False
        self._first = ""  # what is wrong with the first broken row

    def of(self, file: IO[bytes]) -> Iterator[Utterance | Failure]:
        """What the wanted rows of the file mean, or why one cannot be used, by `file:line`.

        Raises:
            ManifestError: The file cannot be read to its end, or the header of a table cannot be used.
        """
        for row in read_rows(self._path, file):
            self._note(row)
            if row.problem or self._filter.takes(row):
                yield self._item(row)

    def check(self) -> None:
        """Raise if nothing of the rows that passed can be used.

        Raises:
            ManifestError: No row, none with audio, or none that the filter and `Utterance` take.
        """
        if not self._rows:
            raise ManifestError(f"{self._path} has no rows: write one utterance per line")
        if self._readable:
            if not self._has_audio:
                raise no_audio_column(self._path, ", ".join(self._columns.first) or "none")
            self._filter.check(self._path)
        if not self._usable:
            broken = f"{self._broken} are broken, the first is {self._first}"
            raise ManifestError(f"{self._path} has no usable row; {broken}")

    def _note(self, row: Row) -> None:
        self._rows += 1
        self._readable += not row.problem
        if not row.problem and not self._has_audio:
            self._has_audio = AUDIO in row.columns
            for name in row.columns:
                self._columns.add(name)

    def _item(self, row: Row) -> Utterance | Failure:
        try:
            utterance = _utterance(row, self._path.parent)
        except ManifestError as error:
            failure = Failure(f"{self._path.name}:{row.line}", str(error))
            self._broken += 1
            self._first = self._first or f"{failure.item}: {failure.reason}"
            return failure
        self._usable += 1
        return utterance


def speaker_name(value: object) -> str | None:
    """A speaker's name as a manifest or a person writes it; None for an empty one.

    Raises:
        ManifestError: If it is no name.
    """
    if isinstance(value, bool | list | dict):
        raise ManifestError(f"{SPEAKER} is {value!r}: write a name")
    name = unicodedata.normalize("NFC", as_text(value).strip())  # one name typed in two ways is one person
    return name or None


def part_of(utterance: Utterance) -> str:
    """What the row is for, as its column `part` says; empty where it does not say."""
    return utterance.fields.get(PART, "").strip()


def row_key(utterance: Utterance) -> tuple[Path, str | None, str | None, str]:
    """What two rows have in common where one repeats the other.

    A recording that is enrolled and tested is two rows: each part must see its own, and a check both.
    """
    return utterance.audio, utterance.text, utterance.speaker, part_of(utterance)


def repeated_warning(count: int) -> tuple[str, ...]:
    """What is said of rows that came before."""
    return (f"{count} repeated (same audio, text, speaker and part): each is used once",) if count else ()


def has_offset(utterance: Utterance) -> bool:
    """Whether other tools would read only a part of the file."""
    return utterance.fields.get("offset", "").strip().strip("0.") != ""


def offset_warning(count: int) -> tuple[str, ...]:
    """What is said of rows with an offset."""
    return (f"{count} rows have an offset, which is ignored: cut the audio into files",) if count else ()


def _utterance(row: Row, folder: Path) -> Utterance:
    if row.problem:
        raise ManifestError(row.problem)
    audio, text = row.columns.get(AUDIO), row.columns.get(TEXT)
    if audio is None:
        raise ManifestError(f"{AUDIO} is missing: write the path of an audio file")
    if not isinstance(audio, str) or not audio.strip():
        raise ManifestError(f"{AUDIO} is {audio!r}: write the path of an audio file")
    if not (text is None or isinstance(text, str)):
        raise ManifestError(f"{TEXT} is {text!r}: write a string in quotes")
    others = {k: as_text(v) for k, v in row.columns.items() if v is not None}
    fields = {k: v for k, v in others.items() if k not in {AUDIO, TEXT, SPEAKER, DURATION}}
    speaker, duration = speaker_name(row.columns.get(SPEAKER)), _duration(row.columns.get(DURATION))
    return Utterance(as_there(folder / audio.strip()), text, speaker, duration, fields)


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
