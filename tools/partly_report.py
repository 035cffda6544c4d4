"""What recordings without texts bring beside some with texts: `asradapt enroll --partly-transcribed`.

    python tools/partly_report.py --manifest SPEECH/philipp_lj/manifest.jsonl --texts 10 20 [--seed 0]

So many recordings of everybody, drawn by the seed, keep their texts. Everybody is enrolled from these alone, and
from these with all others, whose texts are hidden; the part that nothing was learned from is scored, greedily and
with lm_en. Everything runs through the commands.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from correction_rounds import command

from asradapt.manifests import parse_where, read_manifest, write_manifest
from asradapt.types import Utterance


def hidden(utterances: Sequence[Utterance], texts: int, seed: int) -> list[Utterance]:
    """The utterances, of which so many of each speaker keep their texts."""
    by_speaker: dict[str | None, list[Utterance]] = {}
    for utterance in utterances:
        by_speaker.setdefault(utterance.speaker, []).append(utterance)
    found = []
    for name, own in sorted(by_speaker.items(), key=str):
        kept = set(random.Random(f"{seed}/{name}").sample(range(len(own)), min(texts, len(own))))
        found += [one if number in kept else replace(one, text=None) for number, one in enumerate(own)]
    return found


def printed(*arguments: object) -> dict[str, Any]:
    """The JSON that a command prints; recordings that could not be used are no matter here."""
    content: dict[str, Any] = json.loads(command(*arguments, "--json", worst=1))
    return content


def scores(manifest: Path, test: Sequence[str], store: Path) -> str:
    """Word and character errors of the source and after enrolment, greedily and with the language model."""
    where = [part for condition in test for part in ("--where", condition)]
    cells = []
    for more in ((), ("--lm", "lm_en")):
        pooled = printed("evaluate", "--manifest", manifest, *where, "--store", store, *more)["pooled"]
        rates = [f"{pooled[when]['wer']:.1%}, {pooled[when]['cer']:.1%}" for when in ("before", "after")]
        cells += [" → ".join(rates)]
    return " | ".join(cells)


def report(label: str, rows: Sequence[Utterance], extra: Sequence[str], args: argparse.Namespace) -> None:
    """Enrol everybody from these rows in a store of their own, and print a line of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_manifest(folder / "rows.jsonl", rows)
        store, began = folder / "store", time.monotonic()
        whom = ("--every-speaker", "--manifest", folder / "rows.jsonl")
        people = printed("enroll", *whom, "--store", store, *extra)["speakers"]
        seconds = time.monotonic() - began
        adapted = sum(one["decision"] == "adapted" for one in people)
        used = sum(bool(one["partly"] and one["partly"]["used"]) for one in people)
        found = scores(args.manifest, args.test or ["part=test"], store)
        print(f"| {label} | {adapted}/{len(people)} | {used} | {found} | {seconds:.0f} s |", flush=True)


def main() -> None:
    """Print two lines for every number of texts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[], help="rows to learn from  [default: part=enroll]")
    parser.add_argument("--test", action="append", default=[], help="rows to score  [default: part=test]")
    parser.add_argument("--texts", type=int, nargs="+", required=True, help="recordings of each that keep theirs")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    utterances = read_manifest(args.manifest, where=parse_where(args.where or ["part=enroll"])).utterances
    print("| recordings of each | adapted | learned the others | greedy: WER, CER | with lm_en | wall |")
    print("|---|---|---|---|---|--:|", flush=True)
    for texts in args.texts:
        rows = hidden(utterances, texts, args.seed)
        report(f"{texts} with texts", [one for one in rows if one.text], (), args)
        report("and the others without", rows, ("--partly-transcribed",), args)


if __name__ == "__main__":
    main()
