"""The folder of one speaker: complete versions, and a small file that says which one is current.

    <folder>/current                                  the number of the current version
    <folder>/versions/000001/speaker.json
    <folder>/versions/000001/adaptation.safetensors
    <folder>/versions/000001/before                   the number of the version that it has replaced, if any

A version is written completely elsewhere, renamed into its place, and only then becomes current. So a
kill or a full disk at any instant leaves the previous version current, and readers need no lock. Writers
hold the store's (`lock.py`): whether a number is the newest cannot be asked and acted on in one step.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import shutil
import unicodedata
from dataclasses import dataclass, replace
from pathlib import Path

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.store.files import replace_file, staging, sync_folder, take_out, unique, write_synced
from asradapt.store.record import RECORD_FILE, SpeakerRecord
from asradapt.store.tensors import TENSORS_FILE

CURRENT_FILE = "current"
BEFORE_FILE = "before"
KEPT_VERSIONS = 10

_ATTEMPTS = 100  # to find a free number while other processes save the same speaker
_OVERTAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOENT)  # another process took the number, or tidied up

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SpeakerFolder:
    """One speaker on the disk; nothing needs to exist yet.

    Attributes:
        path: The speaker's folder.
        temporary: Folder on the same file system for what is being written or deleted.
    """

    path: Path
    temporary: Path

    @property
    def exists(self) -> bool:
        """Whether a version was ever made current."""
        return self._current_file.is_file()

    @property
    def _current_file(self) -> Path:
        return self.path / CURRENT_FILE

    @property
    def _versions(self) -> Path:
        return self.path / "versions"

    def version(self, number: int) -> Path:
        """The folder of a version."""
        return self._versions / f"{number:06d}"

    def numbers(self) -> list[int]:
        """The stored versions, oldest first."""
        try:
            return sorted(int(entry.name) for entry in self._versions.iterdir() if entry.name.isdecimal())
        except FileNotFoundError:
            return []

    def current(self) -> int:
        """The number of the current version.

        Raises:
            DamagedSpeaker: The file that says so is missing or damaged.
        """
        try:
            return int(self._current_file.read_bytes())
        except FileNotFoundError as error:
            raise DamagedSpeaker("the file 'current' is missing") from error
        except ValueError as error:
            raise DamagedSpeaker("the file 'current' holds no version number") from error

    def usable_current(self) -> int | None:
        """The number of the current version, or None if it is damaged or not there."""
        with contextlib.suppress(DamagedSpeaker):
            number = self.current()
            return number if number in self.numbers() else None
        return None

    def _replaced_by(self, number: int | None) -> int | None:
        """The version that was current when this one was stored, if there was one and it is known."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.version(number or 0) / BEFORE_FILE).read_bytes())
        return None

    def before_current(self) -> int:
        """The version to go back to: the one that the current one has replaced, or the last if none is current.

        Where nothing says which that was, it is the one with the next lower number.

        Raises:
            StoreError: There is no earlier version, or it is no longer stored.
        """
        numbers, current = self.numbers(), self.usable_current()
        listed = ", ".join(map(str, numbers)) or "none"
        if replaced := self._replaced_by(current):
            if replaced not in numbers:
                raise StoreError(
                    f"version {replaced}, which version {current} has replaced, is no longer stored; choose "
                    f"another one with --to: {listed}"
                )
            return replaced
        earlier = [number for number in numbers if current is None or number < current]
        if not earlier:
            raise StoreError(f"there is no earlier version to go back to; stored: {listed}; enrol again")
        return earlier[-1]

    def forget_current(self) -> None:
        """Lets no version be the current one."""
        self._current_file.unlink(missing_ok=True)

    def make_current(self, number: int) -> None:
        """Makes a stored version the current one in one step."""
        self.temporary.mkdir(parents=True, exist_ok=True)
        replace_file(self._current_file, b"%d\n" % number, temporary=unique(self.temporary))

    def add(self, record: SpeakerRecord, data: bytes) -> SpeakerRecord:
        """Writes a new version and makes it current, or leaves everything as it was.

        Args:
            record: Contents of `speaker.json`, still without a version number.
            data: Contents of `adaptation.safetensors`.

        Returns:
            The record as written.

        Raises:
            OSError: The disk refused.
            StoreError: The file system cannot keep this speaker apart from another.
        """
        try:
            with staging(self.temporary) as folder:
                write_synced(folder / TENSORS_FILE, data)
                saved = self._publish(record, folder)
                self._switch_to_new(saved.version)
        except BaseException:
            self._tidy()
            raise
        self._prune()
        return saved

    def _publish(self, record: SpeakerRecord, folder: Path) -> SpeakerRecord:
        """Renames a written folder to the next version number that no other process has taken."""
        for _ in range(_ATTEMPTS):
            self._versions.mkdir(parents=True, exist_ok=True)
            self._check_own_name()
            before = self.usable_current()
            number = max([0, *self.numbers(), before or 0]) + 1
            saved = replace(record, version=number)
            write_synced(folder / RECORD_FILE, saved.to_json().encode())
            if before:
                write_synced(folder / BEFORE_FILE, b"%d\n" % before)
            sync_folder(folder)
            try:
                folder.rename(self.version(number))
            except OSError as error:
                if error.errno not in _OVERTAKEN:
                    raise
            else:
                return saved
        raise StoreError(f"{self._versions} changes faster than a version can be added; try again")

    def _check_own_name(self) -> None:
        """Raises StoreError where the file system takes two names, such as Ann and ann, for one."""
        wanted = self.path.name
        names = [unicodedata.normalize("NFC", entry.name) for entry in self.path.parent.iterdir()]
        same = [name for name in names if name.casefold() == wanted.casefold()]
        if same and wanted not in names:
            raise StoreError(
                f"this file system does not tell speaker {wanted!r} from {', '.join(map(repr, same))}; "
                "choose a name that differs in more than upper and lower case"
            )

    def _switch_to_new(self, number: int) -> None:
        """Makes a version that was just published current; takes it back if that fails."""
        try:
            sync_folder(self._versions)
            # A newer one that another process has made current meanwhile stays current.
            if (self.usable_current() or 0) < number:
                self.make_current(number)
        except BaseException:
            if self.usable_current() != number:
                with contextlib.suppress(OSError):
                    shutil.rmtree(take_out(self.version(number), self.temporary), ignore_errors=True)
            raise

    def _tidy(self) -> None:
        """Removes the folders of a speaker that could not be created; folders in use are not empty."""
        with contextlib.suppress(OSError):
            self._versions.rmdir()
            self.path.rmdir()

    def _prune(self) -> None:
        """Deletes all but the last versions, the current one and what it has replaced; failing fails no save."""
        try:
            current = self.usable_current()
            used = (current, self._replaced_by(current))
            for number in self.numbers()[:-KEPT_VERSIONS]:
                if number not in used:
                    shutil.rmtree(take_out(self.version(number), self.temporary), ignore_errors=True)
        except FileNotFoundError:
            pass  # another process is deleting them
        except OSError as error:
            _log.warning("cannot delete old versions in %s: %s", self._versions, error)
