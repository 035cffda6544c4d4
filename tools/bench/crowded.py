"""A whole `asradapt` command while other programs compute, as threads wait for each other usually and as here.

    python tools/bench/crowded.py [--busy 0 1 2] [--rounds 3] [--json OUT] [COMMAND ...]

COMMAND is what follows `asradapt`; by default the demo's recordings are transcribed. Beside it run so many other
programs that compute all the time. Wall seconds by turns, the median.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from measuring import Table, write

from asradapt.__main__ import SPINS

USUAL = "300000"  # of GNU OpenMP
DEMO = Path(__file__).parents[2] / "data" / "demo" / "manifest.jsonl"


@contextmanager
def company(count: int) -> Iterator[None]:
    """So many programs that compute all the time."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for one in running:
            one.kill()
            one.wait()


def spent(command: list[str], environment: Mapping[str, str]) -> float:
    """Wall seconds of a command that must succeed."""
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def measure(command: list[str], busy: int, rounds: int) -> list[object]:
    """A row of the table."""
    free = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    seconds: dict[str, list[float]] = {USUAL: [], SPINS: []}
    with company(busy):
        for _ in range(rounds):
            for spins, found in seconds.items():
                found.append(spent(command, free | {"GOMP_SPINCOUNT": spins}))
    usual, here = (statistics.median(seconds[spins]) for spins in (USUAL, SPINS))
    return [busy, usual, here, usual / here]


def main() -> None:
    """A row for every number of other programs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--busy", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("command", nargs="*", metavar="COMMAND")
    args = parser.parse_args()
    command = [sys.executable, "-m", "asradapt", *(args.command or ["transcribe", "--manifest", str(DEMO)])]
    table = Table(" ".join(command[2:4]), ["other programs", "usual, s", "here, s", "times as long as here"])
    for busy in args.busy:
        table.rows.append(measure(command, busy, args.rounds))
    write([table], args.json)


if __name__ == "__main__":
    main()
