"""Where the file of every transcript is, and which of those that exist stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from asradapt.cli.transcribe_inputs import Inputs
from asradapt.errors import InputError, TextError
from asradapt.fingerprints import Fingerprints
from asradapt.types import Utterance

STDIN = "-"
TEXTS = "txt"  # the format of what lies beside recordings
EXISTS, SAID = 1, 2  # why a file is not written
WHY = {
    EXISTS: "exists and is kept; --force replaces it",
    SAID: "is not written: beside a recording of that name stands what was said",
}


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
        self._last: tuple[Path | None, bool] = None, False  # a folder of recordings, and whether it is this one
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
            warn(f"{self.path(utterance)} {WHY[why]}")
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
        if self._style == TEXTS and (self._is_said(path) if exists else self._has_text(utterance)):
            return SAID
        return EXISTS if exists and not self._force else 0

    def _is_said(self, path: Path) -> bool:
        """Whether a file that exists is the text of a recording beside it, whichever that is."""
        return self._beside.spoken_in(self._folder, path.stem)

    def _has_text(self, utterance: Utterance) -> bool:
        """Whether there is a text of this recording here by a name that looks the same."""
        if not self._is_home(utterance):
            return False
        try:
            return self._beside.of(self._audio(utterance)).exists()
        except TextError:  # several
            return True

    def _is_home(self, utterance: Utterance) -> bool:
        """Whether the folder of the files is that of the recording."""
        parent = self._audio(utterance).parent
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
