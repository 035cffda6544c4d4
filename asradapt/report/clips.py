"""Recordings inside the page: MP3, which every browser plays, within a budget of bytes."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from pathlib import Path

import soundfile

from asradapt.audio import load_audio
from asradapt.errors import AudioError

RATE = 16_000


@dataclass(frozen=True)
class Clip:
    """A recording for HTML.

    Attributes:
        source: A `data:` address that holds all of it; empty where it is left out.
        remark: Why it is left out.
    """

    source: str
    remark: str = ""


class Clips:
    """Encodes recordings until the budget is spent.

    Args:
        wanted: Whether recordings are wanted at all.
        seconds: Longer recordings are left out.
        size: Most bytes of all recordings together, as they stand in the page.
    """

    def __init__(self, *, wanted: bool, seconds: float, size: int) -> None:
        self._wanted, self._seconds, self._left = wanted, seconds, size

    def encode(self, path: Path) -> Clip:
        """The recording as a `data:` address, or why it is left out."""
        if not self._wanted:
            return Clip("", "recordings were left out of this report")
        try:
            samples = load_audio(path, RATE, max_seconds=self._seconds).samples
        except AudioError as error:
            return Clip("", str(error))
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE, format="MP3")
        source = "data:audio/mpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
        if len(source) > self._left:
            return Clip("", "left out, the report would become too large")
        self._left -= len(source)
        return Clip(source)
