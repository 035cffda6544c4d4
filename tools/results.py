"""Measure enrolment on real speech with the project's own commands and print the tables of docs/results.md.

    python tools/results.py SPEECH [--work DIR] [--corpus NAME] [--method auto]

SPEECH holds speechocean762, philipp_lj and fsdd, each with manifest.jsonl and the parts `enroll` and `test`.
Every number comes from `asradapt enroll --every-speaker` and `asradapt evaluate`, run as processes; their JSON is
kept in the work folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

CORPORA = ("speechocean762", "philipp_lj", "fsdd")


def command(arguments: list[str], out: Path) -> tuple[dict[str, Any], float]:
    """Run an asradapt command with --json; its output is kept in `out`."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "asradapt", *arguments, "--json"], stdout=subprocess.PIPE, check=False
    )
    out.write_bytes(done.stdout)
    if done.returncode not in (0, 1):
        raise SystemExit(f"asradapt {' '.join(arguments)} failed with exit code {done.returncode}")
    content: dict[str, Any] = json.loads(done.stdout)
    if "error" in content:
        raise SystemExit(content["error"])
    return content, time.perf_counter() - began


def measure(corpus: str, speech: Path, work: Path, method: str) -> dict[str, Any]:
    """Enrol everybody on `enroll`, measure on `test`."""
    manifest, store = str(speech / corpus / "manifest.jsonl"), str(work / f"store-{corpus}-{method}")
    name = f"{corpus}-{method}"
    data = ["--manifest", manifest, "--store", store]
    enrolled, seconds = command(
        ["enroll", "--every-speaker", *data, "--where", "part=enroll", "--method", method],
        work / f"{name}-enroll.json",
    )
    evaluated, _ = command(["evaluate", *data, "--where", "part=test"], work / f"{name}-evaluate.json")
    return {"corpus": corpus, "method": method, "enroll": enrolled, "evaluate": evaluated, "seconds": seconds}


def row(result: dict[str, Any]) -> str:
    """One line of the table."""
    pooled, speakers = result["evaluate"]["pooled"], result["evaluate"]["speakers"]
    before, after, d = pooled["before"], pooled["after"], pooled["difference"]
    relative = (before["wer"] - after["wer"]) / before["wer"] if before["wer"] else 0.0
    adapted = sum(s["decision"] == "adapted" for s in result["enroll"]["speakers"])
    changed = result["evaluate"]["changed"]
    count = len(result["enroll"]["speakers"])
    cells = [
        result["corpus"],
        result["method"],
        f"{adapted}/{len(speakers)}",
        f"{before['wer']:.1%} → {after['wer']:.1%}",
        f"{d['low']:+.1%} to {d['high']:+.1%}",
        f"{relative:.1%}",
        f"{before['cer']:.1%} → {after['cer']:.1%}",
        f"{changed['better']}/{changed['equal']}/{changed['worse']}",
        f"{result['seconds'] / count:.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


HEAD = (
    "| corpus (`test` part) | method | adapted | WER before → after | 95% interval of the difference | relative | "
    "CER before → after | speakers better/equal/worse | seconds a speaker |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    """Measure the corpora and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, default=Path(".scratch/results"))
    parser.add_argument("--corpus", action="append", choices=CORPORA)
    parser.add_argument("--method", action="append")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    print(HEAD)
    for corpus in args.corpus or CORPORA:
        for method in args.method or ["auto"]:
            print(row(measure(corpus, args.speech, args.work, method)), flush=True)


if __name__ == "__main__":
    main()
