"""Level, noise and the ends of one recording.

Letters: T samples, F frames of 25 ms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asradapt.audio_checks import CLIPPED_WARNING

Samples = npt.NDArray[np.float32]

FRAME_SECONDS = 0.025
QUIET_LEVEL = -55.0
"""Decibels below full scale; speech below is hardly above the steps of a 16-bit recording."""
NOISY = 15.0
"""Estimated signal-to-noise ratio in decibels below which a recording is noisy; it is not left out for that,
since whoever speaks without a pause seems noisy, and what cannot be heard in noise is found by its text."""
SPEECH_ABOVE_NOISE = 3.0
"""Decibels by which the loudest frames of speech exceed its mean level."""
LEAST_SECONDS = 1.0
"""Shorter recordings have no pause in which the noise could be measured."""
CUT_SECONDS = 0.025
"""Sound within so much of an end may have been cut off there."""
LONG_SILENCE = 3.0
"""Seconds of silence at an end from which it should be cut off."""
TOO_CLIPPED = 0.05
"""Share of clipped samples from which a recording should be made again."""


@dataclass(frozen=True)
class Quality:
    """What a recording is like.

    Attributes:
        level: Level of its loud frames (95th percentile) in decibels below full scale.
        snr: Estimated signal-to-noise ratio in decibels; None where it is too short to tell.
        lead: Seconds of silence before the first sound.
        tail: Seconds of silence behind the last sound.
        clipped: Share of samples at full scale, 0 to 1.
    """

    level: float
    snr: float | None
    lead: float
    tail: float
    clipped: float

    @property
    def problem(self) -> str:
        """Why it should be recorded again; empty where it can be used."""
        if self.clipped >= TOO_CLIPPED:
            return f"clipped: {self.clipped:.1%} of the samples are at full scale; lower the input level"
        if self.level < QUIET_LEVEL:
            return f"very quiet: the loudest parts are at {self.level:.0f} dBFS; raise the input level"
        return ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What could be better though it can be used: `clipped`, `noisy`, `cut off`, `long silence`."""
        found = []
        if CLIPPED_WARNING <= self.clipped < TOO_CLIPPED:
            found.append("clipped")
        if self.snr is not None and self.snr < NOISY:
            found.append("noisy")
        if min(self.lead, self.tail) < CUT_SECONDS and self.snr is not None:
            found.append("cut off")
        if max(self.lead, self.tail) > LONG_SILENCE:
            found.append("long silence")
        return tuple(found)

    def as_dict(self) -> dict[str, float | None]:
        """The measures for `--json` outputs."""
        rounded = {"level": self.level, "snr": self.snr, "lead": self.lead, "tail": self.tail}
        return {k: v if v is None else round(v, 2) for k, v in rounded.items()} | {"clipped": self.clipped}


def measure_quality(samples: Samples, rate: int, clipped: float) -> Quality:
    """Measures a recording (T,) that is not silent.

    Noise is the level of the quiet frames (10th percentile), speech that of the loud ones (95th), and sound is
    what lies above a third of the way between them, in decibels.
    """
    step = max(1, round(FRAME_SECONDS * rate))
    frames = samples[: max(step, len(samples) // step * step)]
    frames = frames[: len(frames) // step * step].reshape(-1, step) if len(frames) >= step else frames[None]
    power = 10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-10)
    low, high = (float(value) for value in np.percentile(power, (10, 95)))
    loud = np.flatnonzero(power >= low + (high - low) / 3)
    snr = high - low - SPEECH_ABOVE_NOISE if len(samples) >= LEAST_SECONDS * rate else None
    tail = (len(power) - 1 - int(loud[-1])) * FRAME_SECONDS
    return Quality(high, snr, int(loud[0]) * FRAME_SECONDS, tail, clipped)
