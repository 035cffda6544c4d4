"""A manifest of any length, never whole in memory: gone through once to check it and again for its utterances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asradapt.fingerprints import Distinct, Fingerprints
from asradapt.manifest_file import open_manifest_file
from asradapt.manifest_selection import Selection, Where, has_offset, offset_warning, repeated_warning, row_key
from asradapt.types import Failure, Utterance


class ManifestStream:
    """The utterances of an open manifest, in the order of the file, as often as they are asked for.

    An iteration must end before the next one begins. Exact repetitions come once; they are found by fingerprints,
    33 bytes a row, and twice that while the table grows. Unlike `read_manifest` it does not look for differing
    texts of the same audio.

    Attributes:
        count: Number of the utterances.
        nameless: How many of them name no speaker.
        speakers: The names of the others.
        warnings: What somebody should look at, in plain sentences.
    """

    def __init__(self, path: Path, file: IO[bytes], where: Where, failed: Callable[[Failure], None]) -> None:
        self._path, self._file, self._where = path, file, tuple(where)
        self.count = self.nameless = self._repeated = self._offsets = 0
        self.speakers = Distinct()
        self._scan(failed)

    @property
    def warnings(self) -> tuple[str, ...]:
        """See the class."""
        return repeated_warning(self._repeated) + offset_warning(self._offsets)

    def __iter__(self) -> Iterator[Utterance]:
        seen = Fingerprints()
        for item in Selection(self._path, self._where).of(self._file):
            if isinstance(item, Utterance) and seen.add(_key(item)):
                yield item

    def _scan(self, failed: Callable[[Failure], None]) -> None:
        selection, seen = Selection(self._path, self._where), Fingerprints()
        for item in selection.of(self._file):
            if isinstance(item, Failure):
                failed(item)
            elif seen.add(_key(item)):
                self._note(item)
            else:
                self._repeated += 1
        selection.check()

    def _note(self, utterance: Utterance) -> None:
        self.count += 1
        self._offsets += has_offset(utterance)
        if utterance.speaker is None:
            self.nameless += 1
        else:
            self.speakers.add(utterance.speaker)


@contextmanager
def stream_manifest(
    path: str | Path, where: Where = (), *, failed: Callable[[Failure], None]
) -> Iterator[ManifestStream]:
    """Open a manifest for reading without holding it; arguments and errors as for `manifests.read_manifest`.

    Args:
        path: JSON lines, CSV or TSV in UTF-8; a pipe is kept on disk meanwhile.
        where: Pairs (column, value) as `parse_where` gives them.
        failed: Called with every broken row, while the file is gone through for the first time.

    Raises:
        ManifestError: The file cannot be read, lacks the audio column, or no row of it is left.
    """
    path = Path(path)
    with open_manifest_file(path) as file:
        yield ManifestStream(path, file, where, failed)


def _key(utterance: Utterance) -> str:
    audio, *others = row_key(utterance)
    return repr((str(audio), *others))
