"""Any number of recognisers on the same utterances: who errs less, for whom, and how sure that is."""

from __future__ import annotations

from asradapt.comparison.confused import sounds_changed, words_changed
from asradapt.comparison.fairness import (
    Fairness,
    Group,
    SpeakerChange,
    fairness,
    require_columns,
    spread,
    who_changed,
)
from asradapt.comparison.pairs import PairTest, compare_pairs
from asradapt.comparison.scored import Comparison, Scored, from_evaluation, utterance_name
from asradapt.comparison.systems import System, compare_systems, parse_systems

__all__ = [
    "Comparison",
    "Fairness",
    "Group",
    "PairTest",
    "Scored",
    "SpeakerChange",
    "System",
    "compare_pairs",
    "compare_systems",
    "fairness",
    "from_evaluation",
    "parse_systems",
    "require_columns",
    "sounds_changed",
    "spread",
    "utterance_name",
    "who_changed",
    "words_changed",
]
