"""Festival (University of Edinburgh, free licence): one process says many lines.

The voice rab is not used: its lexicon may not be used commercially.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from asradapt.errors import SpeechError
from asradapt.simulation.engines.engine import Engine, Line, Spoken, Voice, decode_wav, register, run_program
from asradapt.simulation.engines.spelling import radio, respelt

_VOICE_FOLDERS = (Path("/usr/share/festival/voices"), Path("/usr/local/share/festival/voices"))
_HTS = "cmu_us_slt_arctic_hts"
_PRELUDE = """\
(define (say text file)
 (let ((utterance (eval (list 'Utterance 'Text text))))
  (utt.synth utterance)
  (utt.save.wave utterance file 'riff)))
(define (forget-words)
 (lex.create "words")
 (lex.set.phoneset "radio")
 (lex.set.lts.method 'cmu_lts_function)
 (lex.set.pos.map english_pos_map_wp39_to_wp20)
 (lex.set.compile.file (path-append cmulexdir "cmudict-0.4.out")))
(define (pronounce word phones)
 (lex.add.entry (list word nil (cmulex_mosyl_phstress phones))))
"""


@register
class Festival(Engine):
    """A script of lines for one process, a file for each line."""

    name: ClassVar[str] = "festival"
    program: ClassVar[str] = "festival"
    packages: ClassVar[str] = "festival festvox-kallpc16k festvox-kdlpc16k festvox-us-slt-hts"
    weight: ClassVar[float] = 1.5
    takes_phones: ClassVar[bool] = True
    voices: ClassVar[tuple[Voice, ...]] = (
        Voice("kal_diphone", 105, (75, 220), "m"),
        Voice("ked_diphone", 105, (75, 220), "m"),
        Voice(_HTS, 172, None, "f"),
    )

    def has_voice(self, voice: Voice) -> bool:
        """Whether the folder of the voice is there."""
        return any(True for folder in _VOICE_FOLDERS for _ in folder.glob(f"*/{voice.name}"))

    def speak(self, line: Line) -> Spoken:
        """Say one line."""
        (spoken,) = self._run([line])
        if isinstance(spoken, SpeechError):
            raise spoken
        return spoken

    def speak_all(self, lines: Sequence[Line]) -> list[Spoken | SpeechError]:
        """Say many lines; if one of them ends the process, the rest is tried line by line."""
        try:
            return self._run(lines)
        except SpeechError:
            return super().speak_all(lines)

    def _run(self, lines: Sequence[Line]) -> list[Spoken | SpeechError]:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.wav" for number in range(len(lines))]
            script = Path(folder) / "lines.scm"
            commands = [_commands(line, path) for line, path in zip(lines, paths, strict=True)]
            script.write_text(_PRELUDE + "\n".join(commands), encoding="utf-8")
            run_program(["festival", "-b", str(script)])
            return [_read(path) for path in paths]


def _commands(line: Line, path: Path) -> str:
    # Choosing a voice anew takes no time and puts all its parameters back.
    commands = [f"(voice_{line.voice.name})", f"(Parameter.set 'Duration_Stretch {line.stretch:.4f})"]
    if line.voice.name == _HTS:
        speed = f'(("-r" {1 / line.stretch:.4f}))'
        commands.append(f"(set! hts_engine_params (append hts_engine_params '{speed}))")
    elif line.f0 is not None:
        mean = f"(target_f0_mean {line.f0:.2f}) (target_f0_std {line.f0 / 8:.2f})"
        commands.append(f"(set! int_lr_params '({mean} (model_f0_mean 170) (model_f0_std 34)))")
    text, phones = respelt(line)
    if phones:  # a lexicon of this line alone: the next line's voice takes its own again
        commands.append("(forget-words)")
        commands += [f'(pronounce "{_quoted(word)}" \'({radio(sounds)}))' for word, sounds in phones.items()]
    commands.append(f'(say "{_quoted(text)}" "{path}")')
    return "\n".join(commands)


def _quoted(text: str) -> str:
    return text.replace("\\", " ").replace('"', " ")


def _read(path: Path) -> Spoken | SpeechError:
    try:
        return decode_wav(path.read_bytes() if path.exists() else b"")
    except SpeechError as error:
        return error
