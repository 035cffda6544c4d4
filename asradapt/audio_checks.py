"""What can be wrong with an audio file that can be read: clipped, silent, short, cut off.

Shapes: T samples of a mono recording, N samples of one block of it, C channels.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

FULL_SCALE = 0.999
"""A sample at or above this magnitude counts as full scale."""
CLIPPED_RUN = 3
"""So many samples at full scale in a row are clipping; one alone is a normalised peak."""
CLIPPED_WARNING = 1e-4
"""Fraction of clipped samples from which a recording gets a warning."""
SILENCE_RMS = 1e-3
"""A recording whose loudest frame has a smaller root mean square (-60 dBFS) is silent."""
SILENCE_FRAME_SECONDS = 0.025
"""Length of the frames in which silence is measured."""
SHORT_SECONDS = 0.1
"""A recording shorter than this gets a warning: no word fits into it."""

CANCELLED = 0.01
"""Share of the power that the mean of unrelated channels has, below which they cancel each other out."""
ROUNDED = 1e-6
"""Share of the power that an offset leaves by rounding alone."""

_PROMISED = re.compile(r"(?:data|SSND|Data Size|riff|Riff size) *: (\d+) \(should be (\d+)")


@dataclass
class LevelMeter:
    """Length, peak and clipping of a file, summed up over its blocks.

    Attributes:
        frames: Samples per channel so far.
        values: Samples of all channels so far.
        peak: Largest magnitude so far, over all channels.
    """

    frames: int = 0
    values: int = 0
    peak: float = 0.0
    _clipped: int = 0
    _power: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))  # of each channel, summed up
    _sum: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))  # of each channel's samples
    _mixed: float = 0.0  # power of their mean

    def add(self, block: npt.NDArray[np.float32]) -> None:
        """Take in the next block (N, C), N at least 1."""
        magnitude = np.abs(block)
        self.frames += len(block)
        self.values += block.size
        self.peak = max(self.peak, float(magnitude.max()))
        self._clipped += _count_in_runs(magnitude >= FULL_SCALE)

    def add_mixed(self, block: npt.NDArray[np.float32], mean: npt.NDArray[np.float32]) -> None:
        """Take in the mean (N,) of the channels of a block (N, C), so that `loudest_of_cancelled` is known."""
        self._power = self._power + np.einsum("nc,nc->c", block, block, dtype=np.float64)
        self._sum = self._sum + block.sum(axis=0, dtype=np.float64)
        self._mixed += float(np.einsum("n,n->", mean, mean, dtype=np.float64))

    @property
    def loudest_of_cancelled(self) -> int | None:
        """The loudest channel, if the mean of all holds next to nothing: one has another's signal upside down.

        What does not swing, a constant offset, is no signal and does not count.
        """
        count = max(1, self.frames)
        power = self._power - self._sum**2 / count
        mixed = self._mixed - self._sum.mean() ** 2 / count
        nothing = power.sum() <= ROUNDED * self._power.sum()
        if nothing or mixed >= CANCELLED * power.sum() / len(power) ** 2:
            return None
        return int(power.argmax())

    @property
    def clipped(self) -> float:
        """Fraction, 0 to 1, of the samples that are at full scale in runs of `CLIPPED_RUN` or more."""
        return self._clipped / max(1, self.values)


def _count_in_runs(full: npt.NDArray[np.bool_]) -> int:
    """Count the true values of (N, C) that stand in runs of `CLIPPED_RUN` or more along N.

    A run across two blocks is seen as two: a few samples in a block of 2**18, not worth the bookkeeping.
    """
    starts = len(full) - CLIPPED_RUN + 1
    if starts < 1 or not full.any():
        return 0
    whole = np.logical_and.reduce([full[i : i + starts] for i in range(CLIPPED_RUN)])  # a run starts here
    inside = np.zeros_like(full)
    for i in range(CLIPPED_RUN):
        inside[i : i + starts] |= whole
    return int(inside.sum())


def is_silent(samples: npt.NDArray[np.float32], sample_rate: int) -> bool:
    """Whether even the loudest frame of (T,) is below `SILENCE_RMS`; a shorter last frame counts too."""
    length = max(1, round(SILENCE_FRAME_SECONDS * sample_rate))
    whole = len(samples) // length * length
    frames, rest = samples[:whole].reshape(-1, length), samples[whole:]
    power = np.einsum("ft,ft->f", frames, frames) / length  # without a copy of the recording
    rest_power = float(rest @ rest) / max(1, len(rest))
    return max(float(power.max(initial=0.0)), rest_power) < SILENCE_RMS**2


def level_warnings(seconds: float, clipped: float, silent: bool) -> tuple[str, ...]:
    """Say in plain sentences what somebody should look at in a recording with these levels."""
    found = []
    if silent:
        found.append("silent: even the loudest part is below -60 dBFS; check the microphone and record again")
    if clipped >= CLIPPED_WARNING:
        found.append(
            f"clipped: {100 * clipped:.2g}% of the samples are at full scale; "
            "record again with a lower input level"
        )
    if seconds < SHORT_SECONDS:
        found.append(f"very short: {seconds:.3f} s; no word fits into less than {SHORT_SECONDS:g} s")
    return tuple(found)


def missing_bytes(log: str) -> int:
    """Count the bytes that the header of a WAV, AIFF, AU, W64 or RF64 file promises and the file lacks.

    libsndfile reads such files without complaint, but its log says `data : 96000 (should be 47978)`.
    """
    for promised, there in _PROMISED.findall(log):
        size = int(promised)
        # Programs that write to a pipe cannot know the length and leave a size close to 2 or 4 GiB.
        placeholder = size > 2**30 and (size + 4096) % 2**31 < 8192
        if size > int(there) and not placeholder:
            return size - int(there)
    return 0


def ogg_ends(path: Path) -> bool:
    """Whether an Ogg file ends with a complete page that carries the end-of-stream mark."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 2**17))  # a page has at most 65,307 bytes
        tail = file.read()
    page = tail[max(0, tail.rfind(b"OggS")) :]
    if len(page) < 27 or not page[5] & 4:
        return False
    segments = page[26]
    return len(page) >= 27 + segments + sum(page[27 : 27 + segments])
