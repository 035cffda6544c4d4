"""Which recordings a point has and how long they are, and what the points before it foretell."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

from asradapt.audio import audio_seconds
from asradapt.errors import AudioError
from asradapt.types import Failure, Utterance


def timed(utterances: Sequence[Utterance], failed: list[Failure]) -> list[Utterance]:
    """Recordings with their lengths, by the files' headers where a manifest has none; others go to `failed`."""
    known = []
    for one in utterances:
        try:
            known.append(one if one.duration else replace(one, duration=audio_seconds(one.audio)))
        except AudioError as error:
            failed.append(Failure.of(str(one.audio), error))
    return known


def draw(utterances: Sequence[Utterance], minutes: float, seed: int) -> list[Utterance]:
    """As many recordings as come closest to so many minutes, in an order that only the seed decides.

    Fewer minutes of the same seed are a part of more.
    """
    order = sorted(utterances, key=lambda one: str(one.audio))
    random.Random(seed).shuffle(order)
    drawn: list[Utterance] = []
    seconds, wanted = 0.0, 60 * minutes
    for one in order:
        length = one.duration or 0.0
        if drawn and abs(seconds + length - wanted) > abs(seconds - wanted):
            break
        drawn.append(one)
        seconds += length
    return drawn


def forecast(minutes: Sequence[float], rates: Sequence[float], at: float) -> float | None:
    """The error rate that a power law a * minutes ** -b through some points foretells; never rising."""
    points = [(math.log(x), math.log(y)) for x, y in zip(minutes, rates, strict=True) if y > 0]
    if len(points) < 2:
        return None
    xs, ys = zip(*points, strict=True)
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((x - middle) * (y - height) for x, y in points) / sum((x - middle) ** 2 for x in xs)
    return math.exp(height + min(0.0, slope) * (math.log(at) - middle))
