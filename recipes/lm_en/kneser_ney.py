"""Interpolated modified Kneser-Ney estimation (Chen and Goodman 1998) of word n-grams, vectorised in numpy.

An n-gram is a row of word numbers; a level holds the n-grams of one length, sorted.
Letters: N n-grams of a level, n their length.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass
class Level:
    """The n-grams of one length n.

    Attributes:
        grams: (N, n) word numbers, rows in lexicographic order.
        seen: (N,) how often each was seen.
        counts: (N,) what is discounted: how often each was seen, below the highest level in how many contexts.
        logprob: (N,) natural logarithm of the probability of the last word after the others.
        backoff: (N,) natural logarithm of the weight of shorter contexts behind this context.
    """

    grams: Ints
    seen: Ints
    counts: Ints
    logprob: Floats
    backoff: Floats


def keys(grams: Ints, size: int) -> Ints:
    """Rows of word numbers as single integers that sort alike."""
    key = np.zeros(len(grams), dtype=np.int64)
    for column in grams.T:
        key = key * size + column
    return key


def find(level: Level, grams: Ints, size: int) -> Ints:
    """Places of n-grams in a level; -1 where it has none such."""
    known, wanted = keys(level.grams, size), keys(grams, size)
    place = np.searchsorted(known, wanted).clip(max=len(known) - 1)
    return np.where(known[place] == wanted, place, -1)


def count(sentences: list[list[int]], order: int, start: int, end: int) -> list[Level]:
    """Counts of all levels: tokens at the highest level and behind the start, contexts elsewhere."""
    text = np.array([w for s in sentences for w in (start, *s, end)], dtype=np.int64)
    sentence = np.repeat(np.arange(len(sentences)), [len(s) + 2 for s in sentences])
    levels = []
    for n in range(1, order + 1):
        windows = np.lib.stride_tricks.sliding_window_view(text, n)
        whole = sentence[: len(windows)] == sentence[n - 1 :]
        grams, counts = np.unique(windows[whole], axis=0, return_counts=True)
        empty = np.zeros(len(grams))
        levels.append(Level(grams, counts, counts, empty, empty.copy()))
    for lower, higher in pairwise(levels):
        _count_contexts(lower, higher, start)
    return levels


def _count_contexts(lower: Level, higher: Level, start: int) -> None:
    """Replace counts by the number of words seen before, but not behind the start, where there are none."""
    size = int(lower.grams.max()) + 1
    place = find(lower, higher.grams[:, 1:], size)
    contexts = np.bincount(place, minlength=len(lower.grams))
    lower.counts = np.where(lower.grams[:, 0] == start, lower.seen, contexts)


def discounts(counts: Ints) -> Floats:
    """What is taken from counts of 1, 2 and 3 or more."""
    n1, n2, n3, n4 = (int((counts == c).sum()) for c in (1, 2, 3, 4))
    if not (n1 and n2 and n3 and n4):  # too little text for the estimate; absolute discounting
        return np.array([0.0, 0.5, 0.75, 0.9])
    y = n1 / (n1 + 2 * n2)
    found = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return found.clip(0.0, [0.0, 0.95, 1.9, 2.9])


def estimate(levels: list[Level], start: int, words: int) -> None:
    """Fill in log probabilities and back-off weights of all levels.

    Args:
        levels: Counts, from `count`.
        start: Number of the sentence start, which is never predicted.
        words: Number of words that can be predicted.
    """
    first = levels[0]
    predicted = np.where(first.grams[:, 0] == start, 0, first.counts)
    discount = discounts(predicted)[predicted.clip(max=3)]
    total = predicted.sum()
    probability = (predicted - discount) / total + discount.sum() / total / words
    first.logprob = np.log(np.where(predicted > 0, probability, 1e-30))
    size = int(first.grams.max()) + 1
    for lower, level in pairwise(levels):
        context = find(lower, level.grams[:, :-1], size)
        suffix = find(lower, level.grams[:, 1:], size)
        discount = discounts(level.counts)[level.counts.clip(max=3)]
        total_of = np.bincount(context, weights=level.counts, minlength=len(lower.grams))
        left_of = np.bincount(context, weights=discount, minlength=len(lower.grams))
        weight = np.where(total_of > 0, left_of / np.maximum(total_of, 1), 1.0)
        direct = (level.counts - discount) / total_of[context]
        level.logprob = np.log(direct + weight[context] * np.exp(lower.logprob[suffix]))
        lower.backoff = np.log(np.maximum(weight, 1e-9))


def lookup(levels: list[Level], grams: Ints) -> Floats:
    """Log probability of the last word of each n-gram, backing off where it was not kept."""
    size = int(levels[0].grams.max()) + 1
    length = grams.shape[1]
    place = find(levels[length - 1], grams, size)
    if length == 1:
        return np.where(place < 0, -np.inf, levels[0].logprob[place])
    lower = levels[length - 2]
    context = find(lower, grams[:, :-1], size)
    weight = np.where(context < 0, 0.0, lower.backoff[context])
    return np.where(place < 0, weight + lookup(levels, grams[:, 1:]), levels[length - 1].logprob[place])


def prune(levels: list[Level], keep: dict[int, int]) -> None:
    """Drop the n-grams that change least when they are gone (Seymore and Rosenfeld 1996), highest level first.

    The weights of shorter contexts are computed anew, so that probabilities sum to one.

    Args:
        levels: The estimated model.
        keep: For every length how many n-grams to keep.
    """
    size = int(levels[0].grams.max()) + 1
    for number in range(len(levels) - 1, 0, -1):
        level, lower = levels[number], levels[number - 1]
        context = find(lower, level.grams[:, :-1], size)
        suffix = find(lower, level.grams[:, 1:], size)
        loss = level.seen * (level.logprob - lower.backoff[context] - lower.logprob[suffix])
        if number + 1 < len(levels):  # contexts of what was kept above stay
            loss[np.unique(find(level, levels[number + 1].grams[:, :-1], size))] = np.inf
        most = max(keep.get(number + 1, len(loss)), int(np.isinf(loss).sum()))
        chosen = np.sort(np.argsort(-loss, kind="stable")[:most])
        for name in ("grams", "seen", "counts", "logprob", "backoff"):
            setattr(level, name, getattr(level, name)[chosen])
    normalise(levels)


def normalise(levels: list[Level]) -> None:
    """Back-off weights with which the probabilities after every context sum to one, shortest contexts first."""
    size = int(levels[0].grams.max()) + 1
    for length in range(2, len(levels) + 1):
        level, lower = levels[length - 1], levels[length - 2]
        context = find(lower, level.grams[:, :-1], size)
        shorter = np.exp(lookup(levels[: length - 1], level.grams[:, 1:]))
        kept = np.bincount(context, weights=np.exp(level.logprob), minlength=len(lower.grams))
        below = np.bincount(context, weights=shorter, minlength=len(lower.grams))
        lower.backoff = np.log(np.maximum(1 - kept, 1e-9) / np.maximum(1 - below, 1e-9))
