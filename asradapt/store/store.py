"""The speaker store: `<root>/speakers/<name>/` for every speaker, `<root>/.tmp/` for work in progress."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from asradapt.errors import StoreError
from asradapt.phrases import Phrases
from asradapt.store import tensors as tensor_file
from asradapt.store.all_or_nothing import held_already, whole
from asradapt.store.archive import read_archive, write_archive
from asradapt.store.files import discard, replace_file, sweep, take_out, unique
from asradapt.store.lock import explained_writing, one_writer
from asradapt.store.made_for import portable
from asradapt.store.names import validate_speaker
from asradapt.store.reading import explained, read_adaptation
from asradapt.store.record import FORMAT_VERSION, RECORD_FILE, SpeakerRecord
from asradapt.store.recordings import RECORDINGS_FOLDER, Recordings
from asradapt.store.stored import TEMPORARY, StoredSpeakers
from asradapt.store.tensors import TENSORS_FILE
from asradapt.store.versions import SpeakerFolder
from asradapt.store.vocabulary import VOCABULARY_FILE, Stamp, checked, encode, read_vocabulary

if TYPE_CHECKING:
    from torch import Tensor


Expected = Stamp | Literal["any"] | None
ANY: Literal["any"] = "any"


class SpeakerStore(StoredSpeakers):
    """Speakers on disk, each with its last versions.

    Methods that take a speaker raise InvalidSpeakerName for a name that no speaker can have, and
    UnknownName, listing the known ones, for a speaker that is not stored.

    Args:
        root: Folder of the store, created by the first save; by default `$ASRADAPT_HOME`, or the user's
            data folder where that is not set.
    """

    def save(
        self, record: SpeakerRecord, tensors: Mapping[str, Tensor], *, expected: Expected = ANY
    ) -> SpeakerRecord:
        """Stores a new version of a speaker and makes it current, or leaves the store as it was.

        Args:
            record: What is known about the adaptation; the store fills in `version`, `sha256`,
                `format_version` and an empty `created`.
            tensors: Its tensors; none for the decision `source`.
            expected: What `version_stamp` must say still; by default whatever it says.

        Returns:
            The record as it was stored.

        Raises:
            InvalidSpeakerName: The record's speaker cannot be a folder name.
            StoreError: The disk refused, record or tensors cannot be stored, or another version than the one that
                was expected is current.
        """
        name = validate_speaker(record.speaker)
        data = tensor_file.encode(tensors, decision=record.decision)
        return self._add(replace(record, speaker=name), data, expected)

    def change_vocabulary(self, speaker: str, change: Callable[[Phrases], Iterable[str]]) -> Phrases:
        """Replaces the phrases of a speaker in one step that no other writer comes between.

        Args:
            speaker: The speaker.
            change: From the phrases that are stored to those that are to be; their strength stays unless it
                gives `Phrases`, which have their own.

        Returns:
            The phrases as they are stored: each once, in alphabetical order.

        Raises:
            TextError: With all phrases that cannot be used.
            DamagedSpeaker: The file is damaged.
            StoreError: The disk refused.
        """
        folder = self._known(speaker)
        with self._alone(f"store the vocabulary of speaker {speaker!r}"):
            return _change_vocabulary(folder, change)

    def recordings(self, speaker: str) -> Recordings:
        """The recordings that are kept of a speaker; they belong to all versions."""
        folder = self._known(speaker, damaged=True)
        return Recordings(folder.path / RECORDINGS_FOLDER, folder.temporary, self._alone)

    def set_vocabulary(self, speaker: str, phrases: Iterable[str]) -> Phrases:
        """Replaces the phrases of a speaker, whatever they were; otherwise as `change_vocabulary`."""
        return self.change_vocabulary(speaker, lambda stored: phrases)

    def remove(self, speaker: str) -> None:
        """Deletes a speaker with all versions.

        Raises:
            StoreError: The disk refused; the message says what is left.
        """
        sweep(self.root / TEMPORARY)  # a removal that was interrupted is finished by asking for it again
        folder = self._known(speaker, damaged=True)
        with self._alone(f"remove speaker {speaker!r}"):
            taken = take_out(folder.path, folder.temporary)
        try:
            discard(taken)
        except OSError as error:
            raise StoreError(
                f"speaker {speaker!r} is removed, but files remain in {taken} ({error.strerror}); delete it"
            ) from error

    def rollback(self, speaker: str, to: int | None = None) -> SpeakerRecord:
        """Makes an earlier version current again; later versions stay stored.

        Args:
            speaker: The speaker.
            to: The version; by default the one that the current one has replaced, or the last one stored if
                none is current.

        Raises:
            StoreError: There is no such version, or the disk refused.
            DamagedSpeaker: That version is damaged too.
        """
        folder = self._known(speaker, damaged=True)
        with explained(folder):
            record = read_adaptation(folder, folder.before_current() if to is None else to).record
        with self._alone(f"roll back speaker {speaker!r}"):
            if record.version not in folder.numbers():  # others may have written while this one waited
                raise StoreError(f"version {record.version} of speaker {speaker!r} is gone meanwhile")
            folder.make_current(record.version)
        return record

    def export(self, speaker: str, path: Path, *, force: bool = False, with_audio: bool = False) -> Path:
        """Writes the current version of a speaker, and the speaker's phrases, as a zip.

        Args:
            speaker: The speaker.
            path: The zip to write.
            force: Whether to replace a file that exists.
            with_audio: Whether the kept recordings go with it.

        Returns:
            The path written.

        Raises:
            DamagedSpeaker: The current version is damaged.
            StoreError: The file exists, or the disk refused.
        """
        folder = self._known(speaker)
        with explained(folder):
            record = read_adaptation(folder).record
            tensors = (folder.version(record.version) / TENSORS_FILE).read_bytes()
            members = {RECORD_FILE: portable(record).to_json().encode(), TENSORS_FILE: tensors}
        phrases = self.vocabulary(speaker)  # outside: going back to another version does not mend it
        if phrases or phrases.strength is not None:
            members[VOCABULARY_FILE] = encode(phrases)
        if with_audio:  # nor recordings
            kept = self.recordings(speaker).files()
            members |= {f"{RECORDINGS_FOLDER}/{name}": data for name, data in kept.items()}
        return write_archive(Path(path), members, force=force)

    def import_(self, path: Path, name: str | None = None, *, force: bool = False) -> SpeakerRecord:
        """Stores the speaker of an exported zip after checking everything about it.

        Args:
            path: The zip, from anywhere.
            name: The speaker's name here; by default the name in the archive.
            force: Whether a speaker who exists gets a new version.

        Returns:
            The record as it was stored.

        Raises:
            InvalidSpeakerName: `name` cannot be a folder name.
            StoreError: The archive is not an exported speaker or is damaged, or the speaker exists.
        """
        record, data, phrases, recordings = read_archive(Path(path), name=name)
        held = self.vocabulary(record.speaker) if phrases and record.speaker in self else ()
        checked([*held, *phrases])  # before anything is stored: too many refuse the whole
        if recordings and record.speaker in self:
            self.recordings(record.speaker).require_room(recordings)
        record, folder = _completed(record, data), self._folder(record.speaker)
        with self._alone(f"save speaker {record.speaker!r}"):
            if folder.exists and not force:
                raise StoreError(
                    f"speaker {record.speaker!r} exists; give another name (--name), or force the import "
                    "(--force), which adds a version"
                )
            with whole(folder):
                stored = folder.add(record, data)
                if phrases or phrases.strength is not None:
                    _change_vocabulary(folder, lambda known: known.with_more(phrases))
                if recordings is not None:
                    shelf = Recordings(folder.path / RECORDINGS_FOLDER, folder.temporary, held_already)
                    shelf.add(recordings, agreed=recordings.agreed)
        return stored

    @contextlib.contextmanager
    def _alone(self, task: str) -> Iterator[None]:
        """Writes without other writers, and turns what the disk refuses into a StoreError."""
        with explained_writing(task, self.root), one_writer(self.root):
            sweep(self.root / TEMPORARY, alone=True)
            yield

    def _add(self, record: SpeakerRecord, data: bytes, expected: Expected = ANY) -> SpeakerRecord:
        """Writes a version, if what `version_stamp` says is what was expected."""
        record, folder = _completed(record, data), self._folder(record.speaker)
        with self._alone(f"save speaker {record.speaker!r}"):
            if expected != ANY:
                self._require_unchanged(record.speaker, expected)
            return folder.add(record, data)

    def _require_unchanged(self, speaker: str, expected: Stamp | None) -> None:
        """Refuse to store what was not compared with what is current now, or whom somebody has removed."""
        now = self.version_stamp(speaker)
        if now == expected:
            return
        if now is None:
            raise StoreError(f"{speaker} was removed meanwhile: nothing is stored")
        raise StoreError(
            f"another version of {speaker} was stored meanwhile, with which this one was not compared: it is not "
            "stored; begin again"
        )


def _completed(record: SpeakerRecord, data: bytes) -> SpeakerRecord:
    """The record with what the store fills in, after checking that it can be read again."""
    record = replace(
        record,
        created=record.created or datetime.now(UTC).isoformat(timespec="seconds"),
        sha256=tensor_file.digest(data),
        format_version=FORMAT_VERSION,
    )
    return SpeakerRecord.from_json(record.to_json())


def _change_vocabulary(folder: SpeakerFolder, change: Callable[[Phrases], Iterable[str]]) -> Phrases:
    """`SpeakerStore.change_vocabulary` where other writers are kept out already."""
    stored = read_vocabulary(folder.path / VOCABULARY_FILE)
    changed = change(stored)
    listed = isinstance(changed, Phrases | str)  # what is one text is refused
    kept = checked(changed if listed else Phrases(changed, stored.strength))
    folder.temporary.mkdir(parents=True, exist_ok=True)
    replace_file(folder.path / VOCABULARY_FILE, encode(kept), temporary=unique(folder.temporary))
    return kept
