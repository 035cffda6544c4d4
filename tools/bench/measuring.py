"""What all benchmarks share: the machine in words, timing of rivals in turn, tables and JSON.

Rivals are run in turn, A B C A B C ..., so that a machine whose speed drifts is as unkind to all. A ratio is the
median of the ratios of the rounds, not the ratio of the medians.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

Work = Callable[[], object]


@dataclass
class Table:
    """One benchmark's result.

    Attributes:
        title: What was compared.
        columns: Names of the columns; the first is that of the rows.
        rows: The cells.
        notes: What a reader must know, in sentences.
    """

    title: str
    columns: Sequence[str]
    rows: list[Sequence[Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The table as Markdown."""
        lines = [f"### {self.title}", "", "| " + " | ".join(self.columns) + " |", "|---" * len(self.columns) + "|"]
        lines += ["| " + " | ".join(shown(cell) for cell in row) + " |" for row in self.rows]
        return "\n".join([*lines, "", *self.notes, ""])

    def as_dict(self) -> dict[str, Any]:
        """The table for JSON."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return {"title": self.title, "rows": rows, "notes": self.notes}


def shown(value: object) -> str:
    """A cell: numbers with three digits."""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> str:
    """Processor, cores, threads and versions in one line."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = names[0] if names else name
    if torch.cuda.is_available():
        name += f"; {torch.cuda.get_device_name()}"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    python = platform.python_version()
    return f"{name}, {cores} cores, {torch.get_num_threads()} threads, Python {python}, torch {torch.__version__}"


def in_turn(
    rivals: Mapping[str, Work], rounds: int, *, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of every rival in every round, after a round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in rivals}
    for number in range(rounds + 1):
        for name, work in rivals.items():
            began = clock()
            work()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:
                seconds[name].append(clock() - began)
    return seconds


def ratio(seconds: Mapping[str, Sequence[float]], slower: str, faster: str) -> float:
    """How many times as long one rival takes as another: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def clips(count: int, *, shortest: float = 1.0, longest: float = 15.0, rate: int = 16_000) -> list[np.ndarray]:
    """Clips of speech-like noise of mixed lengths, the same every time."""
    random = np.random.default_rng(0)
    lengths = (random.uniform(shortest, longest, count) * rate).astype(int)
    return [(random.standard_normal(n) * 0.1 * np.hanning(n)).astype(np.float32) for n in lengths]


def write(tables: Sequence[Table], path: Path | None, clock: str = "wall") -> None:
    """Print the tables; with a path also write them as JSON."""
    for table in tables:
        print(table.markdown(), flush=True)
    if path:
        content = {"machine": machine(), "clock": clock, "tables": [table.as_dict() for table in tables]}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
