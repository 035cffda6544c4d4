"""`recordings/kept.json`: since when a person agrees that recordings are kept, and which they are."""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict, dataclass, fields

from asradapt.errors import DamagedSpeaker

KEPT_FILE = "kept.json"
FORMAT = 1
MOST_RECORDINGS = 2000
MOST_SECONDS = 60.0
"""Longer than any recording that enrolment takes."""
MOST_BYTES = 16 * 1024**2
"""Of one file: a minute at 96 kHz that FLAC could not make smaller."""
MOST_LETTERS = 2000
RATES = (4_000, 96_000)

_DIGEST = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class KeptRecording:
    """One kept recording.

    Attributes:
        digest: sha256 of its samples; its file is named by it.
        text: What was said, as the person wrote it.
        seconds: Its length.
        sample_rate: Its rate in Hz.
        bytes: Size of its file.
        added: When it was kept, ISO 8601 in UTC.
    """

    digest: str
    text: str
    seconds: float
    sample_rate: int
    bytes: int
    added: str


@dataclass(frozen=True)
class Kept:
    """All that is kept.

    Attributes:
        agreed: Since when the person agrees, ISO 8601 in UTC; empty without agreement.
        recordings: The recordings, oldest first.
    """

    agreed: str
    recordings: tuple[KeptRecording, ...]

    @property
    def seconds(self) -> float:
        """Seconds of audio."""
        return sum(one.seconds for one in self.recordings)

    @property
    def bytes(self) -> int:
        """Bytes on the disk."""
        return sum(one.bytes for one in self.recordings)

    def as_dict(self) -> dict[str, object]:
        """The sums, as `--json` of the commands shows them."""
        return {
            "agreed": self.agreed or None,
            "recordings": len(self.recordings),
            "minutes": round(self.seconds / 60, 3),
            "bytes": self.bytes,
        }


def file_name(digest: str) -> str:
    """The file of a recording."""
    return f"{digest}.flac"


def encode(kept: Kept) -> bytes:
    """The contents of `kept.json`."""
    content = {"format": FORMAT, "agreed": kept.agreed, "recordings": [asdict(one) for one in kept.recordings]}
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode("utf-8", "backslashreplace")


def decode(data: bytes) -> Kept:
    """Reads the contents of `kept.json` strictly.

    Raises:
        DamagedSpeaker: They are damaged or of another format; says what is wrong.
    """
    try:
        content = json.loads(data)
        if content["format"] != FORMAT:
            raise ValueError(f"format {content['format']}, this version reads {FORMAT}")
        if not isinstance(content["agreed"], str) or not content["agreed"]:
            raise ValueError("it does not say since when the person agrees")
        if len(content["recordings"]) > MOST_RECORDINGS:
            raise ValueError(f"{len(content['recordings'])} recordings, at most {MOST_RECORDINGS} are allowed")
        recordings = tuple(KeptRecording(**one) for one in content["recordings"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedSpeaker(f"{KEPT_FILE} cannot be used: {error}") from error
    problems = [problem for one in recordings for problem in _problems(one)]
    if len({one.digest for one in recordings}) < len(recordings):
        problems.append("a recording stands twice")
    if problems:
        raise DamagedSpeaker(f"{KEPT_FILE} is damaged: {'; '.join(problems[:5])}")
    return Kept(content["agreed"], recordings)


def _problems(one: KeptRecording) -> list[str]:
    """Everything that is wrong with one entry."""
    kinds = {"str": str, "int": int, "float": int | float}
    wrong = [
        field.name
        for field in fields(one)
        if not isinstance(value := getattr(one, field.name), kinds[str(field.type)]) or isinstance(value, bool)
    ]
    if wrong:
        return [f"{', '.join(wrong)} of a recording have the wrong type"]
    problems = []
    if not _DIGEST.fullmatch(one.digest):
        problems.append(f"digest {one.digest[:70]!r} is no sha256")
    if not 0 < one.seconds <= MOST_SECONDS or not math.isfinite(one.seconds):
        problems.append(f"a recording of {one.seconds} s, allowed are up to {MOST_SECONDS:g} s")
    if not RATES[0] <= one.sample_rate <= RATES[1]:
        problems.append(f"a sample rate of {one.sample_rate} Hz, allowed are {RATES[0]} to {RATES[1]}")
    if not 0 < one.bytes <= MOST_BYTES:
        problems.append(f"a recording of {one.bytes} bytes, allowed are up to {MOST_BYTES}")
    if not one.text.strip() or len(one.text) > MOST_LETTERS:
        problems.append(f"a text of {len(one.text)} characters, allowed are 1 to {MOST_LETTERS}")
    return problems
