"""What a speaker store holds, as it is read: nothing is changed, and no lock is needed."""

from __future__ import annotations

import contextlib
import os
import unicodedata
from pathlib import Path

import platformdirs

from asradapt.errors import InvalidSpeakerName, UnknownName, UsageError
from asradapt.phrases import Phrases
from asradapt.store.names import validate_speaker
from asradapt.store.reading import Adaptation, explained, read_adaptation, read_record, reading
from asradapt.store.record import SpeakerRecord
from asradapt.store.versions import CURRENT_FILE, SpeakerFolder
from asradapt.store.vocabulary import VOCABULARY_FILE, Stamp, read_vocabulary, stamp_of

TEMPORARY = ".tmp"


class StoredSpeakers:
    """The reading half of `SpeakerStore`; a name that is wrong or not stored is an error as there.

    Args:
        root: Folder of the store; by default as there.
    """

    def __init__(self, root: Path | None = None) -> None:
        try:
            home = root or os.environ.get("ASRADAPT_HOME") or platformdirs.user_data_dir("asradapt")
            self.root = Path(home).expanduser()
        except RuntimeError as error:  # a user without a home, or somebody else's that there is none of
            told = f"there is no home folder ({error}); name the store by --store or ASRADAPT_HOME"
            raise UsageError(told) from error

    def __contains__(self, speaker: object) -> bool:
        if not isinstance(speaker, str):
            return False
        with contextlib.suppress(InvalidSpeakerName):
            return self._folder(validate_speaker(speaker)).exists
        return False

    def speakers(self) -> list[str]:
        """The stored speakers in alphabetical order, upper and lower case alike."""
        with reading(self._speakers):
            found = list(self._speakers.iterdir()) if self._speakers.is_dir() else []
            names = (unicodedata.normalize("NFC", entry.name) for entry in found)
            return sorted((name for name in names if self._may_be(name)), key=lambda name: (name.casefold(), name))

    def _may_be(self, name: str) -> bool:
        """Whether a speaker is stored, for all that can be seen; who asks for it is told what cannot be read."""
        try:
            return name in self
        except OSError:
            return True

    def without_current(self) -> list[str]:
        """Folders with versions none of which is current: a kill in between, or a part of a copy, leaves that."""
        with reading(self._speakers):
            found = list(self._speakers.iterdir()) if self._speakers.is_dir() else []
        names = sorted(unicodedata.normalize("NFC", entry.name) for entry in found)
        return [name for name in names if not self._may_be(name) and self._left(name)]

    def _left(self, name: str) -> bool:
        try:
            return bool(self._folder(validate_speaker(name)).numbers())
        except (OSError, InvalidSpeakerName):
            return False

    def versions(self, speaker: str, *, damaged: bool = False) -> list[int]:
        """The stored versions of a speaker, oldest first; if asked for, also where none of them is current."""
        folder = self._known(speaker, damaged=damaged)
        with reading(folder.path):
            return folder.numbers()

    def current(self, speaker: str) -> int:
        """The number of a speaker's current version.

        Raises:
            DamagedSpeaker: The file that says so is damaged.
        """
        folder = self._known(speaker)
        with explained(folder):
            return folder.current()

    def record(self, speaker: str, version: int | None = None) -> SpeakerRecord:
        """What is known about a stored version (by default the current one), without its tensors.

        Raises:
            DamagedSpeaker: `speaker.json` is missing or damaged; the message says what to do.
            StoreError: There is no such version, or a newer asradapt wrote it.
        """
        folder = self._known(speaker)
        with explained(folder):
            return read_record(folder, version)

    def load(self, speaker: str, version: int | None = None) -> Adaptation:
        """Reads a stored version (by default the current one) and checks that every byte is intact.

        Raises:
            DamagedSpeaker: A file is missing or damaged; the message says what to do.
            StoreError: There is no such version, or a newer asradapt wrote it.
        """
        folder = self._known(speaker)
        with explained(folder):
            return read_adaptation(folder, version)

    def vocabulary(self, speaker: str) -> Phrases:
        """The phrases that a speaker uses, in alphabetical order; they belong to all versions.

        Raises:
            DamagedSpeaker: The file is damaged.
        """
        folder = self._known(speaker)
        with reading(folder.path):
            return read_vocabulary(folder.path / VOCABULARY_FILE)

    def vocabulary_stamp(self, speaker: str) -> Stamp | None:
        """What differs whenever the phrases were stored again, without reading them; None where there are none."""
        path = self._folder(validate_speaker(speaker)).path / VOCABULARY_FILE
        with reading(path):
            return stamp_of(path)

    def version_stamp(self, speaker: str) -> Stamp | None:
        """What differs whenever another version became current, without reading it; None where there is none."""
        path = self._folder(validate_speaker(speaker)).path / CURRENT_FILE
        with reading(path):
            return stamp_of(path)

    @property
    def _speakers(self) -> Path:
        return self.root / "speakers"

    def _folder(self, name: str) -> SpeakerFolder:
        return SpeakerFolder(self._speakers / name, self.root / TEMPORARY)

    def _known(self, speaker: str, *, damaged: bool = False) -> SpeakerFolder:
        """The folder of a stored speaker; if asked for, also of one that lost its current version."""
        name = validate_speaker(speaker)
        folder = self._folder(name)
        with reading(folder.path):
            if folder.exists or (damaged and folder.path.is_dir()):
                return folder
        raise UnknownName("speaker", name, self.speakers(), f"The store is {self.root}")
