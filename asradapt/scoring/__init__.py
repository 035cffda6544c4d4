"""Word and character error counts, and whether a difference between two systems is real.

Counts are summed over utterances and divided once (pooled rates); utterance rates are never averaged,
because a one-word utterance would then weigh as much as a sentence. `NORMALIZER` names the text
normalisation and belongs in every report: rates from different normalisations cannot be compared.
"""

from __future__ import annotations

from asradapt.scoring.bootstrap import Interval, Unit, paired_bootstrap
from asradapt.scoring.counts import ErrorCounts, score, total
from asradapt.scoring.normalization import NORMALIZER, normalize
from asradapt.scoring.permutation import sign_flip

__all__ = [
    "NORMALIZER",
    "ErrorCounts",
    "Interval",
    "Unit",
    "normalize",
    "paired_bootstrap",
    "score",
    "sign_flip",
    "total",
]
