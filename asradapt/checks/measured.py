"""One row of a manifest with what its audio is like, and what can be wrong with rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from asradapt.audio import load_audio
from asradapt.errors import AudioError
from asradapt.recordings.duplicates import Bands, spectrum
from asradapt.types import Utterance

Severity = Literal["error", "warning"]
RATE = 16_000


@dataclass(frozen=True)
class Finding:
    """One kind of problem.

    Attributes:
        kind: A short name, such as `duplicate-audio`.
        severity: `error` for what falsifies a measurement or cannot be used, `warning` for what should be seen.
        what: What it means and what to do, in one sentence.
        items: The rows, each with what is wrong with it.
    """

    kind: str
    severity: Severity
    what: str
    items: tuple[str, ...]

    def as_dict(self) -> dict[str, object]:
        """The finding for `--json` outputs."""
        return {"kind": self.kind, "severity": self.severity, "what": self.what, "items": list(self.items)}


@dataclass(frozen=True, eq=False)
class Measured:
    """One row with what its audio is like; None where it cannot be read."""

    utterance: Utterance
    seconds: float | None
    rate: int
    channels: int
    rms: float
    spectrum: Bands
    problem: str
    warnings: tuple[str, ...]


def measure(utterance: Utterance) -> Measured:
    """Reads a recording and measures it; what cannot be read has a problem instead of a length."""
    try:
        recording = load_audio(utterance.audio, RATE)
    except AudioError as error:
        return Measured(utterance, None, 0, 0, 0.0, np.zeros(0), str(error), ())
    samples = recording.samples
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if samples.size else 0.0
    return Measured(
        utterance,
        recording.seconds,
        recording.original_rate,
        recording.channels,
        rms,
        spectrum(samples, RATE),
        "",
        recording.warnings,
    )
