"""RHVoice (GPL, LGPL): statistical voices, 30-50 s of speech a CPU second.

Only the voices that allow commercial use are known here (alan and those of CMU ARCTIC: LGPL-2.1 or later, by
Debian's copyright file); its package also holds two that do not.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program

_VOICE_FOLDERS = (Path("/usr/share/RHVoice/voices"), Path("/usr/local/share/RHVoice/voices"))


@register
class RHVoice(Engine):
    """A file for each line; the text goes in through stdin."""

    name: ClassVar[str] = "rhvoice"
    program: ClassVar[str] = "RHVoice-test"
    packages: ClassVar[str] = "rhvoice rhvoice-english"
    weight: ClassVar[float] = 3.0
    takes_phones: ClassVar[bool] = False
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("alan", 133, (95, 210), "m"),
        Voice("bdl", 120, (85, 190), "m"),
        Voice("clb", 181, (130, 285), "f"),
        Voice("slt", 177, (125, 275), "f"),
    )

    def has_voice(self, voice: Voice) -> bool:
        """Whether the folder of the voice is there."""
        return any((folder / voice.name).is_dir() for folder in _VOICE_FOLDERS)

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        pitch = 100 if line.f0 is None else round(100 * line.f0 / line.voice.f0)
        options = ["-p", line.voice.name, "-r", str(round(100 / line.stretch)), "-t", str(pitch)]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "line.wav"
            run_program(["RHVoice-test", *options, "-o", str(path)], text=line.text + "\n")
            return decode_wav(path.read_bytes() if path.exists() else b"")
