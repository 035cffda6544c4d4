"""One model in many threads: what one thread hangs on it does not touch what another one hears by it.

An adaptation is a hook on the modules of a network that all threads share. It acts in the thread that has attached
it, and nowhere else. One that changes the weights themselves has the network to itself for that time.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from torch import nn

Hook = Callable[[nn.Module, tuple[Any, ...], Any], Any]

CHANGING = threading.RLock()
"""Held while hooks come and go, and while a model is copied, hooks and all."""
_here = threading.local()


class Turn:
    """A lock of the thread that holds it; a copy of it is a lock of its own."""

    def __init__(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def __reduce__(self) -> tuple[type[Turn], tuple[()]]:
        return Turn, ()


def thread() -> int:
    """The thread that this one works for: itself, or another one whose activations it computes a second time."""
    return getattr(_here, "thread", None) or threading.get_ident()


@contextmanager
def working_for(other: int) -> Iterator[None]:
    """Let the hooks of another thread act in this one: gradients on a device are made by threads of torch."""
    before = getattr(_here, "thread", None)
    _here.thread = other
    try:
        yield
    finally:
        _here.thread = before


class _Users:
    """Which threads use a network, and which of them has it alone."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.inside: dict[int, int] = {}  # by thread, how many contexts it is in
        self.alone: int | None = None
        self.queue: deque[object] = deque()  # of those who wait, each in turn: nobody waits for ever

    def admits(self, ticket: object, alone: bool) -> bool:
        """Whether who holds a ticket may begin."""
        return self.queue[0] is ticket and self.alone is None and not (alone and self.inside)

    def wait(self, alone: bool) -> None:
        """Wait for one's turn, holding `changed`; where that is given up, those behind go on."""
        ticket = object()
        self.queue.append(ticket)
        try:
            self.changed.wait_for(lambda: self.admits(ticket, alone))
        finally:
            self.queue.remove(ticket)
            self.changed.notify_all()


_USERS: WeakKeyDictionary[nn.Module, _Users] = WeakKeyDictionary()


@contextmanager
def using(network: nn.Module, *, alone: bool = False) -> Iterator[None]:
    """Use a network that other threads use too; alone, where its weights are changed, once the others are done.

    Raises:
        RuntimeError: If a thread that uses it together with others wants it alone: two such would wait for ever.
    """
    me = threading.get_ident()
    with CHANGING:
        users = _USERS.setdefault(network, _Users())
    with users.changed:
        if alone and me in users.inside and users.alone != me:
            raise RuntimeError("a thread that shares a network cannot have it alone as well")
        if me not in users.inside:  # who is inside already waits for nobody
            users.wait(alone)
        before, users.alone = users.alone, me if alone else users.alone
        users.inside[me] = users.inside.get(me, 0) + 1
    try:
        yield
    finally:
        with users.changed:
            users.alone = before
            users.inside[me] -= 1
            if not users.inside[me]:
                del users.inside[me]
            users.changed.notify_all()


@contextmanager
def hooked(module: nn.Module, hook: Hook) -> Iterator[None]:
    """Let a hook change what a module gives to this thread, until the context ends."""
    owner = thread()

    def own(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
        return hook(module, inputs, output) if thread() == owner else None  # None changes nothing

    with CHANGING:
        handle = module.register_forward_hook(own)
    try:
        yield
    finally:
        with CHANGING:
            handle.remove()
