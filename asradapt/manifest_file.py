"""Open a manifest file so that it can be gone through several times without holding it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from asradapt.errors import ManifestError

LOOKED_AT = 65536  # bytes of the beginning that tell whether it is text


@contextmanager
def open_manifest_file(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, from the beginning as often as they are wanted; a pipe is kept on disk meanwhile.

    Raises:
        ManifestError: If the file is missing, unreadable or not text.
    """
    with _opened(path) as file, TemporaryFile() as copy:
        if not file.seekable():
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            file = copy
        try:
            _check_is_text(path, file.read(LOOKED_AT))
        except OSError as error:
            raise _unreadable(path, error) from error
        yield file


def lines(path: Path, file: IO[bytes], newline: str) -> Iterator[str]:
    """The lines of the file, from its beginning; what is not UTF-8 is kept as surrogates, so only its rows fail.

    Args:
        path: Where the file is, for messages.
        file: The file.
        newline: Where a line ends: at a line feed only, or with an empty string at any usual end.

    Raises:
        ManifestError: If the file cannot be read to its end.
    """
    try:
        file.seek(0)
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=newline)
        try:
            yield from iter(text.readline, "")  # not `text` itself: an iteration that ends early would close it
        finally:
            if not file.closed:  # after an error it is closed before this iteration ends
                text.detach()  # or the file would be closed with the wrapper
    except OSError as error:
        raise _unreadable(path, error) from error


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except IsADirectoryError as error:
        raise ManifestError(f"{path} is a folder: give the manifest file in it") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ManifestError(f"{path} does not exist: check the path") from error
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ManifestError:
    return ManifestError(f"{path} cannot be read ({error}): check the path and its permissions")


def _check_is_text(path: Path, beginning: bytes) -> None:
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ManifestError(f"{path} is UTF-16: save it as UTF-8")
    if b"\0" in beginning:
        raise ManifestError(f"{path} is not a text file: give JSON lines, CSV or TSV")
