"""SVOX pico (Apache-2.0): two female voices, about 200 s of speech a CPU second."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar
from xml.sax.saxutils import escape

from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program
from asradapt.simulation.engines.spelling import marked, table, translated
from asradapt.simulation.phones import Phones

# What is not exactly one of its signs is silently left out; R has two backslashes.
_PHONES = table(
    "AA=A: AE={ AH=V AH0=@ AO=O: AW=a_U AY=a_I EH=E ER=3: EY=e_I IH=I IY=i: OW=o_U OY=O_I UH=U UW=u: "
    "B=b CH=t_S D=d DH=D F=f G=g HH=h JH=d_Z K=k L=l M=m N=n NG=N P=p R=r\\\\ S=s SH=S T=t TH=T V=v W=w Y=j "
    "Z=z ZH=Z"
)


@register
class Pico(Engine):
    """A file for each line; its name must end in `.wav`."""

    name: ClassVar[str] = "pico"
    program: ClassVar[str] = "pico2wave"
    packages: ClassVar[str] = "libttspico-utils"
    weight: ClassVar[float] = 1.5
    takes_phones: ClassVar[bool] = True
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("en-US", 165, (100, 265), "f"),
        Voice("en-GB", 176, (106, 280), "f"),
    )

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        pitch = 100 if line.f0 is None else round(100 * line.f0 / line.voice.f0)
        text = marked(line, _x_sampa, escape)
        speed = round(100 / line.stretch)
        tagged = f'<speed level="{speed}"><pitch level="{pitch}">{text}</pitch></speed>'
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "line.wav"
            run_program(["pico2wave", "-l", line.voice.name, "-w", str(path), tagged])
            return decode_wav(path.read_bytes() if path.exists() else b"")


def _x_sampa(phones: Phones) -> str:
    return f"<phoneme ph='{translated(phones, _PHONES, {'1': chr(34), '2': '%'})}'/>"
