"""Word error rate after every round of correcting: transcribe, correct with the true text, enrol further.

    python tools/correction_rounds.py --manifest SPEECH/philipp_lj/manifest.jsonl --rounds 5 --size 20

The first round enrols from recordings with their texts; each later one transcribes the next recordings with the
adaptation in use, puts the true texts into the transcript and gives it to `asradapt correct --confirmed`. After
every round the part that nothing was learned from is scored. Everything runs through the commands, greedily.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asradapt.cli import run
from asradapt.manifests import parse_where, read_manifest
from asradapt.types import Utterance


def command(*arguments: object, worst: int = 0) -> str:
    """What a command prints; its failure, a code above `worst`, ends the program."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = run([str(argument) for argument in arguments])
    if code > worst:
        raise SystemExit(f"asradapt {arguments[0]} ended with {code}")
    return printed.getvalue()


def write_manifest(path: Path, utterances: Sequence[Utterance]) -> Path:
    """The rows of a round."""
    rows = [
        {"audio_filepath": str(one.audio.resolve()), "text": one.text, "speaker": one.speaker}
        for one in utterances
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def corrected(lines: str, utterances: Sequence[Utterance]) -> tuple[str, int]:
    """Transcripts with the true texts in place of what was heard, and how many that changed."""
    texts = {str(one.audio.resolve()): one.text for one in utterances}
    entries = [json.loads(line) for line in lines.splitlines()]
    changed = sum(entry["text"] != texts[entry["audio"]] for entry in entries)
    return "".join(json.dumps(entry | {"text": texts[entry["audio"]]}) + "\n" for entry in entries), changed


def one_round(number: int, part: Sequence[Utterance], folder: Path, extra: Sequence[str]) -> dict[str, Any]:
    """Enrol (the first round) or transcribe, correct and enrol further; the entry of `--json`."""
    manifest = write_manifest(folder / f"{number}.jsonl", part)
    speaker, store = part[0].speaker, ("--store", folder / "store")
    if number == 1:
        done = command("enroll", speaker, "--manifest", manifest, *store, *extra, "--json")
        entry: dict[str, Any] = json.loads(done)["speakers"][0] | {"corrected": len(part)}
        return entry
    heard = command("transcribe", "--manifest", manifest, "--format", "jsonl", "--no-lm", *store)
    edited, changed = corrected(heard, part)
    (folder / f"{number}-edited.jsonl").write_text(edited, encoding="utf-8")
    done = command("correct", speaker, folder / f"{number}-edited.jsonl", "--confirmed", *store, "--json")
    entry = json.loads(done)["enrolled"]
    return entry | {"corrected": changed}


def simulate(
    rounds: Sequence[Sequence[Utterance]], manifest: Path, test: Sequence[str], extra: Sequence[str]
) -> None:
    """All rounds in a new store; prints a line of a table for each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        where = [part for condition in test for part in ("--where", condition)]
        for number, part in enumerate(rounds, start=1):
            began = time.monotonic()
            entry = one_round(number, part, folder, extra)
            wall = time.monotonic() - began
            scored = command("evaluate", "--manifest", manifest, *where, "--store", folder / "store", "--json")
            pooled = json.loads(scored)["pooled"]
            if number == 1:
                print(f"| source | | | {pooled['before']['wer']:.1%} | {pooled['before']['cer']:.1%} | | |")
            after, outcome = pooled["after"], f"version {entry['stays']} stays" if entry["stays"] else "accepted"
            print(
                f"| {number} | {entry['corrected']} of {len(part)} | {entry['method']} | {after['wer']:.1%} | "
                f"{after['cer']:.1%} | {outcome} | {wall:.0f} s |",
                flush=True,
            )


def main() -> None:
    """Run the rounds with and without kept audio and print a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[], help="rows to learn from  [default: part=enroll]")
    parser.add_argument("--test", action="append", default=[], help="rows to score  [default: part=test]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=20, help="recordings a round")
    options = parser.parse_args()
    where = parse_where(options.where or ["part=enroll"])
    utterances = read_manifest(options.manifest, where=where).utterances
    size = options.size
    rounds = [utterances[size * number : size * (number + 1)] for number in range(options.rounds)]
    for label, extra in (("without kept audio", ()), ("with --keep-audio", ("--keep-audio",))):
        head = "| round | corrected | method | WER | CER | outcome | wall |"
        print(f"\n{label}\n\n{head}\n|---|---|---|---:|---:|---|---:|", flush=True)
        simulate(rounds, options.manifest, options.test or ["part=test"], extra)


if __name__ == "__main__":
    main()
