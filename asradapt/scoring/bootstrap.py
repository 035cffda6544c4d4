"""How certain an error rate, or a difference of two, is: the paired bootstrap over speakers or utterances.

The interval is the difference plus and minus Student's t times the bootstrap's standard error. Percentiles,
the usual choice, are too narrow for few units (with four speakers 95% intervals hold the truth in 80% of
cases); drawing utterances again inside the drawn speakers counts their variation twice and is too wide
(99%). Where some speakers do not change at all, `partly` has the interval; where few utterances do, there are as
many degrees of freedom as changes. `docs/statistics.md` has the simulations.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from asradapt.errors import UsageError
from asradapt.scoring.counts import ErrorCounts
from asradapt.scoring.partly import effective, product_interval

# N: units that are drawn (utterances, or speakers with all they said), R: resamples.

Unit = Literal["words", "characters"]
Level = Literal["speakers", "utterances"]

_Counts = npt.NDArray[np.int64]
_Rates = npt.NDArray[np.float64]
_Flags = npt.NDArray[np.bool_]

NO_SPREAD = 1e-12
"""Rates that differ by less differ by rounding only."""

LEAST_SPEAKERS = 3
"""Two say so little of other people that the interval, true as it is, reaches to rates that nobody has."""

RESAMPLES = 2000
_DRAWN_AT_ONCE = 1_000_000  # units drawn together, which bounds the memory to about 32 MB


@dataclass(frozen=True)
class Interval:
    """A difference of pooled error rates with its bootstrap interval.

    Attributes:
        difference: Rate after minus rate before, a fraction; negative is better.
        low: Lower end of the interval; None where the units allow none: fewer than two that changed, all with the
            same difference, or fewer than three speakers.
        high: Upper end of the interval; None where `low` is.
        level: How often such intervals hold the truth, such as 0.95.
        probability_better: Share of the resamples with a negative difference, ties counted half; None
            with fewer than two units.
        unit: What was counted, `words` or `characters`.
        over: What was drawn: `utterances` asks about other sentences of these people, `speakers` about
            other people.
    """

    difference: float
    low: float | None
    high: float | None
    level: float
    probability_better: float | None
    unit: Unit = "words"
    over: Level = "utterances"

    def as_dict(self) -> dict[str, float | None]:
        """The difference under `wer` or `cer`, and the ends of the interval, for `--json` outputs."""
        rate = "wer" if self.unit == "words" else "cer"
        return {rate: self.difference, "low": self.low, "high": self.high}


def paired_bootstrap(
    before: Sequence[ErrorCounts],
    after: Sequence[ErrorCounts],
    *,
    speakers: Sequence[str] | None = None,
    samples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    unit: Unit = "words",
) -> Interval:
    """Estimates how certain a change of the error rate is (Bisani and Ney, ICASSP 2004).

    Units are drawn with replacement, the same ones for both systems, and the pooled rates of each resample
    are compared. With `speakers` a unit is a speaker, who brings along all of their utterances, so the
    interval covers both levels: that people differ, and that what each of them happened to say differs
    (Davison and Hinkley 1997, section 3.8). Otherwise a unit is an utterance.

    Args:
        before: Counts of the first system, one per utterance.
        after: Counts of the second system for the same utterances in the same order.
        speakers: Who said each utterance; None draws utterances.
        samples: Number of resamples.
        level: How often such intervals are to hold the truth, between 0 and 1.
        seed: The same seed gives the same interval.
        unit: Whether to compare word or character error rates.

    Raises:
        UsageError: The lists are not the same utterances, or an option is out of range.
    """
    table = _table(before, unit), _table(after, unit)
    _check(*table, speakers=speakers, samples=samples, level=level)
    over: Level = "utterances" if speakers is None else "speakers"
    counts = np.column_stack([table[0][:, 0], table[1]])  # (N, 3): errors before, errors after, length
    changed = counts[:, 0] != counts[:, 1]
    if speakers is not None:
        counts, changed = _by_speaker(counts, speakers)
    difference = float(_differences(counts.sum(axis=0)))
    if len(counts) < 2:
        return Interval(difference, None, None, level, None, unit, over)
    drawn = _resampled(counts, samples, np.random.default_rng(seed))
    better = float(np.mean(drawn < 0) + np.mean(drawn == 0) / 2)
    if speakers is None:
        low, high = _ends(difference, drawn, len(counts), level, changed=int(changed.sum()))
    elif len(counts) < LEAST_SPEAKERS:
        low, high = None, None
    elif changed.all():
        low, high = _ends(difference, drawn, len(counts), level, changed=len(counts))
    else:
        low, high = _ends_of_some(counts, changed, samples, seed, level)
    return Interval(difference, low, high, level, better, unit, over)


_Ends = tuple[float | None, float | None]


def _ends(difference: float, drawn: _Rates, units: int, level: float, *, changed: int) -> _Ends:
    """The ends by Student's t; none where all changed alike: that shows no spread, not that there is none.

    Nor where fewer than two changed. Few changes tell the spread as badly as few units do, so there are no more
    degrees of freedom than changes (`docs/statistics.md`).
    """
    if changed < 2 or (np.ptp(drawn) < NO_SPREAD and abs(difference) > NO_SPREAD):
        return None, None
    freedom = min(units - 1, changed)
    reach = -float(stdtrit(freedom, (1 - level) / 2)) * _standard_error(drawn, units)
    return difference - reach, difference + reach


def _ends_of_some(counts: _Counts, changed: _Flags, samples: int, seed: int, level: float) -> _Ends:
    """The ends where some speakers (N, 3) changed and others not at all; None where fewer than two did."""
    some = counts[changed]
    if len(some) < 2:
        return None, None  # how much the people differ who change is unknown
    drawn = _resampled(some, samples, np.random.default_rng(seed))
    error = _standard_error(drawn, len(some))
    if error < NO_SPREAD:
        return None, None
    change, said = float(_differences(some.sum(axis=0))), counts[:, 2]
    share = float(said[changed].sum()) / max(1.0, float(said.sum()))
    return product_interval(change, error, changed=len(some), share=share, people=effective(said), level=level)


def _standard_error(drawn: _Rates, units: int) -> float:
    return float(drawn.std()) * math.sqrt(units / (units - 1))  # the bootstrap divides by N, not N - 1


def rate_interval(
    counts: Sequence[ErrorCounts],
    *,
    speakers: Sequence[str] | None = None,
    samples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
    unit: Unit = "words",
) -> Interval:
    """The pooled error rate of one system, as `difference` from none, with its interval, never below 0.

    Arguments as those of `paired_bootstrap`.
    """
    none = [replace(c, substitutions=0, deletions=0, insertions=0, character_errors=0) for c in counts]
    found = paired_bootstrap(none, counts, speakers=speakers, samples=samples, level=level, seed=seed, unit=unit)
    return found if found.low is None else replace(found, low=max(0.0, found.low))


def _by_speaker(counts: _Counts, speakers: Sequence[str]) -> tuple[_Counts, _Flags]:
    """The rows (N, 3) summed by speaker, and which speakers have an utterance whose errors changed.

    In alphabetical order, so that the order of the rows does not matter.
    """
    names, places = np.unique(np.asarray(speakers, dtype=np.str_), return_inverse=True)
    sums = np.zeros((len(names), counts.shape[1]), dtype=np.int64)
    np.add.at(sums, places, counts)
    changed = np.zeros(len(names), dtype=np.bool_)
    changed[places[counts[:, 0] != counts[:, 1]]] = True
    return sums, changed


def _table(counts: Sequence[ErrorCounts], unit: Unit) -> _Counts:
    """Errors and reference length of each utterance, shape (N, 2)."""
    if unit == "words":
        pairs = [(count.errors, count.words) for count in counts]
    elif unit == "characters":
        pairs = [(count.character_errors, count.characters) for count in counts]
    else:
        raise UsageError(f"unit is {unit!r}; use 'words' or 'characters'")
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _check(before: _Counts, after: _Counts, *, speakers: Sequence[str] | None, samples: int, level: float) -> None:
    """Raises UsageError with every reason why the two tables cannot be compared."""
    problems = []
    if speakers is not None and len(speakers) != len(before):
        problems.append(f"{len(speakers)} speakers for {len(before)} utterances; name one for each")
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
    """Differences of the pooled rates in R resamples of the units, shape (R,)."""
    units = len(counts)
    rows = max(1, _DRAWN_AT_ONCE // units)
    differences = []
    for start in range(0, samples, rows):
        shape = (min(rows, samples - start), units)
        sums = counts[generator.integers(units, size=shape)].sum(axis=1)  # (rows, N, 3) -> (rows, 3)
        differences.append(_differences(sums))
    return np.concatenate(differences)


def _differences(sums: _Counts) -> _Rates:
    """Rate after minus rate before for summed counts of shape (..., 3)."""
    errors, lengths = sums[..., :2], sums[..., 2:]
    # A resample of empty references only is right (0) or wrong (1), as in `ErrorCounts.wer`.
    rates = np.where(lengths > 0, errors / np.maximum(lengths, 1), errors > 0)
    return np.asarray(rates[..., 1] - rates[..., 0], dtype=np.float64)
