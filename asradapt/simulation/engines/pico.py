"""SVOX pico (Apache-2.0): two female voices, about 200 s of speech a CPU second."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program


@register
class Pico(Engine):
    """A file for each line; its name must end in `.wav`."""

    name: ClassVar[str] = "pico"
    program: ClassVar[str] = "pico2wave"
    packages: ClassVar[str] = "libttspico-utils"
    weight: ClassVar[float] = 1.5
    takes_phones: ClassVar[bool] = False
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("en-US", 165, (100, 265), "f"),
        Voice("en-GB", 176, (106, 280), "f"),
    )

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        pitch = 100 if line.f0 is None else round(100 * line.f0 / line.voice.f0)
        speed = round(100 / line.stretch)
        marked = f'<speed level="{speed}"><pitch level="{pitch}">{escape(line.text)}</pitch></speed>'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "line.wav"
            run_program(["pico2wave", "-l", line.voice.name, "-w", str(path), marked])
            return decode_wav(path.read_bytes() if path.exists() else b"")
