"""Carry out a plan: parallel, resumable, and the same whatever the number of processes.

The manifest grows line by line, in the order of the plan, so training can begin on a part. A second run
with the same plan goes on where the first one stopped, also after a kill.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import soundfile

from asradapt.audio import Samples
from asradapt.errors import SimulationError, SpeechError, UsageError
from asradapt.simulation.channel import record
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.plan import FORMATS, PlanOptions, Task, flat
from asradapt.simulation.speech import speak_all

MANIFEST = "manifest.jsonl"
SETTINGS = "simulation.json"
_BATCH = 32  # utterances handed to a process at once: festival starts once for all of them
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


Made = float | str
"""Seconds of audio that were written, or why there are none."""


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
        UsageError: The folder holds the result of other settings.
        SimulationError: Hundreds of utterances in a row failed.
        OSError: The folder cannot be written, or the disk is full; what is in the manifest is whole.
    """
    _start(out, settings)
    run = _Run(out, _read_whole_rows(out / MANIFEST), hours * 3600, report)
    todo = (task for task in tasks if task.path not in run.done)
    with run, _made(todo, out, jobs, run) as results:
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


def _start(out: Path, settings: dict[str, Any] | None) -> None:
    """Make the folder, and refuse to mix the results of two plans, or of a plan and something else."""
    out.mkdir(parents=True, exist_ok=True)
    if settings is None:
        return
    path, manifest = out / SETTINGS, out / MANIFEST
    before = _read_settings(path)
    if before is None:
        if manifest.exists() and manifest.stat().st_size:
            raise UsageError(f"{manifest} is not from this command ({SETTINGS} is missing): choose another folder")
        part = path.with_suffix(".part")
        part.write_text(json.dumps(settings, indent=1) + "\n", encoding="utf-8")
        part.replace(path)
        return
    differing = _differing(before, settings)
    if differing:
        raise UsageError(
            f"{out} was made with other {', '.join(differing)} (see {SETTINGS}): choose another folder, "
            "or the same options to go on where it stopped"
        )


def _read_settings(path: Path) -> dict[str, Any] | None:
    """What an earlier run wrote; None where there was none."""
    if not path.exists():
        return None
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise UsageError(f"{path} is damaged, so nothing tells how its folder was made: choose another folder")
    return before


def _differing(before: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """The names that differ; an option that the earlier run did not know had its default."""
    usual = settings | flat(PlanOptions())
    return sorted(
        name
        for name in before.keys() | settings.keys()
        if before.get(name, usual.get(name)) != settings.get(name, usual.get(name))
    )


def _read_whole_rows(manifest: Path) -> list[dict[str, Any]]:
    """Read the rows so far and cut off a half-written last line."""
    if not manifest.exists():
        return []
    text = manifest.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        manifest.write_text(whole, encoding="utf-8")
    return [json.loads(line) for line in whole.splitlines()]


@contextmanager
def _made(tasks: Iterator[Task], out: Path, jobs: int, run: _Run) -> Iterator[Iterable[tuple[Task, Made]]]:
    if jobs == 1:
        yield (pair for batch in _batches(tasks, run) for pair in make_batch(batch, out))
        return
    # Fresh processes, and not copies of this one with its threads and locks.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_prepare_worker)
    try:
        yield _in_order(pool, _batches(tasks, run), out, ahead=2 * jobs)
    finally:
        pool.shutdown(cancel_futures=True)


def _batches(tasks: Iterator[Task], run: _Run) -> Iterator[list[Task]]:
    while not run.full() and (batch := list(islice(tasks, _BATCH))):
        yield batch


def _in_order(
    pool: ProcessPoolExecutor, batches: Iterator[list[Task]], out: Path, *, ahead: int
) -> Iterator[tuple[Task, Made]]:
    """Results in the order of the plan, with some batches always waiting."""
    waiting: list[Future[list[tuple[Task, Made]]]] = []
    for batch in batches:
        waiting.append(pool.submit(make_batch, batch, out))
        if len(waiting) >= ahead:
            yield from waiting.pop(0).result()
    for future in waiting:
        yield from future.result()


def _prepare_worker() -> None:
    """Leave Ctrl-C to the first process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


def make_batch(tasks: Sequence[Task], out: Path) -> list[tuple[Task, Made]]:
    """Say and write some utterances."""
    said = speak_all([task.take for task in tasks])
    return [
        (task, _write(out / task.path, _recorded(task, samples)))
        for task, samples in zip(tasks, said, strict=True)
    ]


def _recorded(task: Task, samples: Samples | SpeechError) -> Samples | SpeechError:
    if task.channel is None or isinstance(samples, SpeechError):
        return samples
    return record(samples, task.channel, task.take.seed)


def _write(path: Path, samples: Samples | SpeechError) -> Made:
    if isinstance(samples, SpeechError):
        return str(samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        soundfile.write(path, samples, SAMPLE_RATE, subtype=FORMATS[path.suffix[1:]])
    except soundfile.LibsndfileError as error:
        path.unlink(missing_ok=True)
        raise OSError(f"cannot write audio ({error}); is the disk full?", str(path)) from error
    return round(len(samples) / SAMPLE_RATE, 3)
