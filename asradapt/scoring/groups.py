"""Groups of people and how unequal error rates are between them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from asradapt.scoring.counts import ErrorCounts, total

UNKNOWN = "(unknown)"
AGE_BANDS = ((0, "0-7"), (8, "8-12"), (13, "13-17"), (18, "18-29"), (30, "30-49"), (50, "50-69"), (70, "70+"))
"""First year and name of every band; children change fastest, so their bands are narrow."""

_YEARS = re.compile(r"(\d+(?:\.\d+)?) ?(?:years?|yrs?|y|yo|y/o)?(?: old)?")
_BAND = re.compile(  # what corpora write for an age besides years: any range, or a word for one
    r"\d|teen|twent|thirt|fou?rt|fift|sixt|sevent|eight|"
    r"infant|toddler|child|kid|adolescent|youth|young|adult|middle|senior|elder|old"
)


def group_of(fields: Mapping[str, str], key: str) -> str:
    """The group of a row by a column, or by several joined by `+`; numbers of `age` become bands."""
    return ", ".join(_one(fields, part.strip()) for part in key.split("+"))


def _one(fields: Mapping[str, str], key: str) -> str:
    value = fields.get(key, "").strip()
    if not value:
        return UNKNOWN
    return age_band(value) if key == "age" else value


def age_band(value: str) -> str:
    """The band of an age in years; `thirties` and `50-70` are bands already, what says no age is unknown."""
    lower = value.lower()
    years = _YEARS.fullmatch(lower)
    if years is None:
        return value if _BAND.search(lower) and not lower.startswith("-") else UNKNOWN
    if float(years[1]) >= 130:
        return UNKNOWN
    return next(name for first, name in reversed(AGE_BANDS) if float(years[1]) >= first)


def gap(counts: Sequence[ErrorCounts], groups: Sequence[str]) -> float | None:
    """Pooled word error rate of the worst group minus that of the best; None for fewer than two groups."""
    rates = [
        total([c for c, g in zip(counts, groups, strict=True) if g == group]).wer for group in sorted(set(groups))
    ]
    return max(rates) - min(rates) if len(rates) > 1 else None


def gap_by_chance(
    counts: Sequence[ErrorCounts],
    groups: Sequence[str],
    speakers: Sequence[str],
    *,
    samples: int = 2000,
    seed: int = 0,
) -> float | None:
    """Probability that groups drawn by lot, of the same sizes in people, differ at least as much.

    The gap of best and worst is never negative, so it is above zero by chance alone; this says whether it
    is more than that (a permutation test over speakers).

    Args:
        counts: Of every utterance.
        groups: Group of every utterance.
        speakers: Who said it.
        samples: How many times lots are drawn.
        seed: Seed of the lots.

    Returns:
        The p value; None with fewer than two groups, or where a person belongs to several.
    """
    home: dict[str, str] = {}
    for speaker, group in zip(speakers, groups, strict=True):
        if home.setdefault(speaker, group) != group:
            return None
    names = sorted(home)
    labels, places = np.unique([home[name] for name in names], return_inverse=True)
    if len(labels) < 2 or len(names) <= len(labels):
        return None
    sums = np.zeros((len(names), 2))
    index = {name: place for place, name in enumerate(names)}
    for count, speaker in zip(counts, speakers, strict=True):
        sums[index[speaker]] += count.errors, count.words
    generator = np.random.default_rng(seed)
    found = _gap(sums, places, len(labels))
    drawn = [_gap(sums, generator.permutation(places), len(labels)) for _ in range(samples)]
    return float((1 + sum(one >= found - 1e-12 for one in drawn)) / (1 + samples))


def _gap(sums: np.ndarray[tuple[int, ...], np.dtype[np.float64]], places: object, groups: int) -> float:
    table = np.zeros((groups, 2))
    np.add.at(table, places, sums)  # type: ignore[arg-type]
    rates = table[:, 0] / np.maximum(1, table[:, 1])
    return float(rates.max() - rates.min())
