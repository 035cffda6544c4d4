"""Exact significance of a paired difference, valid however few the utterances are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

EXACT_UP_TO = 14  # utterances; 2 ** 14 sign patterns


def sign_flip(differences: Sequence[int], *, samples: int = 10_000, seed: int = 0) -> float:
    """Probability that chance alone gives a sum as low as this one (paired sign-flip test, Fisher 1935).

    If nothing has changed, each difference could as well have the other sign. With n utterances that
    differ the result is never below 2 ** -n, so a few recordings cannot prove anything by accident.

    Args:
        differences: Errors after minus errors before, one an utterance; negative is better.
        samples: Random sign patterns where there are too many to try all.
        seed: Seed of those.

    Returns:
        One-sided p value; 1 where nothing differs.
    """
    values = np.array([d for d in differences if d != 0], dtype=np.int64)
    if len(values) == 0:
        return 1.0
    if len(values) <= EXACT_UP_TO:
        bits = (np.arange(2 ** len(values))[:, None] >> np.arange(len(values))) & 1
        sums = (1 - 2 * bits) @ np.abs(values)
        return float((sums <= values.sum()).mean())
    signs = np.random.default_rng(seed).choice(np.array([-1, 1]), size=(samples, len(values)))
    return float(((signs @ np.abs(values) <= values.sum()).sum() + 1) / (samples + 1))
