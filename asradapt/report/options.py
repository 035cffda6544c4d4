"""What goes into a report."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asradapt.errors import UsageError


@dataclass(frozen=True)
class ReportOptions:
    """What goes into a report.

    Attributes:
        by: Columns to show groups of.
        audio: Whether recordings of the worst utterances are embedded.
        dictionary: Pronunciations in cmudict's format, for confused sounds.
        seed: Seed of the intervals.
        worst: How many utterances are shown with their alignment.
        clip_seconds: Longer recordings are not embedded.
        audio_bytes: Most bytes of all embedded recordings together.
        command: The command that made the report.
        settings: More lines for the table of settings, by name.
    """

    by: tuple[str, ...] = ()
    audio: bool = True
    dictionary: Path | None = None
    seed: int = 0
    worst: int = 12
    clip_seconds: float = 30.0
    audio_bytes: int = 3_000_000
    command: str = ""
    settings: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.worst < 0 or self.clip_seconds <= 0 or self.audio_bytes < 0:
            raise UsageError(
                f"a report shows 0 or more utterances with clips of more than 0 s and 0 or more bytes, not "
                f"{self.worst}, {self.clip_seconds}, {self.audio_bytes}"
            )
