"""Enrolment recordings that a person has agreed to keep, in a folder of the speaker beside the versions.

    <folder>/recordings/kept.json       since when the person agrees, and a line for every recording
    <folder>/recordings/<digest>.flac   16-bit samples, mono; named by the sha256 of the samples

`kept.json` is the agreement: while it is there, recordings of later enrolments are kept too. Deleting the
folder deletes recordings and agreement in one step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.errors import DamagedSpeaker, StoreError
from asradapt.store.files import discard, replace_file, staging, sync_folder, take_out, unique
from asradapt.store.kept import KEPT_FILE, MOST_RECORDINGS, Kept, KeptRecording, decode, encode, file_name

if TYPE_CHECKING:
    from asradapt.pcm import Integers

RECORDINGS_FOLDER = "recordings"


@dataclass(frozen=True, eq=False)
class NewRecording:
    """A recording to be kept.

    Attributes:
        samples: (T,) 16-bit integers, mono.
        sample_rate: Their rate in Hz.
        text: What was said, as the person wrote it.
        digest: sha256 of the samples (`pcm.digest`).
        added: When another store kept it, ISO 8601 in UTC; empty for what is new.
    """

    samples: Integers
    sample_rate: int
    text: str
    digest: str
    added: str = ""


class Sent(list[NewRecording]):
    """Recordings from another store.

    Attributes:
        agreed: Since when the person agreed there, ISO 8601 in UTC.
    """

    agreed: str = ""


@dataclass(frozen=True)
class Recordings:
    """The kept recordings of one speaker.

    Attributes:
        path: The folder; it is there only when the person has agreed.
        temporary: Folder on the same file system for what is being written or deleted.
        alone: Keeps other writers of the store out; given what is being done.
    """

    path: Path
    temporary: Path
    alone: Callable[[str], AbstractContextManager[None]]

    @property
    def agreed(self) -> bool:
        """Whether the person has agreed that recordings are kept."""
        return (self.path / KEPT_FILE).is_file()

    def kept(self) -> Kept:
        """What is kept; nothing where the person has not agreed.

        Raises:
            DamagedSpeaker: The list is damaged.
        """
        try:
            return decode((self.path / KEPT_FILE).read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return Kept("", ())
        except DamagedSpeaker as error:
            raise DamagedSpeaker(
                f"{self.path}: {error}; `asradapt speakers forget-audio` deletes what is there"
            ) from error
        except OSError as error:
            raise StoreError(f"cannot read {error.filename or self.path}: {error.strerror or error}") from error

    def samples(self, one: KeptRecording) -> Integers:
        """The samples (T,) of a kept recording, after checking that they are what was stored.

        Raises:
            DamagedSpeaker: The file is missing, damaged or another one.
        """
        from asradapt.store.flac import read_flac

        path = self.path / file_name(one.digest)
        try:
            return read_flac(path.read_bytes(), one)
        except OSError as error:
            raise DamagedSpeaker(f"{path} cannot be read: {error.strerror or error}") from error
        except DamagedSpeaker as error:
            raise DamagedSpeaker(f"{path}: {error}") from error

    def files(self) -> dict[str, bytes]:
        """The list and all recordings as they are stored, by file name; every one is checked."""
        kept = self.kept()
        if not kept.agreed:
            return {}
        found = {KEPT_FILE: encode(kept)}
        for one in kept.recordings:
            self.samples(one)
            found[file_name(one.digest)] = (self.path / file_name(one.digest)).read_bytes()
        return found

    def add(self, new: Sequence[NewRecording], *, agree: bool = True, agreed: str = "") -> Kept:
        """Keeps recordings; one that is there is not stored again, and a new text replaces its old one.

        Args:
            new: The recordings.
            agree: Whether the person agrees now; otherwise nothing is kept unless an agreement is there.
            agreed: Since when the person agrees, where that was in another store; counts where none is here.

        Returns:
            What is kept now.

        Raises:
            DamagedSpeaker: The list that is there is damaged.
            StoreError: They are too many, or the disk refused; what was kept before is as it was.
        """
        with self.alone("keep recordings"):
            before = self.kept()
            if not agree and not before.agreed:  # forgotten meanwhile
                return before
            found = {one.digest: one for one in before.recordings}
            self.require_room(new)
            now = datetime.now(UTC).isoformat(timespec="seconds")
            with self._shelf(bool(before.agreed)) as shelf:
                for one in new:
                    known = found.get(one.digest)
                    found[one.digest] = replace(known, text=one.text) if known else self._write(one, now, shelf)
                kept = Kept(before.agreed or agreed or now, tuple(found.values()))
                replace_file(shelf / KEPT_FILE, encode(kept), temporary=unique(self.temporary))
        return kept

    @contextlib.contextmanager
    def _shelf(self, there: bool) -> Iterator[Path]:
        """Where recordings are written: the folder that is there, or a new one that takes its place as a whole.

        No recording may lie in the folder of somebody who, as far as anybody can see, has not agreed.
        """
        self.temporary.mkdir(parents=True, exist_ok=True)
        if there:
            try:
                yield self.path
            finally:
                self._drop_strangers()
            return
        with staging(self.temporary) as shelf:
            yield shelf
            if self.path.exists():  # without an agreement: of a version before, that was killed
                discard(take_out(self.path, self.temporary))
            shelf.rename(self.path)
            sync_folder(self.path.parent)

    def require_room(self, new: Sequence[NewRecording]) -> None:
        """Refuses recordings that would be too many beside those that are kept.

        Raises:
            StoreError: They are too many.
        """
        held = {one.digest for one in self.kept().recordings}
        if len(held | {one.digest for one in new}) > MOST_RECORDINGS:
            raise StoreError(
                f"more than {MOST_RECORDINGS} recordings are too many to keep for a speaker; forget them "
                "with `asradapt speakers forget-audio` or enrol without --keep-audio"
            )

    def forget(self) -> int:
        """Deletes all recordings and the agreement.

        Returns:
            The number of recordings that were there, whether the list could be read or not.
        """
        with self.alone("forget recordings"):
            if not self.path.exists():
                return 0
            count = len(list(self.path.glob("*.flac")))
            taken = take_out(self.path, self.temporary)
        try:
            discard(taken)
        except OSError as error:
            raise StoreError(
                f"the recordings are forgotten, but files remain in {taken} ({error.strerror}); delete it"
            ) from error
        return count

    def _write(self, one: NewRecording, now: str, shelf: Path) -> KeptRecording:
        from asradapt.store.flac import flac_bytes

        data = flac_bytes(one.samples, one.sample_rate)
        replace_file(shelf / file_name(one.digest), data, temporary=unique(self.temporary))
        seconds = round(len(one.samples) / one.sample_rate, 3)
        return KeptRecording(one.digest, one.text, seconds, one.sample_rate, len(data), one.added or now)

    def _drop_strangers(self) -> None:
        """Deletes files that the list does not name: a kill or a full disk left them behind."""
        with contextlib.suppress(OSError, DamagedSpeaker, StoreError):
            named = {KEPT_FILE, *(file_name(one.digest) for one in self.kept().recordings)}
            for path in list(self.path.iterdir()):
                if path.name not in named:
                    path.unlink()
