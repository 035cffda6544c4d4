"""The same sound under several names: found by what it sounds like, whatever its format, level or delay.

Candidates have nearly the same length and the same long-term spectrum; each is proved by the peak of the
normalised cross-correlation, which is 1 for the same sound and near 0 for another one, also of the same sentence.

Letters: T samples, N recordings, B bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Bands = npt.NDArray[np.float64]

BANDS = 32
TOP_HERTZ = 3_500.0
"""Above, telephone and lossy formats change the sound."""
LENGTH_SLACK = 0.15
"""Seconds by which formats change the length."""
SPECTRUM_SLACK = 1.5
"""Decibels, root mean square over the bands, by which formats change the spectrum."""
SAME = 0.9
"""Correlation from which two recordings are the same sound."""


def spectrum(samples: Samples, rate: int) -> Bands:
    """The long-term spectrum (B,) in decibels, without the level."""
    power = np.square(np.abs(np.fft.rfft(samples))).astype(np.float64)
    top = max(BANDS, min(len(power), round(TOP_HERTZ * len(samples) / rate)))
    edges = np.linspace(0, top, BANDS + 1).astype(int)
    bands = 10 * np.log10(np.add.reduceat(np.append(power, 0.0), np.minimum(edges[:-1], len(power))) + 1e-12)
    return np.asarray(bands - bands.mean(), dtype=np.float64)


def correlation(first: Samples, second: Samples) -> float:
    """Peak (0 to 1) of the normalised cross-correlation of two recordings over all delays."""
    energy = float(np.sqrt(np.dot(first, first) * np.dot(second, second)))
    if energy == 0:
        return 0.0
    size = 2 ** (len(first) + len(second)).bit_length()
    product = np.fft.rfft(first, size) * np.conj(np.fft.rfft(second, size))
    return float(np.abs(np.fft.irfft(product, size)).max()) / energy


def same_sounds(
    seconds: Sequence[float], spectra: Sequence[Bands], load: Callable[[int], Samples]
) -> list[list[int]]:
    """Groups of recordings that hold the same sound.

    Args:
        seconds: Length of every recording (N).
        spectra: Its `spectrum`.
        load: Reads a recording, by its number, at one rate for all.

    Returns:
        The groups of two or more, each in rising order.
    """
    if not seconds:
        return []
    order = sorted(range(len(seconds)), key=lambda place: seconds[place])
    table = np.array([spectra[place] for place in order]).reshape(len(order), -1)
    lengths = np.array([seconds[place] for place in order])
    leader = list(range(len(seconds)))
    for row, place in enumerate(order):
        last = int(np.searchsorted(lengths, lengths[row] + LENGTH_SLACK, side="right"))
        distance = np.sqrt(np.square(table[row + 1 : last] - table[row]).mean(axis=1))
        for near in np.flatnonzero(distance <= SPECTRUM_SLACK):
            other = order[row + 1 + int(near)]
            if _top(leader, place) != _top(leader, other) and correlation(load(place), load(other)) >= SAME:
                leader[_top(leader, other)] = _top(leader, place)
    groups: dict[int, list[int]] = {}
    for place in range(len(seconds)):
        groups.setdefault(_top(leader, place), []).append(place)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _top(leader: Sequence[int], place: int) -> int:
    while leader[place] != place:
        place = leader[place]
    return place
