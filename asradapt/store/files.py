"""Writing so that a kill or a full disk at any instant leaves either the old state or the new one."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

TRASH = "gone-"
"""Begins the names of what was taken out of its place to be deleted: whoever comes next finishes that."""


def write_synced(path: Path, data: bytes) -> None:
    """Writes a file and waits until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where the file system can.

    Windows and some network file systems cannot; there a power cut may lose the last step, which leaves
    the old state. It is no reason to report a step that was done as failed.
    """
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def replace_file(path: Path, data: bytes, *, temporary: Path, private: bool = False) -> None:
    """Puts a new file in place of `path` in one step.

    Args:
        path: The file to create or replace.
        data: Its new contents.
        temporary: A path on the same file system that does not exist; gone afterwards.
        private: Whether only its owner may read it, where the file system can.
    """
    try:
        if private:
            with contextlib.suppress(OSError):
                temporary.touch(mode=0o600)
        write_synced(temporary, data)
        temporary.replace(path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def unique(folder: Path, *, prefix: str = "") -> Path:
    """A path in a folder that no process uses."""
    return folder / f"{prefix}{os.getpid()}-{secrets.token_hex(8)}"


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """A new temporary folder inside `folder`, removed at the end unless it was renamed."""
    path = unique(folder)
    try:
        path.mkdir(parents=True)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def take_out(path: Path, trash: Path) -> Path:
    """Moves a folder out of its place in one step.

    Returns:
        Where it is now, for the caller to delete: deleting in place would show readers half a folder.
    """
    trash.mkdir(parents=True, exist_ok=True)
    taken = path.rename(unique(trash, prefix=TRASH))
    sync_folder(path.parent)
    return taken


def discard(taken: Path) -> None:
    """Deletes a folder that was taken out, perhaps together with another process that sweeps.

    Raises:
        OSError: If files remain.
    """
    shutil.rmtree(taken, ignore_errors=True)
    if taken.exists():
        shutil.rmtree(taken)


def sweep(folder: Path, *, alone: bool = False) -> None:
    """Deletes what killed processes left in a temporary folder: voices, texts, halves of versions.

    Args:
        folder: Where everything is in work or trash.
        alone: Whether nobody else is at work there; otherwise trash alone is deleted.
    """
    with contextlib.suppress(OSError):
        for path in list(folder.iterdir()):
            if alone or path.name.startswith(TRASH):
                shutil.rmtree(path, ignore_errors=True)
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
