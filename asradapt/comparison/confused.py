"""Which words and sounds the last system confuses less or more often than the first."""

from __future__ import annotations

from pathlib import Path

from asradapt.comparison.scored import Comparison
from asradapt.scoring import Changes, changes, confusions, sound_alignments
from asradapt.simulation.phones import plain
from asradapt.simulation.pronunciations import read_dictionary

FIRST, LAST = 0, -1


def words_changed(comparison: Comparison) -> Changes:
    """The misheard, lost and added words whose number changed most."""
    return changes(*(confusions(comparison.alignments(which)) for which in (FIRST, LAST)))


def sounds_changed(comparison: Comparison, dictionary: Path) -> tuple[Changes, int]:
    """The confused sounds of misheard words whose number changed most.

    Args:
        comparison: What was measured.
        dictionary: Pronunciations in cmudict's format; stress is ignored.

    Returns:
        The changes, and how many misheard words have no pronunciation.

    Raises:
        TextError: The dictionary cannot be read or is none.
    """
    sounds = {word: tuple(map(plain, phones)) for word, phones in read_dictionary(dictionary).items()}
    found = [sound_alignments(comparison.alignments(which), sounds) for which in (FIRST, LAST)]
    return changes(*(confusions(steps) for steps, _ in found)), sum(unknown for _, unknown in found)
