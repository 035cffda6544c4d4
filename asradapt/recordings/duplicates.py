"""The same sound under several names: found by what it sounds like, whatever its format, level or delay.

Candidates have about the same length and the same long-term spectrum; each is proved by the peak of the phase
correlation (PHAT; Knapp and Carter 1976) over the band of speech. All frequencies count alike there, so the hum of
a room, which fills a few of them, and a DC offset, which lies below the band, make nothing alike.

Letters: T samples, N recordings, B bands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
Bands = npt.NDArray[np.float64]

RATE = 16_000
"""Samples per second of what is compared."""
BANDS = 32
LOW_HERTZ = 250.0
"""Below are DC offsets and the strongest hum."""
TOP_HERTZ = 3_500.0
"""Above, telephone and lossy formats change the sound."""
LENGTH_SLACK = 0.5
"""Seconds by which formats, and silence put in front or behind, change the length."""
SPECTRUM_SLACK = 1.5
"""Decibels, root mean square over the bands, by which formats change the spectrum."""
SAME = 0.4
"""Correlation from which two recordings are the same sound; docs/recordings.md has what was measured."""
HUM_HERTZ, HUM_BINS = 1.0, 4.0
"""A sound whose power fills less of the band than this, and so many bins of its spectrum, is a hum and nothing
else: 0.4 to 0.9 Hz in 4 s; speech has at least 17 Hz, with a hum louder than itself 2 to 20 Hz."""
SAME_HUM = 0.99
"""Correlation from which hums are the same recording: two of one pitch reach 0.96."""
TAPER_SECONDS = 0.05
"""Both ends are faded over this time, or what a hum leaks from its cut ends would lie in the band."""


def _faded(samples: Samples, rate: int) -> Samples:
    """The recording without its DC offset and with soft ends (T,)."""
    size = min(len(samples) // 4, round(TAPER_SECONDS * rate))
    if not size:
        return samples
    ramp = np.sin(0.5 * np.pi * np.arange(size, dtype=np.float32) / size) ** 2
    faded = np.asarray(samples - samples.mean(), dtype=np.float32)
    faded[:size] *= ramp
    faded[-size:] *= ramp[::-1]
    return faded


def spectrum(samples: Samples, rate: int) -> Bands:
    """The long-term spectrum (B,) between 250 and 3500 Hz in decibels, without the level."""
    power = np.square(np.abs(np.fft.rfft(_faded(samples, rate)))).astype(np.float64)
    low, top = (min(len(power), round(hertz * len(samples) / rate)) for hertz in (LOW_HERTZ, TOP_HERTZ))
    edges = np.linspace(low, max(low + BANDS, top), BANDS + 1).astype(int)
    inside = np.append(power[: edges[-1]], 0.0)  # the last band ends at 3500 Hz, too
    bands = 10 * np.log10(np.add.reduceat(inside, np.minimum(edges[:-1], len(inside) - 1)) + 1e-12)
    return np.asarray(bands - bands.mean(), dtype=np.float64)


def correlation(first: Samples, second: Samples, rate: int = RATE) -> float:
    """Peak (0 to 1) of the phase correlation of two recordings over all delays."""
    size = 2 ** (len(first) + len(second)).bit_length()
    hertz = np.fft.rfftfreq(size, 1 / rate)
    band = (hertz >= LOW_HERTZ) & (hertz <= TOP_HERTZ)
    product = np.fft.rfft(_faded(first, rate), size) * np.conj(np.fft.rfft(_faded(second, rate), size))
    strength = np.abs(product)
    heard = band & (strength > 1e-12 * strength.max())
    if not heard.any():
        return 0.0
    product = np.where(heard, product / np.maximum(strength, 1e-30), 0)
    return float(np.abs(np.fft.irfft(product, size)).max() * size / (2 * heard.sum()))


def width(samples: Samples, rate: int = RATE) -> float:
    """How much of the band of speech the power fills, in hertz: the participation ratio of its bins."""
    power = np.square(np.abs(np.fft.rfft(_faded(samples, rate)))).astype(np.float64)
    low, top = (round(hertz * len(samples) / rate) for hertz in (LOW_HERTZ, TOP_HERTZ))
    band = power[low : top + 1]
    return float(band.sum() ** 2 / max(np.square(band).sum(), 1e-300) * rate / max(1, len(samples)))


def alike(first: Samples, second: Samples, rate: int = RATE) -> bool:
    """Whether two recordings hold the same sound."""
    hums = any(width(one, rate) < HUM_HERTZ + HUM_BINS * rate / max(1, len(one)) for one in (first, second))
    return correlation(first, second, rate) >= (SAME_HUM if hums else SAME)


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
            if _top(leader, place) != _top(leader, other) and alike(load(place), load(other)):
                leader[_top(leader, other)] = _top(leader, place)
    groups: dict[int, list[int]] = {}
    for place in range(len(seconds)):
        groups.setdefault(_top(leader, place), []).append(place)
    return sorted(sorted(group) for group in groups.values() if len(group) > 1)


def _top(leader: Sequence[int], place: int) -> int:
    while leader[place] != place:
        place = leader[place]
    return place
