"""Change the melody of a voice and nothing else.

Shapes: T samples at 16 kHz, F frames of `voicing`, M pitch marks.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.voicing import STEP, runs

_UNVOICED = 80  # samples between marks where there is no pitch
_SLACK = 0.15  # of a period that a mark may move to the next peak


def with_pitch(samples: Samples, f0: NDArray[np.float64], wanted: NDArray[np.float64]) -> Samples:
    """Give a voice another pitch; formants and durations stay.

    Pieces of two periods are overlapped at the new distances: Moulines and Charpentier, "Pitch-synchronous
    waveform processing techniques for text-to-speech synthesis using diphones" (1990).

    Args:
        samples: (T,).
        f0: Pitch of each frame (F,) in Hz, 0 where it is not voiced, from `voicing.track_pitch`.
        wanted: The pitch to have, of the same shape; read where `f0` is not 0.

    Returns:
        Samples (T,).
    """
    marks, periods, voiced = _marks(samples, f0)
    result, weight = (np.zeros(len(samples) + 2 * SAMPLE_RATE, dtype=np.float64) for _ in range(2))
    padded = np.pad(samples, SAMPLE_RATE).astype(np.float64)
    time = float(marks[0])
    while time < marks[-1]:
        nearest = int(np.searchsorted(marks, time))
        if nearest and time - marks[nearest - 1] < marks[nearest] - time:
            nearest -= 1
        size = int(periods[nearest])
        window = _window(size)
        source, target = int(marks[nearest]) - size + SAMPLE_RATE, round(time) - size + SAMPLE_RATE
        result[target : target + 2 * size] += window * padded[source : source + 2 * size]
        weight[target : target + 2 * size] += window
        time += _next(time, nearest, marks, periods, voiced, wanted)
    inside = slice(SAMPLE_RATE, SAMPLE_RATE + len(samples))
    covered = weight[inside] > 0.05
    return np.where(covered, result[inside] / np.maximum(weight[inside], 0.3), samples).astype(np.float32)


def _next(
    time: float,
    nearest: int,
    marks: NDArray[np.int64],
    periods: NDArray[np.float64],
    voiced: NDArray[np.bool_],
    wanted: NDArray[np.float64],
) -> float:
    """Samples to the next piece."""
    if not voiced[nearest]:
        return float(periods[nearest])
    frame = min(round(time / STEP), len(wanted) - 1)
    hertz = wanted[frame] or wanted[min(round(int(marks[nearest]) / STEP), len(wanted) - 1)]
    return SAMPLE_RATE / hertz if hertz else float(periods[nearest])


def _window(size: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(2 * size) + 0.5) / size))


def _marks(
    samples: Samples, f0: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    """Pitch marks (M,) in samples, the period at each, and whether it is voiced."""
    upwards = 1.0 if samples.max(initial=0.0) > -samples.min(initial=0.0) else -1.0
    marks: list[tuple[int, float, bool]] = []
    place = 0
    for start, end in [*runs(f0 > 0), (len(f0), len(f0))]:
        begin = min(start * STEP, len(samples))
        marks += [(mark, _UNVOICED, False) for mark in range(place, begin, _UNVOICED)]
        place = begin
        if start < end:
            own = _voiced_marks(samples * upwards, f0, start, end)
            marks += own
            place = own[-1][0] + int(own[-1][1])
    marks.append((max(len(samples), place), _UNVOICED, False))
    places, periods, voiced = zip(*marks, strict=True)
    return np.array(places, dtype=np.int64), np.array(periods, dtype=np.float64), np.array(voiced, dtype=np.bool_)


def _voiced_marks(
    samples: Samples, f0: NDArray[np.float64], start: int, end: int
) -> list[tuple[int, float, bool]]:
    """Marks at the highest peak of each period between two frames."""
    first, last = start * STEP, min(end * STEP, len(samples))
    period = SAMPLE_RATE / f0[start]
    mark = first + int(np.argmax(samples[first : first + max(int(period), 1)]))
    marks = [(mark, period, True)]
    while True:
        hertz = f0[min(max(round(mark / STEP), start), end - 1)]
        period = SAMPLE_RATE / hertz
        slack = int(_SLACK * period)
        low = round(mark + period) - slack
        if low + 2 * slack >= last:
            return marks
        mark = low + int(np.argmax(samples[low : low + 2 * slack + 1]))
        marks.append((mark, period, True))
