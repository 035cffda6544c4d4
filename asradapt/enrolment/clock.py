"""A time budget: how many candidates and updates an enrolment can afford, and when to stop."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

TRAINING_COST = 3.0
"""One second of audio costs so many times as much in an update (forward, backward) as in recognising it."""
RESERVED = 0.3
"""Share of the budget that cross-validation leaves for the final training and for reading and checking."""


@dataclass
class Clock:
    """The time that a job has.

    Attributes:
        budget: Seconds for the whole job; None for no limit.
        began: When it began, by `time.monotonic`.
        speed: Seconds of audio that the source model recognises in a second, once that is known.
    """

    budget: float | None = None
    began: float = field(default_factory=time.monotonic)
    speed: float = math.inf

    def measured(self, audio_seconds: float, began: float) -> None:
        """Notes the speed of the source on this machine: so much audio since `began`."""
        self.speed = audio_seconds / max(1e-3, time.monotonic() - began)

    @property
    def left(self) -> float:
        """Seconds that cross-validation may still take."""
        if self.budget is None:
            return math.inf
        return self.budget * (1 - RESERVED) - (time.monotonic() - self.began)

    @property
    def over(self) -> bool:
        """Whether cross-validation must end."""
        return self.left <= 0

    def fits(self, cross_validation: float, folds: int) -> int:
        """Final trainings of everybody that the time still allows, none perhaps.

        Args:
            cross_validation: Seconds that it took. A fold trains on less than everything, but nothing is trained
                for longer than there.
            folds: Number of folds.
        """
        if self.budget is None:
            return sys.maxsize
        left = self.budget - (time.monotonic() - self.began)
        return max(0, int(left / max(1e-3, cross_validation / max(1, folds - 1))))

    def affordable(self, costs: Sequence[float]) -> int:
        """How many candidates fit into the time, by the audio they are trained on; never less than the first.

        Args:
            costs: Seconds of audio in all updates of each candidate, the most promising first.
        """
        room, count = self.left * self.speed / TRAINING_COST, 0
        for cost in costs:
            room -= cost
            if room < 0:
                break
            count += 1
        return max(1, count)
