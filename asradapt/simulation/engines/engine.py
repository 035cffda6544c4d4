"""What every synthesiser is to the simulator: a list of voices, and a function from lines to samples.

Shapes: T samples.
"""

from __future__ import annotations

import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from asradapt.audio import Samples
from asradapt.errors import SimulationError, SpeechError, UnknownName, UsageError

TIMEOUT_S = 60
"""Seconds after which a synthesiser counts as hanging; a sentence takes milliseconds."""

Spoken = tuple[Samples, int]
"""Samples (T,) in [-1, 1] and their sample rate in Hz."""


@dataclass(frozen=True)
class Voice:
    """One voice of an engine.

    Attributes:
        name: What the engine calls it.
        f0: Its own mean pitch in Hz.
        f0_range: The mean pitches in Hz that it can be asked for; None where it keeps its own.
        sex: `f` or `m`, as it sounds.
        by_default: Whether pseudo-speakers are drawn from it; others must be named.
    """

    name: str
    f0: float
    f0_range: tuple[float, float] | None
    sex: str
    by_default: bool = True


@dataclass(frozen=True)
class Line:
    """One thing to say.

    Attributes:
        text: Words.
        voice: Who says it.
        stretch: Duration factor, 1.2 is slower.
        f0: Mean pitch in Hz, inside the voice's range; None leaves the voice's own.
        phones: How to pronounce words, ARPAbet with stress digits; other words are left to the engine.
    """

    text: str
    voice: Voice
    stretch: float = 1.0
    f0: float | None = None
    phones: Mapping[str, tuple[str, ...]] | None = None


class Engine(ABC):
    """A synthesiser; derive, set the class attributes, and decorate with `@register`.

    Attributes:
        name: Its name here.
        program: The executable that it needs.
        packages: The Debian packages to install.
        weight: Its share among pseudo-speakers where nothing is said, relative to the others.
        takes_phones: Whether `Line.phones` has an effect.
        voices: All voices that may be used; some may not be installed.
    """

    name: ClassVar[str]
    program: ClassVar[str]
    packages: ClassVar[str]
    weight: ClassVar[float]
    takes_phones: ClassVar[bool]
    voices: ClassVar[tuple[Voice, ...]]

    def installed(self) -> bool:
        """Whether the program is found."""
        return shutil.which(self.program) is not None

    def installed_voices(self) -> tuple[Voice, ...]:
        """The voices that can speak now."""
        return tuple(voice for voice in self.voices if self.installed() and self.has_voice(voice))

    def has_voice(self, voice: Voice) -> bool:
        """Whether the files of a voice are there; overridden where voices are packages of their own."""
        return voice in self.voices

    def find_voice(self, name: str) -> Voice:
        """The voice of a name.

        Raises:
            UnknownName: Listing the known ones.
        """
        for voice in self.voices:
            if voice.name == name:
                return voice
        raise UnknownName(f"{self.name} voice", name, [voice.name for voice in self.voices])

    @abstractmethod
    def speak(self, line: Line) -> Spoken:
        """Say one line.

        Raises:
            SpeechError: The program failed or said nothing.
        """

    def speak_all(self, lines: Sequence[Line]) -> list[Spoken | SpeechError]:
        """Say many lines; what cannot be said is an error in its place."""
        return [self._try(line) for line in lines]

    def _try(self, line: Line) -> Spoken | SpeechError:
        try:
            return self.speak(line)
        except SpeechError as error:
            return error


ENGINES: dict[str, Engine] = {}


def register(engine: type[Engine]) -> type[Engine]:
    """Class decorator that makes an engine known by its name."""
    ENGINES[engine.name] = engine()
    return engine


def find_engine(name: str) -> Engine:
    """The engine of a name.

    Raises:
        UnknownName: Listing the known ones.
    """
    if name not in ENGINES:
        raise UnknownName("synthesiser", name, ENGINES)
    return ENGINES[name]


def find_voice(name: str) -> tuple[Engine, Voice]:
    """The engine and voice of `ENGINE:VOICE`.

    Raises:
        UsageError: Without a colon.
        UnknownName: Listing the known engines or voices.
    """
    engine, colon, voice = name.partition(":")
    if not colon:
        raise UsageError(f"a voice is ENGINE:VOICE (for example flite:slt), not {name!r}")
    found = find_engine(engine)
    return found, found.find_voice(voice)


def require_engines(names: Sequence[str]) -> None:
    """Check that engines can speak.

    Raises:
        SimulationError: Naming the Debian packages to install.
    """
    missing = [ENGINES[name] for name in names if not ENGINES[name].installed_voices()]
    if missing:
        packages = " ".join(engine.packages for engine in missing)
        shown = ", ".join(engine.name for engine in missing)
        raise SimulationError(f"not installed: {shown}. On Debian: apt-get install {packages}")


def run_program(command: Sequence[str], *, text: str | None = None) -> bytes:
    """Run a synthesiser and return what it wrote to stdout.

    Raises:
        SpeechError: It is missing, failed, or took too long.
    """
    given = None if text is None else text.encode()
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program, no shell
            list(command),
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SpeechError(f"{command[0]} could not speak: {error}") from error
    if done.returncode != 0:
        message = done.stderr.decode(errors="replace").strip()
        raise SpeechError(f"{command[0]} could not speak (exit code {done.returncode}): {message}")
    return done.stdout


def decode_wav(wav: bytes) -> Spoken:
    """Read a 16-bit mono WAV whose sizes may be wrong, as in a pipe: all that follows `data` is samples.

    Raises:
        SpeechError: It is no such WAV, or empty.
    """
    start = wav.find(b"data", 12) + 8
    if not wav.startswith(b"RIFF") or start < 8 + 12 or len(wav) < start + 2:
        raise SpeechError("the synthesiser said nothing")
    rate = int.from_bytes(wav[24:28], "little")
    end = len(wav) - (len(wav) - start) % 2
    return np.frombuffer(wav[start:end], dtype="<i2").astype(np.float32) / 32768.0, rate
