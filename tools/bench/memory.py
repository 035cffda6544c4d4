"""Peak memory of transcribing one hour-long file and 10,000 short ones, and start-up times, as whole processes.

    python tools/bench/memory.py [--files 10000] [--rows 1000 1000000] [--json OUT]

The hour is the demo recordings one after the other with pauses; the short files are links to clips of one second.
With `--rows` only manifests of so many rows are measured: a thousand of them name clips of a second, the others
files that do not exist, so that a million rows go all the way in minutes.
Each measurement is a process of its own, read from the operating system's account of it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from measuring import Table, write

from asradapt.audio import load_audio
from asradapt.cli.demo import demo_folder
from asradapt.manifests import read_manifest

CHILD = """
import resource, sys, time
began = time.perf_counter()
from asradapt.cli import run
code = run(sys.argv[2:])
if code != int(sys.argv[1]):
    sys.exit(f"exit code {code}")
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(f"{peak} {time.perf_counter() - began}", file=sys.stderr)
"""


def run(*arguments: str, code: int = 0) -> tuple[float, float]:
    """Peak bytes and seconds of an `asradapt` command in a process of its own, which must end with `code`."""
    command = [sys.executable, "-c", CHILD, str(code), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    peak, seconds = done.stderr.strip().splitlines()[-1].split()
    return float(peak), float(seconds)


def wall(*arguments: str, rounds: int = 5) -> float:
    """Median seconds of a whole process, from start to end."""
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "asradapt", *arguments], capture_output=True, check=True)
        times.append(time.perf_counter() - began)
    return statistics.median(times[1:])


def clips() -> list[np.ndarray]:
    """The demo recordings."""
    found = read_manifest(demo_folder() / "manifest.jsonl").utterances
    return [load_audio(utterance.audio, 16000).samples for utterance in found]


def write_hour(path: Path, waves: Sequence[np.ndarray], hours: float) -> None:
    """The recordings over and over, with pauses of quiet noise, until the time is full."""
    random, written, goal = np.random.default_rng(0), 0, int(hours * 3600 * 16000)
    with soundfile.SoundFile(path, "w", 16000, 1, "PCM_16") as out:
        while written < goal:
            for wave in waves:
                pause = random.standard_normal(random.integers(4000, 24000)) * 1e-3
                for part in (wave, pause):
                    out.write(part[: goal - written])
                    written += len(part[: goal - written])


def write_many(folder: Path, waves: Sequence[np.ndarray], count: int) -> Path:
    """A manifest of `count` links to clips of a second."""
    sources = []
    for number, wave in enumerate(waves):
        sources.append(folder / f"clip{number}.wav")
        soundfile.write(sources[-1], wave[:16000], 16000)
    rows = []
    for number in range(count):
        link = folder / f"{number:06}.wav"
        os.link(sources[number % len(sources)], link)
        rows.append(json.dumps({"audio_filepath": link.name}))
    (folder / "manifest.jsonl").write_text("\n".join(rows) + "\n")
    return folder / "manifest.jsonl"


def write_rows(folder: Path, waves: Sequence[np.ndarray], count: int, existing: int = 1000) -> Path:
    """A manifest of `count` rows, `existing` of which name clips of a second, the others nothing that exists."""
    for number, wave in enumerate(waves):
        soundfile.write(folder / f"clip{number}.wav", wave[:16000], 16000)
    every = max(1, count // existing)
    with (folder / f"{count}.jsonl").open("w", encoding="utf-8") as out:
        for number in range(count):
            exists = number % every == 0
            name = f"clip{number // every % len(waves)}.wav" if exists else f"missing/{number:07}.wav"
            # another text in every row, or rows of the same clip would be one
            out.write(json.dumps({"audio_filepath": name, "text": f"row {number}", "speaker": None}) + "\n")
    return folder / f"{count}.jsonl"


def manifests(waves: Sequence[np.ndarray], counts: Sequence[int], decoding: Sequence[str]) -> Table:
    """Peak memory by the length of the manifest, printed and written to a folder."""
    table = Table("Manifests of which 1,000 rows can be read", ["rows", "output", "peak MB", "seconds"])
    with tempfile.TemporaryDirectory() as name:
        for count in counts:
            manifest = write_rows(Path(name), waves, count)
            code = int(count > 1000)
            for title, output in (("stdout", []), ("a file a recording", ["--output-dir", f"{name}/out{count}"])):
                peak, seconds = run("transcribe", "--manifest", str(manifest), *decoding, *output, code=code)
                table.rows.append([f"{count:,}", title, peak / 1e6, seconds])
                print(*table.rows[-1], file=sys.stderr, flush=True)
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--rows", type=int, nargs="*", help="lengths of manifests, measured instead")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--decoding", nargs="*", default=["--beam", "0", "--no-lm"], help="options of transcribe")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    waves = clips()
    if args.rows:
        write([manifests(waves, args.rows, args.decoding)], args.json)
        return
    table = Table("Whole processes", ["", "peak MB", "MB above one short file", "seconds", "audio s per s"])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "short.wav", waves[0], 16000)
        write_hour(folder / "hour.wav", waves, args.hours)
        (folder / "many").mkdir()
        manifest = write_many(folder / "many", waves, args.files)
        short = ["transcribe", str(folder / "short.wav"), *args.decoding]
        base, seconds = run(*short)
        table.rows.append(["one short file", base / 1e6, 0.0, seconds, len(waves[0]) / 16000 / seconds])
        for title, where, audio in (
            (f"one file of {args.hours:g} h", [str(folder / "hour.wav")], args.hours * 3600),
            (f"{args.files} files of 1 s", ["--manifest", str(manifest)], float(args.files)),
        ):
            peak, seconds = run("transcribe", *where, *args.decoding)
            table.rows.append([title, peak / 1e6, (peak - base) / 1e6, seconds, audio / seconds])
        start = Table("Start-up, seconds of a whole process", ["", "seconds"])
        start.rows.append(["asradapt --help", wall("--help")])
        start.rows.append(["first transcript, greedy", wall(*short)])
        start.rows.append(["first transcript, language model", wall("transcribe", str(folder / "short.wav"))])
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    table.notes.append(f"This measuring process itself peaked at {own:.0f} MB, which is not in the figures.")
    write([table, start], args.json)


if __name__ == "__main__":
    main()
