"""How certain a difference between two error rates is: the paired bootstrap over utterances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from asradapt.errors import UsageError
from asradapt.scoring.counts import ErrorCounts

# N: utterances, R: resamples.

Unit = Literal["words", "characters"]

_Counts = npt.NDArray[np.int64]
_Rates = npt.NDArray[np.float64]

_DRAWN_AT_ONCE = 1_000_000  # utterances drawn together, which bounds the memory to about 32 MB


@dataclass(frozen=True)
class Interval:
    """A difference of pooled error rates with its bootstrap interval.

    Attributes:
        difference: Rate after minus rate before, a fraction; negative is better.
        low: Lower end of the interval; None with fewer than two utterances, which allow no interval.
        high: Upper end of the interval; None with fewer than two utterances.
        level: Share of the resamples inside the interval, such as 0.95.
        probability_better: Share of the resamples with a negative difference, ties counted half; None
            with fewer than two utterances.
        unit: What was counted, `words` or `characters`.
    """

    difference: float
    low: float | None
    high: float | None
    level: float
    probability_better: float | None
    unit: Unit = "words"

    def as_dict(self) -> dict[str, float | None]:
        """The difference under `wer` or `cer`, and the ends of the interval, for `--json` outputs."""
        rate = "wer" if self.unit == "words" else "cer"
        return {rate: self.difference, "low": self.low, "high": self.high}


def paired_bootstrap(
    before: Sequence[ErrorCounts],
    after: Sequence[ErrorCounts],
    *,
    samples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    unit: Unit = "words",
) -> Interval:
    """Estimates how certain a change of the error rate is (Bisani and Ney, ICASSP 2004).

    Utterances are drawn with replacement, the same ones for both systems, and the pooled rates of each
    resample are compared; the interval is read off the percentiles of these differences.

    Args:
        before: Counts of the first system, one per utterance.
        after: Counts of the second system for the same utterances in the same order.
        samples: Number of resamples.
        level: Share of the resamples inside the interval, between 0 and 1.
        seed: The same seed gives the same interval.
        unit: Whether to compare word or character error rates.

    Raises:
        UsageError: The two lists are not the same utterances, or an option is out of range.
    """
    table = _table(before, unit), _table(after, unit)
    _check(*table, samples=samples, level=level)
    counts = np.column_stack([table[0][:, 0], table[1]])  # (N, 3): errors before, errors after, length
    difference = float(_differences(counts.sum(axis=0)))
    if len(counts) < 2:
        return Interval(difference, None, None, level, None, unit)
    drawn = _resampled(counts, samples, np.random.default_rng(seed))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    better = float(np.mean(drawn < 0) + np.mean(drawn == 0) / 2)
    return Interval(difference, float(low), float(high), level, better, unit)


def _table(counts: Sequence[ErrorCounts], unit: Unit) -> _Counts:
    """Errors and reference length of each utterance, shape (N, 2)."""
    if unit == "words":
        pairs = [(count.errors, count.words) for count in counts]
    elif unit == "characters":
        pairs = [(count.character_errors, count.characters) for count in counts]
    else:
        raise UsageError(f"unit is {unit!r}; use 'words' or 'characters'")
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _check(before: _Counts, after: _Counts, *, samples: int, level: float) -> None:
    """Raises UsageError with every reason why the two tables cannot be compared."""
    problems = []
    if len(before) != len(after):
        problems.append(f"{len(before)} utterances before and {len(after)} after; give the same ones")
    elif (different := np.flatnonzero(before[:, 1] != after[:, 1])).size:
        problems.append(
            f"{different.size} utterances differ in the length of the reference, the first at position "
            f"{different[0]}; give the same utterances in the same order"
        )
    if samples < 1:
        problems.append(f"samples is {samples}; use at least 1, better 1000 or more")
    if not 0 < level < 1:
        problems.append(f"level is {level}; use a share between 0 and 1, such as 0.95")
    if problems:
        raise UsageError("cannot compare the two systems: " + "; ".join(problems))


def _resampled(counts: _Counts, samples: int, generator: np.random.Generator) -> _Rates:
    """Differences of the pooled rates in R resamples of the utterances, shape (R,)."""
    utterances = len(counts)
    rows = max(1, _DRAWN_AT_ONCE // utterances)
    differences = []
    for start in range(0, samples, rows):
        shape = (min(rows, samples - start), utterances)
        sums = counts[generator.integers(utterances, size=shape)].sum(axis=1)  # (rows, N, 3) -> (rows, 3)
        differences.append(_differences(sums))
    return np.concatenate(differences)


def _differences(sums: _Counts) -> _Rates:
    """Rate after minus rate before for summed counts of shape (..., 3)."""
    errors, lengths = sums[..., :2], sums[..., 2:]
    # A resample of empty references only is right (0) or wrong (1), as in `ErrorCounts.wer`.
    rates = np.where(lengths > 0, errors / np.maximum(lengths, 1), errors > 0)
    return np.asarray(rates[..., 1] - rates[..., 0], dtype=np.float64)
