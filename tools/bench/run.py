"""All benchmarks in one command: the tables as Markdown, and JSON beside them.

    python tools/bench/run.py --out docs/benchmarks/cpu [--device cpu] [--quick]

Each benchmark is a process of its own; one that fails or takes too long is named at the end, and the others are
still run. The files are written after each of them, so that what is done stays.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from measuring import Table, machine

HERE = Path(__file__).parent


def suite(device: str, quick: bool, manifest: Path | None) -> dict[str, list[str]]:
    """The benchmarks and their arguments."""
    rounds = ["--rounds", "2" if quick or device != "cpu" else "5"]
    data = ["--manifest", str(manifest), "--where", "part=test"] if manifest else []
    every = {
        "features": ["features.py", "--clips", "100" if quick else "1000", "--device", device, *rounds],
        "speakers": ["speakers.py", "--device", device, *rounds],
        "end_to_end": [
            "end_to_end.py",
            "--device",
            device,
            "--rounds",
            "2",
            "--most",
            "20",
            *(["--repeat", "100"] if device != "cpu" else []),  # 20 files do not fill a GPU once
            *data,
        ],
        "enrolment": [
            "enrolment.py",
            "--device",
            device,
            "--speakers",
            "1",
            "8",
            *([] if quick else ["64"]),
            "--apart",
            "8",
        ],
        "precision": ["precision.py", *rounds, *data],
        "memory": ["memory.py", "--files", "200" if quick else "10000", "--hours", "0.05" if quick else "1"],
    }
    if device != "cpu":
        every.pop("precision")
        every.pop("memory")
    return every


def run_one(command: list[str], limit: float | None) -> bool:
    """Run a benchmark; whether it came to its end."""
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "TOKENIZERS_PARALLELISM": "false"}
    try:
        return subprocess.run(command, env=environment, timeout=limit, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def save(parts: dict[str, Any], out: Path) -> None:
    """Write the tables that there are, as Markdown and JSON."""
    text = [f"Machine: {machine()}.", ""]
    for part in parts.values():
        for table in part["tables"]:
            columns = list(table["rows"][0]) if table["rows"] else []
            rows = [list(row.values()) for row in table["rows"]]
            notes = [f"Seconds are {part['clock']} time.", *table["notes"]]
            text.append(Table(table["title"], columns, rows, notes).markdown())
    out.with_suffix(".md").write_text("\n".join(text), encoding="utf-8")
    out.with_suffix(".json").write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    """Run the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="files OUT.md and OUT.json are written")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--manifest", type=Path, help="real recordings for the end-to-end run; else the demo's")
    parser.add_argument("--only", nargs="*", help="names of benchmarks")
    parser.add_argument("--python", default=sys.executable, help="an interpreter that also has the peers")
    parser.add_argument("--limit", type=float, help="most seconds of one benchmark")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that everything runs")
    args = parser.parse_args()
    parts, failed = {}, []
    args.out.parent.mkdir(parents=True, exist_ok=True)
    for name, (script, *options) in suite(args.device, args.quick, args.manifest).items():
        if args.only and name not in args.only:
            continue
        print(f"== {name}", file=sys.stderr, flush=True)
        part = args.out.with_name(f".{args.out.name}.{name}.json")
        if not run_one([args.python, str(HERE / script), *options, "--json", str(part)], args.limit):
            failed.append(name)
            continue
        parts[name] = json.loads(part.read_text())
        part.unlink()
        save(parts, args.out)
    if failed:
        raise SystemExit(f"failed or took too long: {', '.join(failed)}")


if __name__ == "__main__":
    main()
