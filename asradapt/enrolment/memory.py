"""The memory of a training: how much audio one pass takes, activations computed twice instead of kept.

Letters: B batch.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from asradapt.budget import Item, Result, batch_seconds, in_halves, long_texts, out_of_memory, seconds_for
from asradapt.enrolment.objective import token_losses
from asradapt.models.base import SourceModel, computed_seconds, writes
from asradapt.models.places import stacks
from asradapt.models.turns import CHANGING, thread, working_for

logger = logging.getLogger(__name__)
# blocks belong to a model, which threads may share: one training at a time computes them twice
_ONE = threading.RLock()
_FILTERING = threading.RLock()  # filters of warnings belong to the process, and passes may run side by side

CPU_SECONDS = 90.0  # measured: from 24 s on, more audio at once is not faster on a CPU
PROBE_ROWS, PROBE_SECONDS = 2, 10.0
LITTLE = 30.0
"""Where one pass takes less audio than this, in seconds, it is worth computing activations twice."""


@contextmanager
def recomputed(model: SourceModel) -> Iterator[None]:
    """Keep no activations inside the blocks of the model; they are computed again for the gradients.

    Gradient checkpointing (Chen et al. 2016, arXiv 1604.06174). The gradients must be taken inside the context,
    with all adaptations attached that were attached in the forward pass. The model is restored exactly.
    """
    with _ONE:
        yield from _recomputed(model)


def _recomputed(model: SourceModel) -> Iterator[None]:
    blocks = [block for path in stacks(model.module) for block in model.module.get_submodule(path).children()]
    before = [vars(block).get("forward") for block in blocks]
    with CHANGING:
        for block in blocks:
            block.forward = _twice(block.forward)
    try:
        yield
    finally:
        with CHANGING:
            for block, own in zip(blocks, before, strict=True):
                if own is None:
                    del block.forward
                else:
                    block.forward = own


def _twice(forward: Callable[..., Any]) -> Any:
    """A block that is computed again for its gradients, by whichever thread, as by the one that computes it now.

    It warns of nothing: what its model filters, it filters around the forward pass only.
    """

    def first(*inputs: Any, **named: Any) -> Any:
        asked = thread()

        def run(*inputs: Any, **named: Any) -> Any:
            with working_for(asked), _FILTERING, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return forward(*inputs, **named)

        return checkpoint(run, *inputs, use_reentrant=False, preserve_rng_state=False, **named)

    return first


@dataclass(frozen=True)
class Sizes:
    """What one pass may hold.

    Attributes:
        heard: Seconds of audio, padding included, without gradients.
        learned: The same with gradients.
        recompute: Whether activations should be computed twice instead of kept.
    """

    heard: float
    learned: float
    recompute: bool


CPU_SIZES = Sizes(CPU_SECONDS, CPU_SECONDS, False)
_FOUND: WeakKeyDictionary[SourceModel, Sizes] = WeakKeyDictionary()


def find_sizes(model: SourceModel) -> Sizes:
    """What one pass may hold where the model is: measured once on a CUDA device, fixed elsewhere."""
    if model.device.type != "cuda":
        return CPU_SIZES
    if model not in _FOUND:
        free, _ = torch.cuda.mem_get_info(model.device)
        kept = seconds_for(free, _cuda_bytes_a_second(model))
        with recomputed(model):
            twice = seconds_for(free, _cuda_bytes_a_second(model))
        short = kept < LITTLE
        _FOUND[model] = Sizes(batch_seconds(model), twice if short else kept, short)
        logger.info("one pass: %s", _FOUND[model])
    return _FOUND[model]


def _cuda_bytes_a_second(model: SourceModel) -> float:
    """Memory that a second of audio needs, padding included, with all that gradients need, by doing one pass."""
    samples = round(PROBE_SECONDS * model.sample_rate)
    with torch.no_grad():
        silence = torch.zeros(PROBE_ROWS, samples, device=model.device)
        features, frames = model.prepare(silence, torch.full((PROBE_ROWS,), samples, device=model.device))
    before = torch.cuda.memory_allocated(model.device)
    torch.cuda.reset_peak_memory_stats(model.device)
    trial_pass(model, features, frames)
    used = torch.cuda.max_memory_allocated(model.device) - before
    return used / (PROBE_ROWS * computed_seconds(model, PROBE_SECONDS))


@torch.enable_grad()
def trial_pass(model: SourceModel, features: Tensor, frames: Tensor) -> None:
    """A pass with all that gradients need, as if an adaptation acted on the features (B, F, M).

    A decoder takes part, with texts as long as people speak: its logits of a whole vocabulary may be as large as
    all that the encoder keeps.
    """
    features = features.detach().requires_grad_()
    given, _ = model.encode(features, frames)
    if writes(model):
        targets = long_texts(model, len(given))
        loss = token_losses(model.logits(given, targets), targets).sum()
    else:
        loss = given.float().square().sum()
    torch.autograd.grad(loss, features)


def gradients_of(loss: Tensor, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The gradients of a loss by the name of the tensor, of those that have a part in it."""
    found = torch.autograd.grad(loss, list(tensors.values()), allow_unused=True)
    return {name: one for name, one in zip(tensors, found, strict=True) if one is not None}


class Passes:
    """Passes of a training in the memory there is.

    Args:
        model: The source model.
        batch_seconds: Audio in one pass; 0 for what suits.
        recompute: Whether activations are computed twice; None for where it is needed.
    """

    def __init__(self, model: SourceModel, *, batch_seconds: float = 0.0, recompute: bool | None = None) -> None:
        sizes = find_sizes(model) if not batch_seconds or recompute is None else CPU_SIZES
        self.model, self._settled = model, recompute is not None
        self.seconds = batch_seconds or sizes.learned
        self.recompute = sizes.recompute if recompute is None else recompute

    def run(self, work: Callable[[SourceModel, Sequence[Item]], Result], batch: Sequence[Item]) -> list[Result]:
        """Do the work on a batch; in halves, and at last computing activations twice, where the memory gives out.

        Args:
            work: Forward pass and gradients of items by the model; it changes nothing.
            batch: What to work on.

        Returns:
            What the work gives for the batch, or for each part of it.

        Raises:
            RuntimeError: If the memory does not suffice for one item even so.
        """

        def once(items: Sequence[Item]) -> list[Result]:
            with recomputed(self.model) if self.recompute else nullcontext():
                return [work(self.model, items)]

        def once_or_twice(items: Sequence[Item]) -> list[Result]:
            try:
                return once(items)
            except RuntimeError as error:
                if not out_of_memory(error) or len(items) > 1 or self.recompute or self._settled:
                    raise
            self.recompute = True  # outside of `except`, so that the failed attempt's tensors are gone
            logger.info("too little memory for one recording: activations are computed twice from here on")
            return once(items)

        return in_halves(once_or_twice, batch)
