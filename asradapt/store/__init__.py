"""Where adaptations are kept: one small folder per speaker, versioned, never half written."""

from __future__ import annotations

from asradapt.store.names import validate_speaker
from asradapt.store.reading import Adaptation
from asradapt.store.record import SpeakerRecord, check_source
from asradapt.store.store import SpeakerStore
from asradapt.store.vocabulary import checked as checked_phrases

__all__ = ["Adaptation", "SpeakerRecord", "SpeakerStore", "check_source", "checked_phrases", "validate_speaker"]
