"""Work on items in threads, ahead of whoever takes the results, in order and within a bound."""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Generic, TypeAlias, TypeVar
from weakref import WeakSet

Item = TypeVar("Item")
Result = TypeVar("Result")
Inbox: TypeAlias = "SimpleQueue[tuple[int, Item, Future[tuple[Result, float]]] | None]"

END_SECONDS = 1.0
"""So long at most the end of the program waits for files that are being read: a slow disk holds no Ctrl-C up."""
SLOW_SECONDS = 0.05
"""Where the next item is longer in coming, a result that is there is not kept waiting for more."""
_running: WeakSet[Ahead[Any, Any]] = WeakSet()


def reading_threads() -> int:
    """Threads that read files: half of the processors that this process may use, from 1 to 8."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable // 2))


def stop_all(seconds: float = END_SECONDS) -> bool:
    """Let no thread begin anything more, wait for what they are at, and say whether all of them have ended.

    A thread that comes back from C++ code after the interpreter is gone ends the process with `terminate called`,
    so that this is called at the end of the program.
    """
    until = time.monotonic() + seconds
    alive = [ahead for ahead in list(_running) if not ahead.stop(until)]
    return not alive


class Stopped(Exception):
    """Nobody wants the results any more."""


class Ahead(Generic[Item, Result]):
    """Results of a function on items, in their order, computed by threads before they are asked for.

    Args:
        function: What to do with an item; may raise, which shows when the result is taken.
        items: The items; taken as they are needed, so they may be endless.
        weight: The size of a result.
        most: Bound on the sizes of results that wait; the threads pause above it.
        threads: Number of threads.
        count: Bound on the number of items that are worked on or wait.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        items: Iterable[Item],
        *,
        weight: Callable[[Result], float],
        most: float,
        threads: int,
        count: int = 256,
    ) -> None:
        self._function, self._items, self._weight, self._most = function, iter(items), weight, most
        self._threads, self._count = threads, count
        self._changed = threading.Condition()
        self._held = 0.0  # sizes of the results that wait
        self._next = 0  # number of the item whose result is taken next
        self._stopped = False
        self._inbox: Inbox[Item, Result] = SimpleQueue()
        self._running: list[threading.Thread] = []

    def stop(self, until: float) -> bool:
        """Stop the threads, wait for them until a time on the monotonic clock, and say whether they have ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for _ in self._running:
            self._inbox.put(None)
        for thread in self._running:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._running)

    def _start(self) -> None:
        atexit.unregister(stop_all)
        atexit.register(stop_all)  # once
        _running.add(self)
        for _ in range(self._threads):
            # Daemons, not a pool: an error can leave this iterator alive and unclosed, and a pool's threads,
            # waiting for room, would then keep the program from ending.
            thread = threading.Thread(target=self._serve, name="ahead", daemon=True)
            self._running.append(thread)
            thread.start()

    def __iter__(self) -> Iterator[tuple[Item, Callable[[], Result]]]:
        """Pairs of an item and a function that gives its result or raises what its computation raised."""
        queue: deque[tuple[Item, Future[tuple[Result, float]]]] = deque()
        self._start()
        asked = time.monotonic()
        try:
            for number, item in enumerate(self._items):
                if queue and queue[0][1].done() and time.monotonic() - asked > SLOW_SECONDS:
                    yield self._take(*queue.popleft())  # items come slowly, one by one perhaps: so do results
                future: Future[tuple[Result, float]] = Future()
                queue.append((item, future))
                self._inbox.put((number, item, future))
                if len(queue) >= self._count:
                    yield self._take(*queue.popleft())
                asked = time.monotonic()
            while queue:
                yield self._take(*queue.popleft())
        finally:
            self.stop(until=0.0)

    def _serve(self) -> None:
        """What a thread does: one piece of work after the other, until there is none."""
        while (work := self._inbox.get()) is not None:
            number, item, future = work
            try:
                future.set_result(self._work(number, item))
            except BaseException as error:  # whatever it is belongs to whoever takes the result
                future.set_exception(error)

    def _work(self, number: int, item: Item) -> tuple[Result, float]:
        with self._changed:
            # the one that is wanted next never waits: those behind it may hold all that is allowed
            self._changed.wait_for(lambda: self._stopped or number <= self._next or self._held < self._most)
            if self._stopped:
                raise Stopped
        result = self._function(item)
        size = self._weight(result)
        with self._changed:
            self._held += size
        return result, size

    def _take(self, item: Item, future: Future[tuple[Result, float]]) -> tuple[Item, Callable[[], Result]]:
        failed = future.exception() is not None  # waits
        with self._changed:
            self._next += 1
            self._held -= 0.0 if failed else future.result()[1]  # whether or not the result is then asked for
            self._changed.notify_all()
        return item, lambda: future.result()[0]
