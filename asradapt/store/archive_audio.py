"""The recordings in the zip of an exported speaker, which nobody vouches for."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Mapping, Sequence

from asradapt.errors import DamagedSpeaker
from asradapt.store import kept
from asradapt.store.recordings import RECORDINGS_FOLDER, NewRecording, Sent

MOST_MEMBERS = kept.MOST_RECORDINGS + 10
_MOST_TOTAL = 1024**3  # an archive is read as a whole: ten hours of speech or more
_LIST = f"{RECORDINGS_FOLDER}/{kept.KEPT_FILE}"
_LIST_BYTES = 16 * 1024**2
_AUDIO = re.compile(f"{RECORDINGS_FOLDER}/[0-9a-f]{{64}}[.]flac")


def audio_limit(name: str) -> int:
    """Most bytes of a member that belongs to the recordings; 0 for any other member."""
    if name == _LIST:
        return _LIST_BYTES
    return kept.MOST_BYTES if _AUDIO.fullmatch(name) else 0


def audio_problems(members: Sequence[zipfile.ZipInfo]) -> list[str]:
    """What is wrong with number, names and sizes of the recordings, judged before any is read."""
    audio = [member for member in members if audio_limit(member.filename)]
    names = [member.filename for member in audio]
    problems = []
    if len(audio) > kept.MOST_RECORDINGS + 1:
        problems.append(f"it holds {len(audio)} recordings, the limit is {kept.MOST_RECORDINGS}")
    if len(set(names)) < len(names):
        problems.append("a recording stands twice in it")
    if audio and _LIST not in names:
        problems.append(f"it holds recordings without {_LIST}")
    if (total := sum(member.file_size for member in audio)) > _MOST_TOTAL:
        problems.append(f"its recordings have {total} bytes, the limit is {_MOST_TOTAL}")
    return problems


def decode_audio(members: Mapping[str, bytes]) -> Sent | None:
    """The recordings of an archive, each decoded and compared with the list; None where there are none.

    Raises:
        DamagedSpeaker: The list is damaged, names other recordings than there are, or one is not what it
            is said to be.
    """
    if _LIST not in members:
        return None
    from asradapt.store.flac import read_flac

    whole = kept.decode(members[_LIST])
    listed = whole.recordings
    wanted = {f"{RECORDINGS_FOLDER}/{kept.file_name(one.digest)}": one for one in listed}
    there = {name for name in members if _AUDIO.fullmatch(name)}
    if there != wanted.keys():
        raise DamagedSpeaker(
            f"{_LIST} names {len(wanted)} recordings; {len(wanted.keys() - there)} of them are missing and "
            f"{len(there - wanted.keys())} others are there"
        )
    decoded = sum(one.seconds * one.sample_rate * 2 for one in listed)  # read_flac holds each to its length
    if decoded > _MOST_TOTAL:
        raise DamagedSpeaker(f"its recordings take {decoded:.0f} bytes of memory, the limit is {_MOST_TOTAL}")
    sent = Sent(
        NewRecording(read_flac(members[name], one), one.sample_rate, one.text, one.digest, one.added)
        for name, one in wanted.items()
    )
    sent.agreed = whole.agreed
    return sent
