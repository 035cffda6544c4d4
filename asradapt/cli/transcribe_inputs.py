"""What `transcribe` is given: audio files, or the rows of a manifest of any length, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.cli.common import report_problems
from asradapt.cli.inputs import WHO, no_rows_of, one_input, taken_as
from asradapt.errors import UsageError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.manifest_stream import ManifestStream

MOST_KEPT = 1000  # failures and warnings where they are not all listed in the end


class Problems:
    """Failures and warnings as they come: all of them, or the first of many and the number of the others.

    Args:
        keep_all: Whether all are wanted, however many.
    """

    def __init__(self, *, keep_all: bool) -> None:
        self._keep_all = keep_all
        self.failed: list[Failure] = []
        self.warnings: list[str] = []
        self.failures = self._warned = 0  # kept or not

    def fail(self, failure: Failure) -> None:
        """Take note of an input that could not be used."""
        self.failures += 1
        if self._keep_all or len(self.failed) < MOST_KEPT:
            self.failed.append(failure)

    def warn(self, warning: str) -> None:
        """Take note of what somebody should look at."""
        self._warned += 1
        if self._keep_all or len(self.warnings) < MOST_KEPT:
            self.warnings.append(warning)

    def report(self) -> None:
        """Print them to stderr, the first of many in full."""
        unkept = self._warned - len(self.warnings), self.failures - len(self.failed)
        report_problems(self.warnings, self.failed, unlisted=unkept)


@dataclass
class Inputs:
    """Recordings in their order.

    Attributes:
        utterances: The recordings; gone through once.
        count: How many there are, without those that are left out on the way.
    """

    utterances: Iterable[Utterance]
    count: int


@contextmanager
def gathered(
    audio: Sequence[str], manifest: Path | None, where: Sequence[str], speaker: str | None, problems: Problems
) -> Iterator[Inputs]:
    """The recordings of the command's arguments; a manifest is open meanwhile.

    Raises:
        UsageError: If the arguments contradict each other.
        ManifestError: If the manifest has no usable row, or none of the speaker.
    """
    from asradapt.manifest_stream import stream_manifest
    from asradapt.manifests import parse_where, utterances_from_audio
    from asradapt.store import validate_speaker

    if speaker is not None:
        speaker = validate_speaker(speaker)
    one_input(manifest, audio)
    if where and not manifest:
        raise UsageError("--where filters the rows of a --manifest")
    if manifest:
        filters = parse_where(where)
        chosen = any(key in WHO for key, _ in filters)
        with stream_manifest(manifest, filters, failed=problems.fail) as stream:
            for warning in stream.warnings:
                problems.warn(warning)
            if speaker is None:
                yield Inputs(stream, stream.count)
            else:
                yield _rows_of(speaker, stream, chosen=chosen, warn=problems.warn)
        return
    read = utterances_from_audio(audio, speaker, need_text=False)
    for failure in read.failed:
        problems.fail(failure)
    for warning in read.warnings:
        problems.warn(warning)
    yield Inputs([replace(u, speaker=speaker) for u in read.utterances], len(read.utterances))


def _rows_of(speaker: str, stream: ManifestStream, *, chosen: bool, warn: Callable[[str], None]) -> Inputs:
    """As `inputs.rows_of`, without holding the rows."""
    if speaker in stream.speakers:
        count = sum(u.speaker == speaker for u in stream)
        _tell_left_out(stream.count - count - stream.nameless, stream.nameless, warn)
        return Inputs((u for u in stream if u.speaker == speaker), count)
    if stream.nameless:
        _tell_left_out(stream.count - stream.nameless, 0, warn)
        return Inputs((replace(u, speaker=speaker) for u in stream if u.speaker is None), stream.nameless)
    if chosen and len(stream.speakers) == 1:
        warn(taken_as(speaker, str(stream.speakers)))
        return Inputs((replace(u, speaker=speaker) for u in stream), stream.count)
    raise no_rows_of(speaker, str(stream.speakers))


def _tell_left_out(others: int, nameless: int, warn: Callable[[str], None]) -> None:
    """Say how many rows are not those of the speaker who is asked for."""
    counts = ((others, "of other speakers"), (nameless, "without a speaker"))
    if told := " and ".join(f"{count} row{'' if count == 1 else 's'} {whose}" for count, whose in counts if count):
        warn(f"{told} left out; without --speaker each row is transcribed as its own speaker's")
