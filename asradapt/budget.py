"""How much audio one forward pass takes: found from the device's memory, and halved where it was too much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from asradapt.models.base import Seq2SeqModel, SourceModel, computed_seconds, writes

Item = TypeVar("Item")
Result = TypeVar("Result")

CPU_SECONDS = 96.0  # measured: from 24 s on, more audio at once is not faster on a CPU
LEAST_SECONDS, MOST_SECONDS = 20.0, 4000.0  # one segment; and what fills any device
PROBE_ROWS, PROBE_SECONDS = 4, 10.0
SHARE = 0.6  # of the free memory: lengths, adaptations and decoding need some too
TOKENS_A_SECOND = 6.0
"""Tokens of a second of quick speech, in languages whose letters are one token each or less."""


def seconds_for(free_bytes: float, bytes_a_second: float) -> float:
    """Audio in one forward pass for this much free memory."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, SHARE * free_bytes / max(1.0, bytes_a_second)))


@torch.no_grad()
def _cuda_bytes_a_second(model: SourceModel) -> float:
    """Memory that a forward pass needs for a second of audio, padding included, by doing one."""
    seconds = computed_seconds(model, PROBE_SECONDS)
    samples = round(seconds * model.sample_rate)
    waveforms = torch.zeros(PROBE_ROWS, samples, device=model.device)
    before = torch.cuda.memory_allocated(model.device)
    torch.cuda.reset_peak_memory_stats(model.device)
    listen(model, waveforms, torch.full((PROBE_ROWS,), samples, device=model.device))
    used = torch.cuda.max_memory_allocated(model.device) - before
    return used / (PROBE_ROWS * seconds)


def long_texts(model: Seq2SeqModel, rows: int) -> list[Tensor]:
    """Targets (U,) of as much as people say in a window, one for each row: what a decoder is measured with."""
    count = min(model.most_tokens, round(TOKENS_A_SECOND * model.window_seconds))
    return [torch.zeros(count, dtype=torch.int64) for _ in range(rows)]


@torch.no_grad()
def listen(model: SourceModel, waveforms: Tensor, lengths: Tensor) -> None:
    """One pass over waveforms (B, T), and what a decoder needs on top: for a given text, and to write its own."""
    states, _ = model.forward(waveforms, lengths)
    if writes(model):
        model.logits(states, long_texts(model, len(states)))
        model.texts(states)


def batch_seconds(model: SourceModel) -> float:
    """Audio, padding included, that one forward pass of `model` should take where it is."""
    if model.device.type != "cuda":
        return CPU_SECONDS
    needed = _cuda_bytes_a_second(model)
    free, _ = torch.cuda.mem_get_info(model.device)
    return seconds_for(free, needed)


def out_of_memory(error: RuntimeError) -> bool:
    """Whether a device or the machine had too little memory."""
    told = ("not enough memory", "can't allocate memory")  # CPU allocators of Windows and Linux
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in told)


def in_halves(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item]) -> list[Result]:
    """`work(items)`, in halves where the memory does not suffice for all at once.

    Raises:
        RuntimeError: If it does not suffice for one item either.
    """
    try:
        return work(items)
    except RuntimeError as error:
        if not out_of_memory(error) or len(items) < 2:
            raise
    # outside of `except`, so that the failed attempt's tensors are gone
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    middle = len(items) // 2
    return in_halves(work, items[:middle]) + in_halves(work, items[middle:])
