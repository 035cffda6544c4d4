"""Where adaptations are kept: one small folder per speaker, versioned, never half written."""

from __future__ import annotations

from asradapt.store.made_for import another_source, check_source, options_for
from asradapt.store.names import validate_speaker
from asradapt.store.reading import Adaptation
from asradapt.store.record import SpeakerRecord
from asradapt.store.store import SpeakerStore
from asradapt.store.vocabularies import Vocabularies
from asradapt.store.vocabulary import checked as checked_phrases
from asradapt.store.vocabulary import phrases_of

__all__ = [
    "Adaptation",
    "SpeakerRecord",
    "SpeakerStore",
    "Vocabularies",
    "another_source",
    "check_source",
    "checked_phrases",
    "options_for",
    "phrases_of",
    "validate_speaker",
]
