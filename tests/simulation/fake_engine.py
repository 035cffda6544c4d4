"""A synthesiser that needs no program: letters are tones, phones other tones."""

from __future__ import annotations

import time
from typing import ClassVar

import numpy as np

from asradapt.errors import SpeechError
from asradapt.simulation.engines import ENGINES, Engine, Line, Spoken, Voice

RATE = 16_000
SECONDS_A_LETTER = 0.07


class Fake(Engine):
    """Says each letter of a word for 70 ms, or each phone where it is told them; `mute` it cannot say."""

    name: ClassVar[str] = "fake"
    program: ClassVar[str] = "no-such-program"
    packages: ClassVar[str] = "fake-package"
    weight: ClassVar[float] = 1.0
    takes_phones: ClassVar[bool] = True
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("low", 110, (80, 200), "m"),
        Voice("high", 210, None, "f"),
        Voice("spare", 150, None, "f", by_default=False),
    )

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause

    def installed(self) -> bool:
        return True

    def speak(self, line: Line) -> Spoken:
        time.sleep(self.pause)
        if "mute" in line.text.split():
            raise SpeechError("fake cannot say mute")
        told = line.phones or {}
        sounds = [sound for word in line.text.split() for sound in (*told.get(word, tuple(word)), " ")]
        size = round(SECONDS_A_LETTER * line.stretch * RATE)
        pieces = [_tone(sound, line.f0 or line.voice.f0, size) for sound in sounds]
        return np.concatenate(pieces).astype(np.float32), RATE


def _tone(sound: str, f0: float, size: int) -> np.ndarray:
    if sound == " ":
        return np.zeros(size)
    seconds = np.arange(size) / RATE
    overtone = 3 + sum(sound.encode()) % 9
    return 0.1 * np.sin(2 * np.pi * f0 * seconds) + 0.05 * np.sin(2 * np.pi * f0 * overtone * seconds)


def use_only_fake(pause: float = 0.0) -> None:
    """Take away all other engines from this process."""
    ENGINES.clear()
    ENGINES["fake"] = Fake(pause)
