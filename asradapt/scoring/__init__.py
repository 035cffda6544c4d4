"""Word and character error counts, and whether a difference between two systems is real.

Counts are summed over utterances and divided once (pooled rates); utterance rates are never averaged,
because a one-word utterance would then weigh as much as a sentence. `NORMALIZER` names the text
normalisation and belongs in every report: rates from different normalisations cannot be compared.
"""

from __future__ import annotations

from asradapt.scoring.alignment import Step, align
from asradapt.scoring.bootstrap import Interval, Level, Unit, paired_bootstrap, rate_interval
from asradapt.scoring.confusions import Change, Changes, changes, confusions, sound_alignments
from asradapt.scoring.counts import ErrorCounts, score, total
from asradapt.scoring.mapsswe import SegmentTest, mapsswe
from asradapt.scoring.normalization import NORMALIZER, normalize
from asradapt.scoring.permutation import sign_flip
from asradapt.scoring.significance import McNemar, holm, mcnemar

__all__ = [
    "NORMALIZER",
    "Change",
    "Changes",
    "ErrorCounts",
    "Interval",
    "Level",
    "McNemar",
    "SegmentTest",
    "Step",
    "Unit",
    "align",
    "changes",
    "confusions",
    "holm",
    "mapsswe",
    "mcnemar",
    "normalize",
    "paired_bootstrap",
    "rate_interval",
    "score",
    "sign_flip",
    "sound_alignments",
    "total",
]
