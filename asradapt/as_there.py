"""Names of files that a table writes otherwise than the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal
from unicodedata import normalize

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def as_there(path: Path) -> Path:
    """A path as the disk has it: accents composed or not, and slashes for backslashes, as tables from Windows.

    The disk is asked only about names that may be written otherwise. The path itself where nothing is found.
    """
    name = str(path)
    if (name.isascii() and ("\\" not in name or os.sep == "\\")) or exists(path):
        return path
    return next((other for other in _others(name) if exists(other)), path)


def _others(name: str) -> Iterator[Path]:
    names = [name] if os.sep == "\\" else [name, name.replace("\\", "/")]
    for one in names:
        for other in (one, *(normalize(form, one) for form in FORMS)):
            if other != name:
                yield Path(other)


def exists(path: Path) -> bool:
    """Whether there is something of this name that we may look at."""
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that cannot be a file, or a folder we may not look into
        return False
