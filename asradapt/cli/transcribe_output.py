"""Where transcripts go: stdout, or one file a recording, none of them replaced unasked."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asradapt.cli.common import print_json, say
from asradapt.cli.transcribe_inputs import Problems
from asradapt.cli.transcribe_targets import STDIN, Targets
from asradapt.errors import InputError, UsageError
from asradapt.fingerprints import Fingerprints
from asradapt.types import Utterance

if TYPE_CHECKING:
    from asradapt.transcript import Transcript

GOES_ON = "the same command with the same --output-dir, without --force, goes on with what is missing"


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


def write_whole(path: Path, text: str) -> None:
    """Write a file so that it is never seen half written."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class Names:
    """What recordings are called where they stand in one list: each differently, whatever the case of letters.

    The first recording of a name is called by it, further ones by their path without its ending, then with it.
    """

    def __init__(self) -> None:
        self._met = Fingerprints()  # by name: how often it was met

    def of(self, utterance: Utterance) -> str:
        """The name of the next recording, without blanks."""
        audio = utterance.audio
        names = [
            "_".join(name.split()) or "audio" for name in (audio.stem, str(audio.with_suffix("")), str(audio))
        ]
        for name in names:
            if self._free(name):
                return name
        number = self._met.get(names[-1].casefold()) or 1  # one recording may be heard as several people
        while not self._free(f"{names[-1]}-{number + 1}"):
            number += 1
        self._met[names[-1].casefold()] = number + 1
        return f"{names[-1]}-{number + 1}"

    def _free(self, name: str) -> bool:
        if (key := name.casefold()) in self._met:
            return False
        self._met[key] = 1
        return True


class Output:
    """Takes transcripts as they come.

    Args:
        style: One of the formats.
        alone: Whether there is one recording only.
        files: Knows the file of every recording; None prints.
        as_json: Whether a JSON object of everything is printed at the end.
    """

    def __init__(self, style: str, *, alone: bool, files: Targets | None, as_json: bool) -> None:
        from asradapt.formats import FORMATS, ONE_A_FILE, ctm

        if files is None and not alone and style in ONE_A_FILE:
            raise UsageError(f"--format {style} of several recordings needs --output-dir DIR, a file for each")
        self._style, self._write = style, FORMATS[style]
        self._alone, self._files, self._as_json = alone, files, as_json
        self._results: list[dict[str, Any]] = []
        self._done = 0
        if style == "ctm" and files is None:
            names = Names()
            self._write = lambda transcript: ctm(transcript, names.of(transcript.utterance))

    def add(self, transcript: Transcript) -> None:
        """Print or write one transcript."""
        if self._as_json:
            self._results.append(transcript.as_dict())
        if self._files is not None:
            path = self._files.path(transcript.utterance)
            self._write_file(path, transcript)
            if not self._as_json:
                say(str(path))
        elif not self._as_json:
            self._print(transcript)

    def _write_file(self, path: Path, transcript: Transcript) -> None:
        try:
            write_whole(path, self._write(transcript))
        except OSError as error:
            files = f"{self._done} file{' is' if self._done == 1 else 's are'}"
            raise InputError(
                f"{path} cannot be written: {error.strerror or error}; {files} done, and {GOES_ON}"
            ) from error
        self._done += 1

    def _print(self, transcript: Transcript) -> None:
        if self._style == "txt" and not self._alone:
            say(f"{transcript.utterance.audio}\t{transcript.text}")
        elif text := self._write(transcript).removesuffix("\n"):
            say(text)
        elif self._style == "txt":
            say("")

    def finish(self, problems: Problems) -> None:
        """Print the JSON object, if it is wanted."""
        if self._as_json:
            fails = [failure.as_dict() for failure in problems.failed]
            print_json({"results": self._results, "failed": fails, "warnings": problems.warnings})
