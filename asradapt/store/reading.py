"""Reading one stored version, and saying what to do when it cannot be read."""

from __future__ import annotations

import contextlib
import shlex
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.store import tensors
from asradapt.store.record import RECORD_FILE, SpeakerRecord
from asradapt.store.versions import SpeakerFolder

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Adaptation:
    """One stored version of a speaker.

    Attributes:
        record: What is known about it.
        tensors: Its tensors on the CPU; none where the source model is kept.
    """

    record: SpeakerRecord
    tensors: dict[str, Tensor]


def read_record(folder: SpeakerFolder, version: int | None = None) -> SpeakerRecord:
    """Reads and checks `speaker.json` of a version, by default of the current one.

    Raises:
        DamagedSpeaker: It is missing, damaged or stands in the wrong folder.
        StoreError: There is no such version.
    """
    number = folder.current() if version is None else version
    stored = folder.numbers()
    if number not in stored:
        listed = f"stored: {', '.join(map(str, stored)) or 'none'}"
        if version is None:
            raise DamagedSpeaker(f"version {number} is current, but missing; {listed}")
        raise StoreError(f"there is no version {number}; {listed}")
    record = SpeakerRecord.from_json((folder.version(number) / RECORD_FILE).read_bytes())
    names = [unicodedata.normalize("NFC", name) for name in (record.speaker, folder.path.name)]
    if (names[0], record.version) != (names[1], number):
        raise DamagedSpeaker(
            f"speaker.json belongs to speaker {record.speaker!r} version {record.version}, "
            f"yet stands in the folder of {folder.path.name!r} version {number}"
        )
    return record


def read_adaptation(folder: SpeakerFolder, version: int | None = None) -> Adaptation:
    """Reads and checks a version with its tensors and its method; raises as `read_record`."""
    record = read_record(folder, version)
    record.require_method()
    data = (folder.version(record.version) / tensors.TENSORS_FILE).read_bytes()
    return Adaptation(record, tensors.decode(data, decision=record.decision, sha256=record.sha256))


@contextlib.contextmanager
def explained(folder: SpeakerFolder) -> Iterator[None]:
    """Adds the speaker, the folder and what to do to the errors of reading a version."""
    speaker = folder.path.name
    try:
        with reading(folder.path):
            yield
    except DamagedSpeaker as error:
        raise DamagedSpeaker(f"speaker {speaker!r}: {error}. Folder: {folder.path}. {_advice(folder)}") from error
    except StoreError as error:
        raise StoreError(f"speaker {speaker!r}: {error}") from error


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the disk refuses while reading into errors of the store."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = Path(error.filename or path).name
        raise DamagedSpeaker(f"{missing} is missing") from error
    except OSError as error:
        raise StoreError(f"cannot read {error.filename or path}: {error.strerror or error}") from error


def _advice(folder: SpeakerFolder) -> str:
    """What to do about a version that cannot be read: go back, where there is something to go back to."""
    name, usual, current = shlex.quote(folder.path.name), None, folder.usable_current()
    with contextlib.suppress(StoreError, OSError):
        usual = folder.before_current()
    for number in (usual, *reversed(folder.numbers())):
        with contextlib.suppress(StoreError, OSError):
            if number not in (None, current) and read_adaptation(folder, number):
                to = "" if number == usual else f" --to {number}"
                return f"Go back with `asradapt speakers rollback {name}{to}`, or enrol the speaker again"
    return f"No earlier version can be used: `asradapt speakers remove {name}`, then enrol or import again"
