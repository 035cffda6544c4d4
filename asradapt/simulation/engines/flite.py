"""flite (Carnegie Mellon University, BSD-like licence, voices included): 80-370 s of speech a CPU second."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar

from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program
from asradapt.simulation.engines.spelling import radio, respelt


@register
class Flite(Engine):
    """A WAV through a pipe for each line; slt, rms and awb are statistical voices, kal16 is diphones.

    The voice awb is kept out of simulated training speech: demonstrations and tests can use it as one
    that no model has heard.
    """

    name: ClassVar[str] = "flite"
    program: ClassVar[str] = "flite"
    packages: ClassVar[str] = "flite"
    weight: ClassVar[float] = 3.0
    takes_phones: ClassVar[bool] = True
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("slt", 173, (110, 260), "f"),
        Voice("rms", 102, None, "m"),
        Voice("kal16", 89, (70, 220), "m"),
        Voice("awb", 130, (85, 220), "m", by_default=False),
    )

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        options = ["--setf", f"duration_stretch={line.stretch:.4f}"]
        if line.f0 is not None:
            options += ["--setf", f"int_f0_target_mean={line.f0:.2f}"]
        command = ["flite", "-voice", line.voice.name, *options]
        if not line.phones:
            return decode_wav(run_program([*command, "-t", line.text, "-o", "/dev/stdout"]))
        text, phones = respelt(line)
        with tempfile.TemporaryDirectory() as folder:
            lexicon = Path(folder) / "words"
            entries = [f"{word} : {radio(sounds)}\n" for word, sounds in phones.items()]
            lexicon.write_text("".join(entries), encoding="utf-8")
            command += ["-add_lex", str(lexicon)]
            return decode_wav(run_program([*command, "-t", text, "-o", "/dev/stdout"]))
