"""The utterances of a plan, made by this process or by several, in the order of the plan."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import soundfile

from asradapt.audio import Samples
from asradapt.errors import SpeechError
from asradapt.simulation.channel import record
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.plan import FORMATS, Task
from asradapt.simulation.speech import speak_all

_BATCH = 32  # utterances handed to a process at once: festival starts once for all of them

Made = float | str
"""Seconds of audio that were written, or why there are none."""
Results = Iterable[tuple[Task, Made]]


@contextmanager
def all_made(tasks: Iterator[Task], out: Path, *, jobs: int, full: Callable[[], bool]) -> Iterator[Results]:
    """What came of each task; leaving with an exception ends the processes at once.

    Args:
        tasks: What to make.
        out: Folder that the paths of tasks are relative to.
        jobs: Processes.
        full: Whether nothing more is wanted; asked before each batch.

    Raises:
        OSError: Audio cannot be written.
    """
    batches = _batches(tasks, full)
    if jobs == 1:
        yield (pair for batch in batches for pair in make_batch(batch, out))
        return
    with _pool(jobs) as pool:
        yield _in_order(pool, batches, out, ahead=2 * jobs)


def make_batch(tasks: Sequence[Task], out: Path) -> list[tuple[Task, Made]]:
    """Say and write some utterances."""
    said = speak_all([task.take for task in tasks])
    return [
        (task, _write(out / task.path, _recorded(task, samples)))
        for task, samples in zip(tasks, said, strict=True)
    ]


def _batches(tasks: Iterator[Task], full: Callable[[], bool]) -> Iterator[list[Task]]:
    while not full() and (batch := list(islice(tasks, _BATCH))):
        yield batch


def _in_order(
    pool: ProcessPoolExecutor, batches: Iterator[list[Task]], out: Path, *, ahead: int
) -> Iterator[tuple[Task, Made]]:
    """Results in the order of the plan, with some batches always waiting."""
    waiting: list[Future[list[tuple[Task, Made]]]] = []
    for batch in batches:
        with _no_ctrl_c():  # this may start a process
            waiting.append(pool.submit(make_batch, batch, out))
        if len(waiting) >= ahead:
            yield from waiting.pop(0).result()
    for future in waiting:
        yield from future.result()


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that live while this one holds its end of a pipe, with a folder for what they leave behind."""
    # Fresh processes, and not copies of this one with its threads and locks.
    context = multiprocessing.get_context("spawn")
    alive, holder = context.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="asradapt-", ignore_cleanup_errors=True) as scratch, alive, holder:
        pool = ProcessPoolExecutor(jobs, context, initializer=_prepare_worker, initargs=(alive, scratch))
        try:
            yield pool
        except BaseException:
            holder.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _no_ctrl_c() -> Iterator[None]:
    """Processes started here never see Ctrl-C, which is left to this one; here it waits until the end."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker(alive: Connection, scratch: str) -> None:
    """Be a group with the synthesisers that this process starts, and end with the first process.

    And not before: when one process has ended the pool terminates the others, perhaps before they have ended what
    they started. The handler does nothing, and unlike an ignored signal is not inherited by programs.
    """
    os.setpgrp()
    signal.signal(signal.SIGTERM, lambda *_: None)
    tempfile.tempdir = scratch
    threading.Thread(target=_end_with, args=(alive, scratch), daemon=True).start()


def _end_with(alive: Connection, scratch: str) -> None:
    alive.poll(None)  # nothing is ever sent: it returns when the other end is closed
    shutil.rmtree(scratch, ignore_errors=True)  # the first process may have been killed
    os.killpg(0, signal.SIGKILL)


def _recorded(task: Task, samples: Samples | SpeechError) -> Samples | SpeechError:
    if task.channel is None or isinstance(samples, SpeechError):
        return samples
    return record(samples, task.channel, task.take.seed)


def _write(path: Path, samples: Samples | SpeechError) -> Made:
    """Write a file in one go, so that a kill leaves none that is cut off."""
    if isinstance(samples, SpeechError):
        return str(samples)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    try:
        soundfile.write(part, samples, SAMPLE_RATE, subtype=FORMATS[path.suffix[1:]])
    except soundfile.LibsndfileError as error:
        part.unlink(missing_ok=True)
        raise OSError(f"cannot write audio to {path} ({error}); is the disk full?") from error
    part.replace(path)
    return round(len(samples) / SAMPLE_RATE, 3)
