"""Make the demo recordings: one synthetic person, robin, reading sentences of this project.

    python tools/make_demo.py --voice espeak:en+whisper

The voice is free to choose, so that it can be one that the source model finds hard. What is said
stands in `demo_sentences.txt`. The same command makes the same sound.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import soundfile

from asradapt.audio import Samples
from asradapt.prompts import load_prompts
from asradapt.simulation.conversion import SAMPLE_RATE, at_level, resample
from asradapt.simulation.engines import Line, find_voice

ROOT = Path(__file__).resolve().parent.parent
SENTENCES = ROOT / "tools" / "demo_sentences.txt"
LEVEL = -23.0
PAUSE_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Run the tool."""
    options = _parse(arguments)
    parts = _read_sentences(options.sentences)
    _clear(options.out)
    rows = [_save(options, part, *said) for part in ("enroll", "test") for said in parts[part]]
    rows.append(_save_letter(options, [text for _, text in parts["letter"]]))
    lines = [json.dumps(row) + "\n" for row in rows]
    (options.out / "manifest.jsonl").write_text("".join(lines), encoding="utf-8")
    seconds = sum(float(row["duration"]) for row in rows)
    print(f"{len(rows)} recordings, {seconds:.0f} s, in {options.out}", file=sys.stderr)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--voice", default="espeak:en+whisper", help="ENGINE:VOICE")
    parser.add_argument("--stretch", type=float, default=1.0, help="duration factor, 1.2 is slower")
    parser.add_argument("--f0", type=float, help="mean pitch in Hz  [default: the voice's own]")
    parser.add_argument("--warp", type=float, default=1.0, help="factor on pitch and formants")
    parser.add_argument("--sentences", type=Path, default=SENTENCES)
    parser.add_argument("--out", type=Path, default=ROOT / "data" / "demo")
    return parser.parse_args(arguments)


def _read_sentences(path: Path) -> dict[str, list[tuple[str, str]]]:
    """Read (name, text) pairs by part; a line holds prompt ids or one sentence."""
    prompts = {prompt.id: prompt.text for prompt in load_prompts()}
    parts: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for line in path.read_text(encoding="utf-8").splitlines():
        part, _, rest = line.partition("|")
        if line.startswith("#") or not rest:
            continue
        names = re.findall(r"\bp\d+\b", rest)
        parts[part] += [(name, prompts[name]) for name in names] or [(part, rest)]
    return parts


def _clear(folder: Path) -> None:
    """Remove an earlier demo's recordings, so that none is left over."""
    for path in (*folder.glob("audio/*.opus"), folder / "letter.opus"):
        path.unlink(missing_ok=True)
    (folder / "audio").mkdir(parents=True, exist_ok=True)


def _say(options: argparse.Namespace, text: str) -> Samples:
    engine, voice = find_voice(options.voice)
    samples, rate = engine.speak(Line(text, voice, options.stretch * options.warp, options.f0))
    return at_level(resample(samples, rate, factor=options.warp), LEVEL)


def _save(options: argparse.Namespace, part: str, name: str, text: str) -> dict[str, str | float]:
    samples = _say(options, text)
    path = f"audio/{name}.opus"
    soundfile.write(options.out / path, samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return _row(path, samples, text, part)


def _save_letter(options: argparse.Namespace, sentences: list[str]) -> dict[str, str | float]:
    """One long recording, with pauses between the sentences."""
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), dtype=np.float32)
    pieces = [piece for text in sentences for piece in (_say(options, text), pause)]
    samples = np.concatenate(pieces)
    soundfile.write(options.out / "letter.opus", samples, SAMPLE_RATE, format="OGG", subtype="OPUS")
    return _row("letter.opus", samples, " ".join(sentences), "letter")


def _row(path: str, samples: Samples, text: str, part: str) -> dict[str, str | float]:
    spoken = " ".join(re.sub(r"[^a-z' ]", " ", text.lower()).split())
    duration = round(len(samples) / SAMPLE_RATE, 3)
    return {"audio_filepath": path, "duration": duration, "text": spoken, "speaker": "robin", "part": part}


if __name__ == "__main__":
    raise SystemExit(main())
