"""Passes of a training side by side on a CPU: each lane has its share of the threads, and a model of its own.

Between the large matrix products of a pass lie many small operations, which a second thread does not hasten. Two
passes on a thread each leave no thread idle (docs/performance.md). What adaptations change of a model while they
are attached belongs to it alone, so every lane has one; its weights are those of the others.

Letters: B batch.
"""

from __future__ import annotations

import copy
import logging
import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import torch

from asradapt.batching import even_budget, length_batches
from asradapt.budget import Item, Result
from asradapt.enrolment.memory import CPU_SECONDS, Passes
from asradapt.models.base import SourceModel
from asradapt.models.conformer import Conformer
from asradapt.models.turns import CHANGING, using

logger = logging.getLogger(__name__)

MOST = 8
"""Lanes at most."""
TOGETHER = 2 * CPU_SECONDS
"""Seconds of audio in all lanes at a time, at most, where these are more than two: what bounds the memory."""
LEAST_SECONDS = 12.0
"""Of audio in one pass at least: it takes a tenth longer than twice as much at once, but two threads have work."""

PASS_SECONDS = 6.0
"""Of audio, in the time of what a pass costs however little it holds: 20 ms, and more beside another one."""


def twin(model: SourceModel) -> SourceModel:
    """A model of the same tensors whose network can be changed apart from that of the other."""
    pacer = getattr(model, "pacer", None)  # which no adaptation changes
    shared = (*model.module.parameters(), *model.module.buffers(), *([pacer] if pacer else []))
    return copy.deepcopy(model, {id(part): part for part in shared})


def lanes_for(model: SourceModel) -> int:
    """How many passes at a time pay: with this project's own network a thread is worth most in a lane of its own.

    Networks of other libraries, which are larger, were not measured; their passes take more memory, too.
    """
    if model.device.type != "cpu" or not isinstance(model.module, Conformer):
        return 1
    threads = torch.get_num_threads()
    possible = range(1, min(MOST, threads) + 1)
    return max(possible, key=lambda lanes: (threads // lanes * lanes, lanes))  # few threads idle, then many lanes


class Lanes:
    """Passes of a training, as many at a time as pay where the model is.

    Args:
        model: The source model.
        batch_seconds: Audio in one pass, one at a time then; 0 for what suits.
        recompute: Whether activations are computed twice; None for where it is needed.
    """

    def __init__(self, model: SourceModel, *, batch_seconds: float = 0.0, recompute: bool | None = None) -> None:
        self.passes = [Passes(model, batch_seconds=batch_seconds, recompute=recompute)]
        self._alone, self._recompute = bool(batch_seconds), recompute

    @property
    def model(self) -> SourceModel:
        """The model itself."""
        return self.passes[0].model

    @property
    def count(self) -> int:
        """How many passes are made at a time, if there are as many."""
        return 1 if self._alone or any(one.recompute for one in self.passes) else lanes_for(self.model)

    def seconds(self, lengths: Sequence[float]) -> float:
        """Seconds of audio in one pass, padding included, for recordings of such lengths, also in seconds.

        Side by side, passes are so many that the lane which ends last ends soonest.
        """
        most, count = self.passes[0].seconds, self.count
        if count == 1:
            return most
        total, most = sum(lengths), max(LEAST_SECONDS, min(most, TOGETHER / count))
        rounds = math.ceil(total / (most * count))
        wanted = max(1, min(rounds * count, int(total / LEAST_SECONDS)))
        # more passes have less padding, and more that is done once a pass
        numbers = range(wanted, wanted + 2 * count + 1) if wanted >= count else [wanted]
        whole = [round(length * 1000) for length in lengths]
        budgets = {even_budget(whole, number) for number in numbers}
        return min(most, min(sorted(budgets), key=lambda budget: _longest_lane(whole, budget, count)) / 1000)

    def run(
        self, work: Callable[[SourceModel, Sequence[Item]], Result], batches: Sequence[Sequence[Item]]
    ) -> Iterator[Result]:
        """Do the work on batches; results come in their order, several of a batch that was done in parts.

        Args:
            work: As for `Passes.run`; it may be run in several threads, each with another model.
            batches: What to work on.
        """
        count = min(self.count, len(batches))
        pool = self._open(count) if count > 1 else None
        if pool is None:
            for batch in batches:
                yield from self.passes[0].run(work, batch)
            return
        free = self.passes[:count]

        def one(batch: Sequence[Item]) -> list[Result]:
            lane = free.pop()
            try:
                return lane.run(work, batch)
            finally:
                free.append(lane)

        try:
            for results in pool.map(one, batches):
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)  # what waits is not begun

    def _open(self, count: int) -> ThreadPoolExecutor | None:
        """Threads for so many lanes, each with a model; None where there can be none."""
        missing = count - len(self.passes)
        network = self.model.module
        with using(network), CHANGING:  # nobody else's weights or hooks may be in it
            if missing > 0 and any(part._forward_hooks or "forward" in vars(part) for part in network.modules()):
                return None  # the twin of an adapted model would stay adapted, and recompute by the other's blocks
            self.passes += [Passes(twin(self.model), recompute=self._recompute) for _ in range(missing)]
        try:
            return _threads(count)
        except RuntimeError as error:
            logger.info("passes one after the other: %s", error)
            return None


def _longest_lane(lengths: Sequence[int], budget: int, count: int) -> int:
    """What the lane that ends last has to do, in ms of audio, where batches go to whichever lane is free."""
    lanes = [0] * count
    for batch in length_batches(lengths, budget=budget):
        free = lanes.index(min(lanes))
        lanes[free] += round(PASS_SECONDS * 1000) + len(batch) * max(lengths[index] for index in batch)
    return max(lanes)


def _threads(count: int) -> ThreadPoolExecutor:
    """So many threads, each with an equal share of those that torch computes in.

    The number is a thread's own, but what is set last is what threads of later on begin with: so it is set back
    before anything is computed, when all have theirs.

    Raises:
        RuntimeError: If a thread cannot be started.
    """
    whole, ready = torch.get_num_threads(), threading.Barrier(count + 1)

    def begin() -> None:
        torch.get_num_threads()  # or the first operation would take the number of others
        torch.set_num_threads(max(1, whole // count))
        with suppress(threading.BrokenBarrierError):  # one of the others could not be started
            ready.wait()

    pool = ThreadPoolExecutor(count, initializer=begin)
    try:
        for _ in range(count):
            pool.submit(int)
        ready.wait()
    except BaseException:
        ready.abort()
        pool.shutdown(cancel_futures=True)
        raise
    finally:
        torch.set_num_threads(whole)
    return pool
