"""Writing a folder so that it is there whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from asradapt.errors import StoreError
from asradapt.store.files import sync_folder, unique

BESIDE = frozenset({"README.md", ".gitattributes"})
"""What PEFT and the hub put into such folders besides."""


@dataclass(frozen=True)
class Written:
    """A folder that was written.

    Attributes:
        folder: Where it is.
        files: The names of its files.
        bytes: Their size.
        difference: Greatest difference between its logits and those of the adapted source on noise, as a share of
            the greatest logit; None where it was not measured.
    """

    folder: Path
    files: tuple[str, ...]
    bytes: int
    difference: float | None = None


@contextlib.contextmanager
def new_folder(target: Path, *, force: bool) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the context ends without an error.

    Args:
        target: The folder to write.
        force: Whether to replace one that is there; only one that holds nothing but files of the same names.

    Raises:
        StoreError: If it exists, holds anything else, or the disk refuses; what was there is as it was.
    """
    target = target.expanduser()
    target = target.resolve() if target.is_symlink() else target.absolute()
    require_free(target, force=force)
    stage = unique(target.parent, prefix=f".{target.name[:40]}-")
    try:
        with _disk(target):
            stage.mkdir()
            yield stage
            _require_replaceable(target, {path.name for path in stage.iterdir()})
            for path in stage.iterdir():  # safetensors makes files that only their owner may read
                path.chmod(stage.stat().st_mode & 0o666)
            sync_folder(stage)
            _swap(stage, target)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def require_free(target: Path, *, force: bool) -> None:
    """Refuse a folder that exists, before any work for it.

    Raises:
        StoreError: If it exists and is not to be replaced.
    """
    if target.expanduser().exists() and not force:
        raise StoreError(f"{target} exists and is left as it is; choose another name, or force replacing it")


def written(folder: Path, target: Path, difference: float | None = None) -> Written:
    """What a temporary folder holds that is to become `target`."""
    files = sorted(path for path in folder.iterdir())
    size = sum(path.stat().st_size for path in files)
    return Written(target, tuple(path.name for path in files), size, difference)


def _require_replaceable(target: Path, names: set[str]) -> None:
    """Refuse to replace what is more than an earlier export: somebody's folder of photographs, by a slip."""
    if not target.exists():
        return
    if not target.is_dir():
        raise StoreError(f"{target} is a file, and a folder is to be written; choose another name")
    others = sorted(path.name for path in target.iterdir() if path.name not in names | BESIDE or path.is_dir())
    if others:
        shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
        raise StoreError(f"{target} is not replaced: it holds other things too ({shown}); choose another name")


def _swap(stage: Path, target: Path) -> None:
    """Put a finished folder in the place of an older one, which comes back if that fails."""
    old = unique(target.parent, prefix=f".{target.name[:40]}-")
    there = target.exists()
    if there:
        target.rename(old)
    try:
        stage.rename(target)
    except BaseException:
        if there:
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
    sync_folder(target.parent)


@contextlib.contextmanager
def _disk(target: Path) -> Iterator[None]:
    """Turns what the disk refuses into a StoreError."""
    try:
        yield
    except SafetensorError as error:  # how safetensors reports a disk that is full
        raise StoreError(f"cannot write {target}: {str(error)[:200]}; nothing was written") from error
    except OSError as error:
        raise StoreError(f"cannot write {target}: {error.strerror or error}; nothing was written") from error
