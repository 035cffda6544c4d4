"""Intervals over people of whom only some change at all, as where the gate keeps the source for the others.

The change of an average person is the share of people who change times the change of those. A handful of them
says little about either, and the bootstrap, which only repeats the handful, says less than it knows: its intervals
hold the truth too seldom (`docs/statistics.md`). So both factors get the distribution that fits, and the interval
is that of their product: the fiducial (generalized confidence) interval, Weerahandi 1993; for data with many zeros
Hasan and Krishnamoorthy 2018.

Letters: K values of the share of people who change.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.special import betaincinv, stdtr

_SHARES = 500  # K: the distribution of the share is taken at so many places of equal weight
_HALVINGS = 60  # of the range in which an end of the interval lies


def effective(sizes: npt.NDArray[np.int64]) -> float:
    """How many equal units say as much as these unequal ones (Kish 1965)."""
    return float(sizes.sum() ** 2 / max(1, np.square(sizes).sum()))


def product_interval(
    change: float, error: float, *, changed: int, share: float, people: float, level: float
) -> tuple[float, float]:
    """The interval of the share of people who change times the change of those.

    Args:
        change: Mean change of the people who change.
        error: Its standard error, above 0.
        changed: How many they are, at least 2: Student's t has one degree of freedom fewer.
        share: Share of the people, by words, who change; between 0 and 1.
        people: How many people were measured; where they say unequal amounts, the `effective` number.
        level: How often such intervals are to hold the truth.

    Returns:
        Both ends.
    """
    places = (np.arange(_SHARES) + 0.5) / _SHARES
    # Jeffreys' distribution of a share: Beta with half a person more on either side.
    shares = betaincinv(people * share + 0.5, people * (1 - share) + 0.5, places)  # (K,)

    def reached(end: float) -> float:
        return float(stdtr(changed - 1, (end / shares - change) / error).mean())

    far = abs(change) + error
    while reached(-far) > (1 - level) / 2 or reached(far) < (1 + level) / 2:
        far *= 2
    low, high = (_crossing(reached, tail, far) for tail in ((1 - level) / 2, (1 + level) / 2))
    return low, high


def _crossing(reached: Callable[[float], float], tail: float, far: float) -> float:
    """Where a rising function reaches `tail`, between -far and far."""
    low, high = -far, far
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if reached(middle) < tail else (low, middle)
    return (low + high) / 2
