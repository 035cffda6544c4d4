"""What a recording passes on its way: telephone lines and low bit rates.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.filters import shape

_TELEPHONE_RATE = 8000
_BAND = (300.0, 3400.0)  # Hz that ITU-T G.712 lets through
_MU = 255.0
_EDGE = 8  # how steep the band ends
_LOUD = 0.2  # a peak that the coders see, whatever the recording's own level: 8 bits are few
_LOWEST, _HIGHEST = 1.0, 0.96  # libsndfile's compression: 6 and 16 kbit/s at 16 kHz, without headers


def through_codec(samples: Samples, name: str, quality: float) -> Samples:
    """Encode and decode samples (T,) by a codec of `CODECS`, without delay.

    Args:
        samples: (T,).
        name: A key of `CODECS`.
        quality: 0 (worst) to 1; only for codecs with a bit rate.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak:
        return samples
    scale = np.float32(_LOUD / peak)
    coded = CODECS[name](samples * scale, quality)
    coded = np.pad(coded[: len(samples)], (0, max(0, len(samples) - len(coded))))
    return np.asarray(coded / scale, dtype=np.float32)


def mu_law(samples: Samples) -> Samples:
    """To 8 bits and back by the curve of ITU-T G.711."""
    bent = np.sign(samples) * np.log1p(_MU * np.minimum(np.abs(samples), 1.0)) / np.log1p(_MU)
    steps = np.round(bent * 127.0) / 127.0
    return np.asarray(np.sign(steps) * np.expm1(np.abs(steps) * np.log1p(_MU)) / _MU, dtype=np.float32)


def _telephone(samples: Samples, quality: float) -> Samples:
    """The band of a telephone, 8000 samples a second of 8 bits."""
    low, high = _BAND

    def band(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        below, above = (hertz / low) ** _EDGE, (hertz / high) ** (4 * _EDGE)
        return np.asarray(below / (1 + below) / (1 + above))

    narrow = soxr.resample(shape(samples, band), SAMPLE_RATE, _TELEPHONE_RATE)
    return np.asarray(soxr.resample(mu_law(narrow), _TELEPHONE_RATE, SAMPLE_RATE), dtype=np.float32)


def _mu_law(samples: Samples, quality: float) -> Samples:
    return mu_law(samples)


def _opus(samples: Samples, quality: float) -> Samples:
    """Opus (RFC 6716) at 6 to 16 kbit/s, by libsndfile in memory."""
    file = io.BytesIO()
    compression = _LOWEST + quality * (_HIGHEST - _LOWEST)
    soundfile.write(file, samples, SAMPLE_RATE, format="OGG", subtype="OPUS", compression_level=compression)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0], dtype=np.float32)


CODECS: dict[str, Callable[[Samples, float], Samples]] = {
    "mu-law": _mu_law,
    "opus": _opus,
    "telephone": _telephone,
}
"""Functions of samples (T,) and of a quality from 0 to 1."""
