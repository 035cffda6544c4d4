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
from asradapt.cli.transcribe_inputs import Inputs, Problems
from asradapt.errors import InputError, TextError, UsageError
from asradapt.fingerprints import Fingerprints
from asradapt.types import Utterance

if TYPE_CHECKING:
    from asradapt.transcript import Transcript

STDIN = "-"
TEXTS = "txt"  # the format of what lies beside recordings
EXISTS, SAID = 1, 2  # why a file is kept
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


class Targets:
    """The file of every recording: its name with the format's ending, a number where two names are the same.

    Names are kept as fingerprints, so that a million of them do not sit in memory.

    Args:
        folder: Where the files are; it is made.
        style: One of the formats.
        stdin: The file that stands for stdin.
        force: Whether files that exist are replaced.

    Raises:
        InputError: If the folder cannot be made.
    """

    def __init__(self, folder: Path, style: str, *, stdin: Path | None = None, force: bool = False) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"the folder {folder} cannot be made: {error.strerror}") from error
        from asradapt.texts_beside import TextsBeside

        self._folder, self._style, self._stdin, self._force = folder, style, stdin, force
        self._numbers = Fingerprints()  # by recording: three times the number in its name, and why it is kept
        self._beside = TextsBeside()
        self._last = Path(), False  # a folder of recordings, and whether it is this one
        self._next = Fingerprints()  # by name: the number that a further recording of this name tries first

    def fresh(self, inputs: Inputs, warn: Callable[[str], None]) -> Iterator[Utterance]:
        """The recordings whose file is still to be written; the others are taken off the count.

        A text beside a recording is what somebody wrote that was said, or will be taken for it by `enroll`.
        """
        exist = beside = 0
        for utterance in inputs.utterances:
            if not (why := self._why_kept(utterance)):
                beside += self._style == TEXTS and self._is_home(utterance)
                yield utterance
                continue
            inputs.count -= 1
            exist += why == EXISTS
            said = ": it says what was said" if why == SAID else "; --force replaces it"
            warn(f"{self.path(utterance)} exists and is kept{said}")
        if exist:
            warn("files that exist may be of other recordings of the same names: another --output-dir keeps both")
        if beside:
            warn("enroll takes a text beside its recording for what was said: another --output-dir avoids that")

    def path(self, utterance: Utterance) -> Path:
        """The file of a recording that came before."""
        return self._folder / self._name(utterance, (self._numbers.get(self._key(utterance)) or 0) // 3)

    def _key(self, utterance: Utterance) -> str:
        """One recording may be heard as several people."""
        return repr((str(self._audio(utterance)), utterance.speaker))

    def _audio(self, utterance: Utterance) -> Path:
        is_stdin = self._stdin is not None and utterance.audio == Path(STDIN)
        return self._stdin if is_stdin and self._stdin else utterance.audio

    def _name(self, utterance: Utterance, number: int) -> str:
        stem = self._audio(utterance).stem
        return f"{stem}-{number}.{self._style}" if number > 1 else f"{stem}.{self._style}"

    def _why_kept(self, utterance: Utterance) -> int:
        """Why the file of a recording is not written: it `EXISTS`, or it is what was `SAID`; 0 where it is."""
        key = self._key(utterance)
        if (known := self._numbers.get(key)) is None:
            number = self._number(utterance)
            self._numbers[key] = known = 3 * number + self._look(utterance, self._name(utterance, number))
        return known % 3

    def _look(self, utterance: Utterance, name: str) -> int:
        path = self._folder / name
        exists = path.exists()
        if self._style == TEXTS and exists and self._beside.spoken_in(self._folder, path.stem):
            return SAID
        if self._style == TEXTS and not exists and self._is_home(utterance) and self._has_text(utterance.audio):
            return SAID
        return EXISTS if exists and not self._force else 0

    def _has_text(self, audio: Path) -> bool:
        """Whether there is a text of this recording by a name that looks the same."""
        try:
            return self._beside.of(audio).exists()
        except TextError:  # several
            return True

    def _is_home(self, utterance: Utterance) -> bool:
        """Whether the folder of the files is that of the recording."""
        parent = utterance.audio.parent
        if parent != self._last[0]:
            try:
                self._last = parent, parent.samefile(self._folder)
            except OSError:
                self._last = parent, False
        return self._last[1]

    def _number(self, utterance: Utterance) -> int:
        """The first number, 1 for none, with which the name is free; from now on it is taken."""
        plain = self._name(utterance, 1).casefold()
        number = self._next.get(plain) or 1
        while (name := self._name(utterance, number).casefold()) in self._next:
            number += 1
        self._next[name] = 2
        self._next[plain] = number + 1
        return number


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
