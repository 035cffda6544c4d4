"""What every impediment is: a name, and a function that changes samples by a strength.

They imitate what is heard, for training and tests; nobody's speech is like one of them alone.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asradapt.audio import Samples
from asradapt.errors import UnknownName, UsageError
from asradapt.simulation.filters import level

Change = Callable[[Samples, float, np.random.Generator], Samples]
"""From samples (T,), a strength above 0 and a random generator to samples."""

_PEAK = 0.98
_SHORTEST = 1600  # samples; in less than 0.1 s there is nothing to change


@dataclass(frozen=True)
class Impediment:
    """A way in which speech is hard to understand.

    Attributes:
        name: What it is asked for by.
        summary: One line for `asradapt simulate --list`.
        change: What is done to the samples.
    """

    name: str
    summary: str
    change: Change


IMPEDIMENTS: dict[str, Impediment] = {}


def register(name: str, summary: str) -> Callable[[Change], Change]:
    """Decorator that makes a function known as the impediment of a name."""

    def keep(change: Change) -> Change:
        IMPEDIMENTS[name] = Impediment(name, summary, change)
        return change

    return keep


def find_impediment(name: str) -> Impediment:
    """The impediment of a name.

    Raises:
        UnknownName: Listing the known ones.
    """
    if name not in IMPEDIMENTS:
        raise UnknownName("impediment", name, IMPEDIMENTS)
    return IMPEDIMENTS[name]


def apply(samples: Samples, name: str, strength: float, rng: np.random.Generator) -> Samples:
    """Let speech sound impeded.

    Args:
        samples: (T,), float32 in [-1, 1], at 16 kHz.
        name: A key of `IMPEDIMENTS`.
        strength: 0 leaves every bit; 1 is severe.
        rng: Decides all that is random; one seed gives the same places at every strength.

    Returns:
        Samples, float32 in [-1, 1]; where the impediment takes time, more of them. The loudness
        of what is not a pause stays, and silence stays as it is.

    Raises:
        UnknownName: Listing the known impediments.
        UsageError: A strength outside 0 to 1.
    """
    impediment = find_impediment(name)
    if not 0 <= strength <= 1:
        raise UsageError(f"the strength of an impediment is from 0 to 1, not {strength:g}")
    before = level(samples)
    if strength == 0 or len(samples) < _SHORTEST or not before:
        return samples
    changed = impediment.change(samples, strength, rng)
    gain = min(before / max(level(changed), 1e-6), _PEAK / max(float(np.abs(changed).max()), 1e-6))
    return np.asarray(changed * np.float32(gain), dtype=np.float32)
