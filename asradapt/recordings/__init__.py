"""Is a recording fit to be used: its level and noise, the same sound twice, and whether it says its text."""

from __future__ import annotations

from asradapt.recordings.duplicates import same_sounds, spectrum
from asradapt.recordings.fits import fit_texts, log_scores
from asradapt.recordings.mismatch import Fit, Judged, judge_texts
from asradapt.recordings.quality import Quality, measure_quality

__all__ = [
    "Fit",
    "Judged",
    "Quality",
    "fit_texts",
    "judge_texts",
    "log_scores",
    "measure_quality",
    "same_sounds",
    "spectrum",
]
