"""One writer at a time in a store, whichever process it is; readers need no lock."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from asradapt.errors import StoreError

WAIT_SECONDS = 60.0
"""A writer needs the lock for the moment of a few files and renames; longer means that something is stuck."""


@contextlib.contextmanager
def one_writer(root: Path, *, wait: float = WAIT_SECONDS) -> Iterator[None]:
    """Keeps other writers out of the store until the context ends; a killed process keeps nobody out.

    Not to be nested: the lock belongs to this one use of it.

    Args:
        root: Folder of the store; created if it is not there.
        wait: Seconds to wait for another writer.

    Raises:
        OSError: The disk refused.
        StoreError: Another writer does not end.
    """
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)  # voices and what they said: for their owner alone
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(root)) from error
    path = root / ".lock"
    lock = FileLock(path, timeout=wait)
    try:
        lock.acquire()
    except Timeout as error:
        raise StoreError(
            f"another process has been writing to the store {root} for {wait:g} s; try again when it has ended"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def explained_writing(task: str, root: Path) -> Iterator[None]:
    """Turns what the disk refuses of a task into a StoreError with what to do; every step undoes itself."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space or choose another folder" if full else "Choose a folder that you may write to"
        raise StoreError(
            f"cannot {task} in {error.filename or root}: {reason}; that changed nothing. {advice} with --store "
            "or ASRADAPT_HOME"
        ) from error
