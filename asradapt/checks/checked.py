"""A whole manifest checked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from asradapt.checks.looks import LOOKS
from asradapt.checks.measured import Finding, Measured, measure
from asradapt.checks.parts import part
from asradapt.types import Utterance


@dataclass(frozen=True, eq=False)
class Checked:
    """The result of checking a manifest.

    Attributes:
        rows: Every row, measured.
        findings: What was found, errors first.
    """

    rows: tuple[Measured, ...]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> int:
        """Number of findings that are errors."""
        return sum(one.severity == "error" for one in self.findings)

    def summary(self) -> dict[str, object]:
        """Counts of rows, speakers, parts, seconds and sample rates."""
        good = [row for row in self.rows if row.seconds is not None]
        seconds = [row.seconds or 0.0 for row in good]
        return {
            "rows": len(self.rows),
            "speakers": len({row.utterance.speaker for row in self.rows if row.utterance.speaker}),
            "minutes": round(sum(seconds) / 60, 2),
            "seconds": [round(float(q), 2) for q in np.quantile(seconds, [0, 0.5, 1])] if seconds else [],
            "rates": _counted(str(row.rate) for row in good),
            "channels": _counted(str(row.channels) for row in good),
            "parts": _counted(part(row) or "(none)" for row in self.rows),
        }


def _counted(values: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items()))


def check_utterances(
    utterances: Sequence[Utterance], *, progress: Callable[[float], None] | None = None
) -> Checked:
    """Reads every recording and looks for what would spoil training or measuring.

    Args:
        utterances: The rows; the column `part` says what each is for (`parts.NAMES`).
        progress: Called with the share of the rows that was read.
    """
    rows = []
    for number, utterance in enumerate(utterances, start=1):
        rows.append(measure(utterance))
        if progress:
            progress(number / len(utterances))
    found = [finding for look in LOOKS for finding in look(rows) if finding.items]
    return Checked(tuple(rows), tuple(sorted(found, key=lambda one: one.severity)))
