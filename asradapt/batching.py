"""Grouping items of different lengths into batches, and long recordings into bounded segments.

Letters: T samples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt


def length_batches(
    lengths: Sequence[int], *, budget: int, most: int = 0, equal: bool = False
) -> Iterator[list[int]]:
    """Indices in batches of similar length, longest first, padding included within a budget.

    Longest first, so that a lack of memory shows at once and not after an hour.

    Args:
        lengths: Length of every item.
        budget: Most that (items in a batch) x (longest of them) may be; a longer item comes alone.
        most: Most items in a batch; 0 for any number.
        equal: Whether a batch may hold items of one length only.
    """
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        longest = lengths[batch[0]] if batch else lengths[index]
        full = (len(batch) + 1) * longest > budget or (most and len(batch) == most)
        if batch and (full or (equal and lengths[index] != longest)):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def even_budget(lengths: Sequence[int], batches: int) -> int:
    """The least budget with which `length_batches` makes so many batches of the items at most."""
    least, enough = max(lengths, default=0), len(lengths) * max(lengths, default=0)
    while least < enough:
        middle = (least + enough) // 2
        if sum(1 for _ in length_batches(lengths, budget=middle)) <= batches:
            enough = middle
        else:
            least = middle + 1
    return enough


def pad(waveforms: Sequence[npt.NDArray[np.float32]]) -> tuple[npt.NDArray[np.float32], list[int]]:
    """Waveforms of any lengths to one (B, T) array, zeros at the end, and their lengths."""
    lengths = [len(waveform) for waveform in waveforms]
    padded = np.zeros((len(waveforms), max(lengths, default=0)), dtype=np.float32)
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded, lengths


def segments(
    samples: npt.NDArray[np.float32], rate: int, *, shortest: float = 12.0, longest: float = 20.0
) -> list[npt.NDArray[np.float32]]:
    """Cut a recording at its quietest places into pieces of bounded length, so that memory is bounded.

    A recording up to `longest` stays whole. Otherwise every cut lies at the quietest 50 ms between
    `shortest` and `longest` seconds after the last one.

    Args:
        samples: (T,) waveform; the pieces are views of it and together are all of it.
        rate: Samples per second.
        shortest: Least length of a piece in seconds (the last may be shorter).
        longest: Greatest length of a piece in seconds.
    """
    pieces, window = [], max(1, int(0.05 * rate))
    while len(samples) > longest * rate:
        first, last = int(shortest * rate), int(longest * rate)
        count = max(1, (last - first) // window)
        first = min(first, last - count * window)
        energy = np.square(samples[first : first + count * window].reshape(count, window)).sum(axis=1)
        cut = first + int(energy.argmin()) * window + window // 2
        pieces.append(samples[:cut])
        samples = samples[cut:]
    return [*pieces, samples] if len(samples) else pieces
