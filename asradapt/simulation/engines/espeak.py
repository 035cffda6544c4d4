"""espeak-ng (GPL, which does not extend to what it speaks): formant synthesis, far from a human voice."""

from __future__ import annotations

import math
from typing import ClassVar

from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program
from asradapt.simulation.engines.spelling import marked, table, translated
from asradapt.simulation.phones import Phones

_WORDS_PER_MINUTE = 160
_LOG_F0_A_STEP = 0.0095  # of the pitch option, 0-99, where 50 is the voice's own
_ACCENTS = ("en-us", "en-029", "en-gb-scotland", "en-gb-x-rp")
# `en-gb+f3` ignores its variant; `en+f3` is the same accent and works.
_VARIANTS = {
    **{f"f{number}": f0 for number, f0 in zip(range(1, 6), (180, 195, 210, 180, 205), strict=True)},
    **{f"m{number}": f0 for number, f0 in zip(range(1, 8), (94, 101, 107, 95, 103, 102, 107), strict=True)},
}


_PHONES = table(
    "AA=A: AE=a AH=V AH0=@ AO=O: AW=aU AY=aI EH=E ER=3: ER0=3 EY=eI IH=I IY=i: OW=oU OY=OI UH=U UW=u: "
    "B=b CH=tS D=d DH=D F=f G=g HH=h JH=dZ K=k L=l M=m N=n NG=N P=p R=r S=s SH=S T=t TH=T V=v W=w Y=j Z=z ZH=Z"
)


def _voice(accent: str, variant: str, f0: float) -> Voice:
    return Voice(f"{accent}+{variant}", f0, (0.75 * f0, 1.4 * f0), variant[0])


@register
class Espeak(Engine):
    """A WAV through a pipe for each line."""

    name: ClassVar[str] = "espeak"
    program: ClassVar[str] = "espeak-ng"
    packages: ClassVar[str] = "espeak-ng"
    weight: ClassVar[float] = 1.0
    takes_phones: ClassVar[bool] = True
    voices: ClassVar[tuple[Voice, ...]] = (
        *(_voice(accent, variant, f0) for accent in ("en", *_ACCENTS) for variant, f0 in _VARIANTS.items()),
        Voice("en-us", 103, (77, 145), "m", by_default=False),
        Voice("en+whisper", 103, None, "m", by_default=False),
    )

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        pitch = 50.0
        if line.f0 is not None:
            pitch += math.log(line.f0 / line.voice.f0) / _LOG_F0_A_STEP
        options = ["-s", str(round(_WORDS_PER_MINUTE / line.stretch)), "-p", str(round(min(max(pitch, 0), 99)))]
        command = ["espeak-ng", "-v", line.voice.name, *options, "--stdin", "--stdout"]
        return decode_wav(run_program(command, text=marked(line, _mnemonics)))


def _mnemonics(phones: Phones) -> str:
    return f"[[{translated(phones, _PHONES, {'1': chr(39), '2': ','}, '|')}]]"
