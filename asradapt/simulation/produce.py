"""Carry out a plan: parallel, resumable, and the same whatever the number of processes.

The manifest grows line by line, in the order of the plan, so training can begin on a part. A second run
with the same plan goes on where the first one stopped, also after a kill.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asradapt.errors import SimulationError
from asradapt.simulation.folder import MANIFEST, SETTINGS, open_folder, read_rows
from asradapt.simulation.plan import Task
from asradapt.simulation.workers import Made, all_made

__all__ = ["MANIFEST", "SETTINGS", "Produced", "Report", "produce"]

_MOST_SILENT = 200  # utterances without one that succeeds, after which something is wrong

Report = Callable[[float, int], None]
"""Called with the seconds and the number of utterances in the manifest."""


@dataclass(frozen=True)
class Produced:
    """What is in the manifest after a run.

    Attributes:
        manifest: The file.
        seconds: Of audio.
        count: Utterances.
        new: Utterances of this run.
        left_out: Utterances that this run could not make, by index, and why.
    """

    manifest: Path
    seconds: float
    count: int
    new: int
    left_out: tuple[tuple[int, str], ...] = ()


def produce(
    tasks: Iterator[Task],
    out: Path,
    *,
    settings: dict[str, Any] | None = None,
    hours: float = math.inf,
    jobs: int = 1,
    report: Report | None = None,
) -> Produced:
    """Make what is not yet in the manifest, until there are `hours` of audio or the plan ends.

    Args:
        tasks: The plan.
        out: Folder of the manifest and of `audio/`.
        settings: What decided the plan; an earlier run in the folder must have had the same.
        hours: Of audio in the whole manifest.
        jobs: Processes.
        report: Called after each utterance.

    Raises:
        UsageError: The folder is none, or holds the result of other settings.
        ManifestError: A line of the manifest is broken.
        SimulationError: Hundreds of utterances in a row failed.
        OSError: The folder cannot be written, or the disk is full; what is in the manifest is whole.
    """
    open_folder(out, settings)
    run = _Run(out, read_rows(out), hours * 3600, report)
    todo = (task for task in tasks if task.path not in run.done)
    with run, all_made(todo, out, jobs=jobs, full=run.full) as results:
        for task, made in results:
            if run.full():
                (out / task.path).unlink(missing_ok=True)
                continue
            run.take(task, made)
    return run.result()


class _Run:
    """The manifest while it grows."""

    def __init__(self, out: Path, rows: list[dict[str, Any]], most_seconds: float, report: Report | None) -> None:
        self.done = {str(row["audio_filepath"]) for row in rows}
        self._path, self._report, self._most = out / MANIFEST, report, most_seconds
        self._seconds, self._new = sum(float(row["duration"]) for row in rows), 0
        self._left_out: list[tuple[int, str]] = []
        self._silent = 0

    def __enter__(self) -> _Run:
        self._stream = self._path.open("a", encoding="utf-8")
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()

    def full(self) -> bool:
        """Whether there is as much audio as was wanted."""
        return self._seconds >= self._most

    def take(self, task: Task, made: Made) -> None:
        """Write a row, or remember why there is none."""
        if isinstance(made, str):
            self._left_out.append((task.index, made))
            self._silent += 1
            if self._silent >= _MOST_SILENT:
                raise SimulationError(f"{self._silent} utterances in a row could not be said; the last: {made}")
            return
        self._stream.write(json.dumps(task.row(made), ensure_ascii=False) + "\n")
        self._stream.flush()
        self._seconds, self._new, self._silent = self._seconds + made, self._new + 1, 0
        if self._report:
            self._report(self._seconds, len(self.done) + self._new)

    def result(self) -> Produced:
        """What came of it."""
        count = len(self.done) + self._new
        return Produced(self._path, round(self._seconds, 3), count, self._new, tuple(self._left_out))
