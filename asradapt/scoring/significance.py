"""McNemar's test for isolated words, and Holm's correction for many comparisons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.errors import UsageError


@dataclass(frozen=True)
class McNemar:
    """Result of McNemar's test.

    Attributes:
        only_first: Utterances that only the first system has right.
        only_second: Utterances that only the second system has right.
        p: Two-sided mid-p value; 1 where the systems agree on everything.
        exact: Exact two-sided p value, which is never too small and mostly too large.
    """

    only_first: int
    only_second: int
    p: float
    exact: float

    def as_dict(self) -> dict[str, float]:
        """The result for `--json` outputs."""
        return {"only_first": self.only_first, "only_second": self.only_second, "p": self.p, "exact": self.exact}


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> McNemar:
    """Tests whether one of two systems gets more utterances wholly right (McNemar 1947, binomial).

    The number of right utterances is whole, so an exact test at 5% finds a difference where there is none in fewer
    than 5% of cases. The mid-p value counts what was seen by half (Lancaster 1961), and comes close to 5%
    (Fagerland, Lydersen and Laake 2013).

    Made for isolated words, where an utterance is right or wrong; for sentences it only sees whether they are
    free of errors (Gillick and Cox, ICASSP 1989).

    Args:
        first: Whether the first system has each utterance right.
        second: The same for the second system, in the same order.

    Raises:
        UsageError: The two lists have different lengths.
    """
    if len(first) != len(second):
        raise UsageError(f"{len(first)} and {len(second)} utterances; give the same ones for both systems")
    pairs = list(zip(first, second, strict=True))
    ours, theirs = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    n, fewer = ours + theirs, min(ours, theirs)
    seen, tail = math.comb(n, fewer), sum(math.comb(n, k) for k in range(fewer + 1))
    return McNemar(ours, theirs, (2 * tail - seen) / 2**n, min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrects the p values of a family of tests, so that 5% means 5% for any error among them (Holm 1979).

    Args:
        p_values: In any order; None where a test said nothing, which does not count.

    Returns:
        The corrected values in the same order, at most 1.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected
