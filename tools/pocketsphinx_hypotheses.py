"""Transcribe a manifest with pocketsphinx and its own model, for `asradapt evaluate --systems source,FILE`.

    python tools/pocketsphinx_hypotheses.py MANIFEST OUT.jsonl [--where part=test] [--most 200] [--words zero,one]

Runs in an environment of its own: `pip install pocketsphinx soundfile soxr numpy`. Each line of OUT.jsonl is
`{"audio_filepath": ..., "text": ...}`; lines are written as they come, and a second run leaves out what is
there, however it was heard: give other options another OUT.jsonl.
With --words a recording is one of these words, in the place of the language model.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

RATE = 16_000


def rows(manifest: Path, where: list[str]) -> list[dict[str, Any]]:
    """The rows of a manifest of JSON lines that pass every filter KEY=VALUE."""
    wanted = [item.split("=", 1) for item in where]
    found = [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [row for row in found if all(str(row.get(key)) == value for key, value in wanted)]


def transcribe(decoder: Any, audio: Path) -> str:
    """The text of one file; empty where nothing was heard."""
    samples, rate = soundfile.read(audio, dtype="float32", always_2d=True)
    mono = soxr.resample(samples.mean(axis=1), rate, RATE)
    decoder.start_utt()
    decoder.process_raw((np.clip(mono, -1, 1) * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return found.hypstr if found else ""


def main() -> None:
    """Write one line for every row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--where", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--words", default="", help="a grammar of one of these words, separated by commas")
    parser.add_argument("--most", type=int, default=0, help="only so many rows, evenly spread; 0 for all")
    args = parser.parse_args()
    wanted = rows(args.manifest, args.where)
    if args.most and len(wanted) > args.most:
        wanted = [wanted[i * len(wanted) // args.most] for i in range(args.most)]
    lines = args.out.read_text(encoding="utf-8").splitlines() if args.out.exists() else []
    done = {json.loads(line)["audio_filepath"] for line in lines}
    from pocketsphinx import Decoder  # of an environment of its own; --help does without

    decoder = Decoder(samprate=RATE, loglevel="FATAL")
    if args.words:
        choice = " | ".join(args.words.split(","))
        decoder.add_jsgf_string("words", f"#JSGF V1.0; grammar words; public <word> = {choice};")
        decoder.activate_search("words")
    with args.out.open("a", encoding="utf-8") as out:
        for row in (row for row in wanted if row["audio_filepath"] not in done):
            text = transcribe(decoder, args.manifest.parent / row["audio_filepath"])
            out.write(json.dumps({"audio_filepath": row["audio_filepath"], "text": text}) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
