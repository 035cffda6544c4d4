"""A new speaker is stored with everything or not at all, while other writers are kept out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from asradapt.store.files import discard, take_out
from asradapt.store.versions import SpeakerFolder


@contextlib.contextmanager
def whole(folder: SpeakerFolder) -> Iterator[None]:
    """Takes a new speaker back who is stored in part; other writers are kept out, so it is all of this one."""
    nothing, there, before = not folder.path.exists(), folder.exists, folder.numbers()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if nothing and folder.path.exists():
                discard(take_out(folder.path, folder.temporary))
            elif not there:  # what a kill has left of somebody stays as it was
                folder.forget_current()
                for number in {*folder.numbers()} - {*before}:
                    discard(take_out(folder.version(number), folder.temporary))
        raise


@contextlib.contextmanager
def held_already(_: str) -> Iterator[None]:
    """In the place of the lock where that is held."""
    yield
