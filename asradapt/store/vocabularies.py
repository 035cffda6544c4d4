"""The phrases of many speakers for a process that runs for long: read when asked for, and when they change."""

from __future__ import annotations

from asradapt.phrases import Phrases
from asradapt.store.store import SpeakerStore
from asradapt.store.vocabulary import Stamp

KEPT = 1000  # speakers whose phrases stay in memory


class Vocabularies:
    """The vocabularies of a store; asking again costs one look at the file's time.

    Args:
        store: Where they are stored; None for nobody's.
    """

    def __init__(self, store: SpeakerStore | None) -> None:
        self._store = store
        self._known: dict[str, tuple[Stamp | None, Phrases]] = {}

    def of(self, speaker: str | None) -> Phrases:
        """What a speaker's vocabulary holds; nothing for who is not enrolled.

        Raises:
            DamagedSpeaker: If its file is damaged.
        """
        if not speaker or self._store is None or speaker not in self._store:
            return Phrases()
        stamp = self._store.vocabulary_stamp(speaker)  # before it is read, so that no change is missed
        known = self._known.get(speaker)
        if known is None or known[0] != stamp:
            known = stamp, self._store.vocabulary(speaker)
            if speaker not in self._known and len(self._known) >= KEPT:
                self._known.pop(next(iter(self._known)))  # the one that was read first
            self._known[speaker] = known
        return known[1]
