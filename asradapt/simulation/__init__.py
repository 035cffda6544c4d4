"""Labelled speech from text, with many voices: free synthesisers, pseudo-speakers, accents, impediments."""

from asradapt.simulation.speech import speak
from asradapt.simulation.voices import PseudoSpeaker, SpeakerOptions, Trait, draw_speakers, own_voice

__all__ = ["PseudoSpeaker", "SpeakerOptions", "Trait", "draw_speakers", "own_voice", "speak"]
