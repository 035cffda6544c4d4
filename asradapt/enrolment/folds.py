"""Splitting a person's recordings into folds for cross-validation."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence

SENTENCE_WORDS = 4
"""Shorter texts (commands, digits) repeat by nature."""


def speaker_seed(seed: int, speaker: str) -> int:
    """A seed of one speaker that does not depend on who else is enrolled with them."""
    return zlib.crc32(f"{seed}/{speaker}".encode())


def split_folds(texts: Sequence[str], folds: int, seed: int) -> list[list[int]]:
    """Indices of the held-out utterances of each fold: every utterance is held out exactly once.

    Readings of the same sentence stay in one fold, or the held-out error would be that of a text that
    was trained on. Texts under four words (commands, digits) are exempt: their repetition is the point.

    Args:
        texts: Normalised text of every utterance.
        folds: Number of folds; fewer come back where there are fewer different texts.
        seed: Seed of the shuffle.
    """
    groups: dict[object, list[int]] = {}
    for index, text in enumerate(texts):
        groups.setdefault(text if len(text.split()) >= SENTENCE_WORDS else index, []).append(index)
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    held_out: list[list[int]] = [[] for _ in range(min(folds, len(order)))]
    for group in sorted(order, key=len, reverse=True):
        min(held_out, key=len).extend(group)
    return [sorted(fold) for fold in held_out]
