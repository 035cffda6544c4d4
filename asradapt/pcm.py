"""Samples as 16-bit integers, and the digest by which the same recording is known wherever it is kept.

Shapes: T samples.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int16]
FULL_SCALE = 32_768.0


def to_integers(samples: npt.NDArray[np.float32]) -> Integers:
    """Samples (T,) in [-1, 1] as 16-bit integers; exact for what was read from 16-bit audio."""
    scaled = np.rint(samples * np.float32(FULL_SCALE))
    whole: Integers = np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype("<i2")
    return whole


def to_samples(integers: Integers) -> npt.NDArray[np.float32]:
    """16-bit integers (T,) as float32 samples in [-1, 1); `to_integers` gives the same integers back."""
    return integers.astype(np.float32) / np.float32(FULL_SCALE)


def digest(samples: npt.NDArray[np.float32]) -> str:
    """The sha256, in hexadecimal, of samples (T,) as 16-bit integers, so that a stored copy has the same."""
    return hashlib.sha256(to_integers(samples).tobytes()).hexdigest()
