"""Kept recordings as FLAC bytes: written losslessly, read strictly.

Shapes: T samples.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
import soundfile

from asradapt.errors import DamagedSpeaker
from asradapt.pcm import Integers
from asradapt.store.kept import KeptRecording


def flac_bytes(samples: Integers, sample_rate: int) -> bytes:
    """Samples (T,) as a FLAC file; reading gives the same integers."""
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def read_flac(data: bytes, expected: KeptRecording) -> Integers:
    """Decodes a kept recording and checks that it is the one it is said to be.

    Args:
        data: The file's bytes, from anywhere.
        expected: What the list says about it.

    Returns:
        Its samples (T,).

    Raises:
        DamagedSpeaker: It is no FLAC file, or its rate, length or samples are others; nothing is decoded
            beyond the length that is stated.
    """
    if len(data) != expected.bytes:
        raise DamagedSpeaker(f"the recording has {len(data)} bytes, the list says {expected.bytes}")
    try:
        with soundfile.SoundFile(io.BytesIO(data)) as file:
            found = (file.format, file.subtype, file.channels, file.samplerate)
            if found != ("FLAC", "PCM_16", 1, expected.sample_rate):
                raise DamagedSpeaker(
                    f"the recording is {found[0]} {found[1]} with {found[2]} channels at {found[3]} Hz; it must "
                    f"be FLAC with 16 bits, one channel and {expected.sample_rate} Hz"
                )
            most = round((expected.seconds + 0.001) * expected.sample_rate)
            samples: Integers = file.read(most + 1, dtype="int16")
    except (soundfile.LibsndfileError, TypeError) as error:
        raise DamagedSpeaker(f"the recording cannot be decoded: {error}") from error
    if hashlib.sha256(np.ascontiguousarray(samples, "<i2").tobytes()).hexdigest() != expected.digest:
        raise DamagedSpeaker(f"the recording has changed: its samples are not those of {expected.digest[:12]}...")
    return samples
