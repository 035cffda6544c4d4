"""One file from a server, whole or not at all: resumed where it broke off, checked, and renamed when complete."""

from __future__ import annotations

import errno
import http.client
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from asradapt.errors import InputError

CHUNK = 1 << 18
ROOM = 64 << 20  # bytes to leave free besides the file itself

Report = Callable[[int, int], None]  # bytes that are there, bytes of the whole


@dataclass(frozen=True)
class _Part:
    """What of a file is there: the bytes, and the server's mark of the version that they belong to."""

    path: Path

    @property
    def mark(self) -> Path:
        """Where the mark stands."""
        return self.path.with_name(f"{self.path.name}.mark")

    def size(self) -> int:
        """Bytes that can be gone on from: none where it is not known of what they are."""
        return self.path.stat().st_size if self.path.exists() and self.version() else 0

    def version(self) -> str:
        """The mark; empty where there is none."""
        return self.mark.read_text(encoding="utf-8") if self.mark.exists() else ""

    def begin(self, mark: str) -> None:
        """Drop what is there and remember what begins."""
        self.path.unlink(missing_ok=True)
        self.mark.write_text(mark, encoding="utf-8")

    def remove(self) -> None:
        """Drop all of it."""
        self.path.unlink(missing_ok=True)
        self.mark.unlink(missing_ok=True)


def download(url: str, target: Path, *, report: Report | None = None, timeout: float = 30.0) -> Path:
    """Download a file; `target` exists only when all of it is there.

    What breaks off stays beside it as `.part`, and the next call goes on from there if the server can.

    Args:
        url: Where it is.
        target: Where it should be.
        report: Told again and again how many bytes are there, of how many.
        timeout: Seconds without a byte after which the server is given up.

    Raises:
        InputError: In one sentence, whatever goes wrong: address, network, server, room.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _Part(target.with_name(f"{target.name}.part"))
    lock = part.path.with_name(f"{part.path.name}.lock")
    try:
        with FileLock(lock, timeout=0):
            _continue(url, part, report or (lambda done, whole: None), timeout)
            part.path.replace(target)
            part.remove()
            lock.unlink(missing_ok=True)
    except Timeout as error:
        raise InputError(f"{target.name} is being downloaded by another process; wait for it") from error
    return target


def _continue(url: str, part: _Part, report: Report, timeout: float) -> None:
    """Get what is missing of a file, or all of it."""
    with _explained(url, part):
        with _asked(url, part, timeout) as answer:
            done, whole = _begin(url, answer, part)
            _check_room(part.path, url, whole - done)
            report(done, whole)
            with part.path.open("ab") as file:
                while chunk := answer.read1(CHUNK):  # what there is: a timeout loses nothing that came
                    file.write(chunk)
                    done += len(chunk)
                    report(done, whole)
        if done < whole:
            raise http.client.IncompleteRead(b"", whole - done)
        if part.path.stat().st_size != whole:
            part.remove()
            raise InputError(f"{url}: what came is not as long as the server said; run it again to start over")


@contextmanager
def _asked(url: str, part: _Part, timeout: float) -> Iterator[Any]:
    """The server's answer: the rest of the file if it can give that, else all of it."""
    headers = {"User-Agent": "asradapt", "Accept-Encoding": "identity"}
    if size := part.size():
        headers |= {"Range": f"bytes={size}-", "If-Range": part.version()}
    request = Request(url, headers=headers)  # noqa: S310 - the address is the library's own
    try:
        answer = urlopen(request, timeout=timeout)  # noqa: S310
    except HTTPError as error:
        if error.code != 416:  # the part is as long as the file, or longer
            raise
        error.close()
        part.remove()
        answer = urlopen(Request(url, headers={"User-Agent": "asradapt"}), timeout=timeout)  # noqa: S310
    with answer:
        yield answer


def _begin(url: str, answer: Any, part: _Part) -> tuple[int, int]:
    """How many bytes are there and how many the whole has; without a rest to append, it begins anew.

    Raises:
        InputError: If what comes is no file, or its length is not said.
    """
    headers = answer.headers
    if headers.get_content_type() == "text/html":
        raise InputError(
            f"{url}: the server answers with a page instead of a file; is there a sign-in page in this network?"
        )
    length = headers.get("Content-Length")
    if length is None or not length.isdecimal():
        raise InputError(f"{url}: the server does not say how long the file is, so it cannot be checked")
    if answer.status == 206:
        start, whole = _range(headers.get("Content-Range", ""))
        if start == part.size() and whole == start + int(length):
            return start, whole
        part.remove()
        raise InputError(f"{url}: the server sends another part than was asked for; run it again to start over")
    tag = headers.get("ETag", "")
    part.begin(headers.get("Last-Modified", "") if tag.startswith("W/") or not tag else tag)
    return 0, int(length)


def _range(said: str) -> tuple[int, int]:
    """The first byte and the length of the whole of `bytes 5-9/10`; -1 where it says something else."""
    try:
        span, _, whole = said.removeprefix("bytes ").partition("/")
        return int(span.split("-")[0]), int(whole)
    except ValueError:
        return -1, -1


def _check_room(path: Path, url: str, needed: int) -> None:
    """Refuse a download that does not fit on the disk.

    Raises:
        InputError: With the bytes.
    """
    free = shutil.disk_usage(path.parent).free
    if needed + ROOM > free:
        raise InputError(
            f"{url} takes {needed / 1e6:.0f} MB more and {path.parent} has {free / 1e6:.0f} MB free; free some "
            "space, or set TORCH_HOME to a folder on another disk"
        )


@contextmanager
def _explained(url: str, part: _Part) -> Iterator[None]:
    """Errors of the network and of the disk as one sentence each."""
    try:
        yield
    except InputError:
        raise
    except HTTPError as error:
        error.close()
        gone = "; the file is not there (any more)" if error.code in (404, 410) else "; try again later"
        raise InputError(f"{url}: the server answers {error.code} {error.reason}{gone}") from error
    except TimeoutError as error:
        raise InputError(f"{url}: the server does not answer in time; {_again(part)}") from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise InputError(f"{url}: the server does not answer in time; {_again(part)}") from error
        raise InputError(
            f"{url} cannot be reached ({error.reason}); is there a network? The weights can also be carried here "
            "by hand and named with --weights FILE"
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(
                f"the disk is full; {_held(part)} of {url} are in {part.path}; free some space and {_again(part)}"
            ) from error
        if isinstance(error, ConnectionError):
            raise InputError(_dropped(url, part)) from error
        raise
    except http.client.HTTPException as error:
        raise InputError(_dropped(url, part)) from error


def _dropped(url: str, part: _Part) -> str:
    return f"{url}: the connection broke off after {_held(part)}; {_again(part)}"


def _again(part: _Part) -> str:
    return "run it again" + (", it goes on where it stopped" if part.size() else "")


def _held(part: _Part) -> str:
    return f"{part.path.stat().st_size / 1e6 if part.path.exists() else 0:.1f} MB"
