"""The exception tree: everything asradapt raises on purpose.

    AsradaptError
    ├── UsageError                exit code 2: flags that contradict each other
    │   └── InvalidSpeakerName    a name that cannot be a folder
    └── InputError                exit code 1: what was given cannot be used
        ├── AudioError            missing, not audio, truncated, NaN, empty
        ├── ManifestError         unreadable, no rows, a missing column
        ├── TextError             empty, too long
        │   └── UnwritableText    characters the model cannot write
        ├── UnknownName           no such speaker, model, level, prompt
        │   └── UnknownMethod     no such adaptation method; exit code 2, it is a flag
        ├── SimulationError       no synthesiser, no usable sentence
        │   └── SpeechError       a synthesiser failed or said nothing
        └── StoreError            the speaker store
            ├── DamagedSpeaker    a file of the speaker is broken
            └── SourceMismatch    the adaptation belongs to another source model

Every message says what was got, what is allowed, and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable


def _again(kind: type[Exception], message: str, held: dict[str, object]) -> Exception:
    """An error as another process raised it, from its message: what that was made of is gone."""
    error = kind.__new__(kind, message)
    error.__dict__.update(held)
    return error


class AsradaptError(Exception):
    """Base of all errors raised on purpose; `exit_code` is what the command line returns."""

    exit_code = 1


class UsageError(AsradaptError):
    """Options that contradict each other or lie outside their range."""

    exit_code = 2


class InvalidSpeakerName(UsageError):
    """A speaker name that cannot safely be a folder name."""


class InputError(AsradaptError):
    """Something the user handed over cannot be used."""


class AudioError(InputError):
    """An audio file that is missing, unreadable, empty or not audio."""


class ManifestError(InputError):
    """A manifest that cannot be read or has no usable row."""


class TextError(InputError):
    """A text that is empty or holds characters the model cannot write."""


class UnwritableText(TextError):
    """A text with characters that the model cannot write.

    Args:
        characters: All of them.
        addable: Whether `--add-tokens` can teach letters to the model.
    """

    def __init__(self, characters: Iterable[str], *, addable: bool = True) -> None:
        self.characters, self.addable = "".join(sorted(characters)), addable
        digits = "; write numbers as words" if any(one.isdigit() for one in self.characters) else ""
        letters = "".join([one for one in self.characters if one.isalpha()][:12]) if addable else ""
        advice = f"; --add-tokens {letters!r} teaches it, for this speaker" if letters else ""
        super().__init__(f"the model cannot write: {' '.join(self.characters[:12])}{digits}{advice}")

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), self.__dict__)


class UnknownName(InputError):
    """A name that is not registered or not stored; the message lists the known ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        message = f"no {kind} named {name!r}; known: {shown or 'none yet'}"
        super().__init__(f"{message}. {hint}" if hint else message)

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), self.__dict__)


class UnknownMethod(UnknownName):
    """An adaptation method that is not registered: a wrong flag."""

    exit_code = 2


class SimulationError(InputError):
    """Speech that cannot be simulated: no synthesiser is installed, no sentence is left."""


class SpeechError(SimulationError):
    """A synthesiser that failed or said nothing."""


class StoreError(InputError):
    """The speaker store cannot do what was asked."""


class DamagedSpeaker(StoreError):
    """A stored speaker whose files are missing, truncated or inconsistent."""


class SourceMismatch(StoreError):
    """An adaptation that was made for another source model."""
