"""Where transcripts go: stdout, or one file a recording, none of them replaced unasked."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asradapt.cli.common import print_json, say
from asradapt.errors import InputError, UsageError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.transcript import Transcript

STDIN = "-"


@contextmanager
def stdin_as_file(audio: Sequence[str]) -> Iterator[tuple[tuple[str, ...], Path | None]]:
    """The audio files, where `-` is what comes from stdin, kept in a file meanwhile.

    Raises:
        UsageError: If `-` is given twice.
    """
    if STDIN not in audio:
        yield tuple(audio), None
        return
    if audio.count(STDIN) > 1:
        raise UsageError("- (audio from stdin) can be given once only")
    with tempfile.TemporaryDirectory(prefix="asradapt-") as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(sys.stdin.buffer.read())
        yield tuple(str(path) if name == STDIN else name for name in audio), path


Key = tuple[Path, str | None]  # one recording may be heard as several people


def _key(utterance: Utterance) -> Key:
    return utterance.audio, utterance.speaker


def targets(utterances: Sequence[Utterance], folder: Path, style: str) -> dict[Key, Path]:
    """The file of every recording: its name with the format's ending, a number where two names are the same.

    Raises:
        InputError: If the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
    found: dict[Key, Path] = {}
    taken: set[str] = set()
    for key in dict.fromkeys(map(_key, utterances)):
        audio, _ = key
        name, number = f"{audio.stem}.{style}", 2
        while name.casefold() in taken:
            name, number = f"{audio.stem}-{number}.{style}", number + 1
        taken.add(name.casefold())
        found[key] = folder / name
    return found


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Output:
    """Takes transcripts as they come.

    Args:
        style: One of the formats.
        alone: Whether there is one recording only.
        files: The file of every recording; None prints.
        as_json: Whether a JSON object of everything is printed at the end.
    """

    def __init__(self, style: str, *, alone: bool, files: dict[Key, Path] | None, as_json: bool) -> None:
        from asradapt.formats import FORMATS, ONE_A_FILE

        if files is None and not alone and style in ONE_A_FILE:
            raise UsageError(f"--format {style} of several recordings needs --output-dir DIR, a file for each")
        self._style, self._write = style, FORMATS[style]
        self._alone, self._files, self._as_json = alone, files, as_json
        self._results: list[dict[str, Any]] = []

    def add(self, transcript: Transcript) -> None:
        """Print or write one transcript."""
        if self._as_json:
            self._results.append(transcript.as_dict())
        if self._files is not None:
            path = self._files[_key(transcript.utterance)]
            write_whole(path, self._write(transcript))
            if not self._as_json:
                say(str(path))
        elif not self._as_json:
            self._print(transcript)

    def _print(self, transcript: Transcript) -> None:
        if self._style == "txt" and not self._alone:
            say(f"{transcript.utterance.audio}\t{transcript.text}")
        elif text := self._write(transcript).removesuffix("\n"):
            say(text)
        elif self._style == "txt":
            say("")

    def finish(self, failed: Sequence[Failure], warnings: Sequence[str]) -> None:
        """Print the JSON object, if it is wanted."""
        if self._as_json:
            fails = [failure.as_dict() for failure in failed]
            print_json({"results": self._results, "failed": fails, "warnings": list(warnings)})


def without_existing(
    utterances: list[Utterance], files: dict[Key, Path], *, force: bool, warn: Callable[[str], None]
) -> list[Utterance]:
    """The recordings whose file is still to be written."""
    if force:
        return utterances
    kept = [utterance for utterance in utterances if not files[_key(utterance)].exists()]
    for path in (files[_key(u)] for u in utterances if files[_key(u)].exists()):
        warn(f"{path} exists and is kept; --force replaces it")
    return kept
