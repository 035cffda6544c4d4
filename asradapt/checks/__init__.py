"""What is wrong with a set of recordings before anything is trained or measured on it.

Every problem names its rows; nothing is changed.
"""

from __future__ import annotations

from asradapt.checks.checked import Checked, check_utterances
from asradapt.checks.measured import Finding
from asradapt.checks.text_match import Match, match_texts

__all__ = ["Checked", "Finding", "Match", "check_utterances", "match_texts"]
