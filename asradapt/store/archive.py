"""One speaker in one file: export to a zip, and import from a zip that nobody vouches for."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

from asradapt.errors import InvalidSpeakerName, StoreError
from asradapt.phrases import Phrases
from asradapt.store import tensors
from asradapt.store.archive_audio import MOST_MEMBERS, audio_limit, audio_problems, decode_audio
from asradapt.store.files import replace_file, unique
from asradapt.store.made_for import portable
from asradapt.store.names import validate_speaker
from asradapt.store.record import RECORD_FILE, SpeakerRecord
from asradapt.store.recordings import Sent
from asradapt.store.tensors import TENSORS_FILE
from asradapt.store.vocabulary import VOCABULARY_FILE, decode

_MAX_BYTES = {RECORD_FILE: 16 * 1024**2, TENSORS_FILE: 2 * 1024**3}
_OPTIONAL_BYTES = {VOCABULARY_FILE: 1024**2}
_MAX_RATIO = 100  # trained tensors hardly compress at all
_RATIO_MATTERS_FROM = 1024**2
_MALFORMED = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)
_NEVER = (1980, 1, 1, 0, 0, 0)  # the same speaker gives the same bytes


def write_archive(path: Path, members: dict[str, bytes], *, force: bool) -> Path:
    """Writes the files of a speaker as one zip, complete or not at all.

    Args:
        path: The zip to write.
        members: Contents of `speaker.json`, `adaptation.safetensors` and, where there are phrases or kept
            recordings, `vocabulary.json` and `recordings/`.
        force: Whether to replace a file that exists.

    Returns:
        The path written.

    Raises:
        StoreError: The file exists, and is not to be replaced or no export; or the disk refused.
    """
    if path.exists() and not force:
        raise StoreError(f"{path} exists and is left as it is; choose another name, or force replacing it")
    if path.exists() and not _is_export(path):
        raise StoreError(f"{path} is no exported speaker and is left as it is; choose another name")
    try:
        replace_file(path, _zipped(members), temporary=unique(path.parent, prefix="."), private=True)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror or error}") from error
    return path


Contents = tuple[SpeakerRecord, bytes, Phrases, Sent | None]


def read_archive(path: Path, *, name: str | None = None) -> Contents:
    """Reads and checks the files of a zip without writing any to the disk.

    Args:
        path: The zip, from anywhere.
        name: The name to give the speaker; by default the name in the archive.

    Returns:
        The record, the contents of `adaptation.safetensors`, the speaker's phrases, and the recordings;
        None where the archive holds no recordings.

    Raises:
        InvalidSpeakerName: `name` cannot be a folder name.
        StoreError: Not a zip, other members than these, too large, or damaged; all problems are named.
    """
    members = _members(path)
    try:
        record = SpeakerRecord.from_json(members[RECORD_FILE])
        record.require_method()
        tensors.decode(members[TENSORS_FILE], decision=record.decision, sha256=record.sha256)
        phrases = decode(members[VOCABULARY_FILE]) if VOCABULARY_FILE in members else Phrases()
        recordings = decode_audio(members)
        speaker = validate_speaker(record.speaker if name is None else name)
    except StoreError as error:
        raise type(error)(f"{path} is not imported: {error}") from error
    except InvalidSpeakerName as error:
        if name is not None:
            raise
        raise StoreError(f"{path} is not imported: {error}; give another name") from error
    return portable(replace(record, speaker=speaker)), members[TENSORS_FILE], phrases, recordings


def _is_export(path: Path) -> bool:
    """Whether a file is what `write_archive` writes."""
    try:
        with zipfile.ZipFile(path) as archive:
            return RECORD_FILE in archive.namelist()
    except (OSError, *_MALFORMED):
        return False


def _members(path: Path) -> dict[str, bytes]:
    """The contents of the files of a zip."""
    try:
        with zipfile.ZipFile(path) as archive:
            if problems := _problems(archive.infolist()):
                raise StoreError(f"{path} is not an exported speaker: {'; '.join(problems)}")
            return {name: _read(archive, name) for name in archive.namelist()}
    except _MALFORMED as error:
        raise StoreError(f"{path} is not a zip, or a damaged one: {error}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _zipped(members: dict[str, bytes]) -> bytes:
    """A zip of the members, uncompressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, _NEVER)
            entry.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return buffer.getvalue()


def _problems(members: list[zipfile.ZipInfo]) -> list[str]:
    """Everything that is wrong with the members of a zip, judged before any is read."""
    names = sorted(member.filename for member in members if not audio_limit(member.filename))
    if sorted(set(names) - _OPTIONAL_BYTES.keys()) != sorted(_MAX_BYTES) or len(set(names)) != len(names):
        shown = ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")
        return [
            f"it holds {shown or 'nothing'} and must hold exactly {' and '.join(_MAX_BYTES)}, besides "
            f"{VOCABULARY_FILE} where there are phrases and recordings/ where they are kept"
        ]
    problems = audio_problems(members)
    for member in members[:MOST_MEMBERS]:
        size, limit = member.file_size, _limit(member.filename)
        if size > limit:
            problems.append(f"{member.filename} has {size} bytes, the limit is {limit}")
        if size > _RATIO_MATTERS_FROM and size > _MAX_RATIO * member.compress_size:
            problems.append(f"{member.filename} expands {_MAX_RATIO} times or more, as only zip bombs do")
        if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG):
            problems.append(f"{member.filename} is a link or another special file")
        if member.flag_bits & 0x1:
            problems.append(f"{member.filename} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            problems.append(f"{member.filename} is compressed by method {member.compress_type}, not deflate")
    return problems


def _limit(name: str) -> int:
    return audio_limit(name) or (_MAX_BYTES | _OPTIONAL_BYTES)[name]


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    """One member, bounded by its limit even if the zip lies about its size."""
    limit = _limit(name)
    with archive.open(name) as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise StoreError(f"{name} in the archive has more than {limit} bytes")
    return data
