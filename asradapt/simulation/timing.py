"""Change when things are said: stretching without a change of pitch, and pieces put in.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.filters import low_pass, shape
from asradapt.simulation.voicing import STEP, loudness

_WINDOW = 512
_HOP = _WINDOW // 2
_SEARCH = 140  # samples each way: a whole period of a voice at 57 Hz is found
_FADE = 80


def stretch(samples: Samples, knots: Sequence[tuple[float, float]]) -> Samples:
    """Let each moment come at another time; the pitch stays.

    Verhelst and Roelands, "An overlap-add technique based on waveform similarity (WSOLA) for high quality
    time-scale modification of speech" (1993).

    Args:
        samples: (T,).
        knots: Moments of the input and of the result, in samples, both rising; straight in between.

    Returns:
        Samples (the last knot's moment of the result,).
    """
    before, after = np.array(knots, dtype=np.float64).T
    length = round(after[-1])
    padded = np.pad(samples, (_WINDOW + _SEARCH, 2 * _WINDOW + 2 * _SEARCH))
    energy = np.concatenate([[0.0], np.cumsum(np.square(padded, dtype=np.float64))])
    wanted = np.interp(np.arange(0, length + _WINDOW, _HOP), after, before).astype(int) + _WINDOW // 2 + _SEARCH
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    result = np.zeros(len(wanted) * _HOP + _WINDOW, dtype=np.float32)
    place = wanted[0]
    for number, near in enumerate(wanted):
        if number:
            place = _most_alike(padded, energy, place + _HOP, int(near))
        result[number * _HOP :][:_WINDOW] += padded[place:][:_WINDOW] * window
    return result[_HOP:][:length]


def _most_alike(padded: Samples, energy: NDArray[np.float64], follows: int, near: int) -> int:
    """The place around `near` where the samples go on most like those at `follows`."""
    if follows == near:
        return near
    sought = padded[follows : follows + _HOP]
    around = padded[near - _SEARCH : near + _SEARCH + _HOP]
    starts = np.arange(near - _SEARCH, near + _SEARCH + 1)
    norm = np.sqrt(energy[starts + _HOP] - energy[starts] + 1e-6)
    return int(starts[np.argmax(np.correlate(around, sought) / norm)])


def insert(samples: Samples, pieces: Sequence[tuple[int, Samples]]) -> Samples:
    """Put pieces in at places, in rising order, each faded into what is around it."""
    parts, last = [], 0
    for place, piece in pieces:
        parts += [samples[last:place], piece]
        last = place
    parts.append(samples[last:])
    return np.concatenate([_faded(part) for part in parts]) if pieces else samples


def _faded(part: Samples) -> Samples:
    size = min(_FADE, len(part) // 2)
    if not size:
        return part
    part = part.copy()
    ramp = np.linspace(0, 1, size, dtype=np.float32)
    part[:size] *= ramp
    part[-size:] *= ramp[::-1]
    return part


def room_tone(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Noise (`length`,) as soft as the softest tenth of the samples: what is heard when nobody speaks."""
    power = 10 ** (float(np.quantile(loudness(samples), 0.05)) / 20)
    noise = shape(rng.standard_normal(length, dtype=np.float32), low_pass(500.0, order=1))
    return noise * np.float32(power / max(float(np.sqrt(np.mean(np.square(noise)))), 1e-9))


def gaps(samples: Samples, *, apart: float = 0.2, depth: float = 8.0) -> list[int]:
    """Places between words or syllables: the softest moments, `depth` dB below what is loud on both sides.

    Args:
        samples: (T,).
        apart: Least distance in seconds between two of them, and from the ends.
        depth: Decibels below the loudest moment within the same time on either side.
    """
    power = loudness(samples)
    reach = round(apart * 16_000 / STEP)
    found: list[int] = []
    for frame in range(reach, len(power) - reach):
        left, right = power[frame - reach : frame], power[frame : frame + reach + 1]
        lowest = power[frame] <= min(left.min(), right.min())
        if lowest and min(left.max(), right.max()) - power[frame] >= depth:
            if found and frame - found[-1] < reach:
                continue
            found.append(frame)
    return [frame * STEP for frame in found]
