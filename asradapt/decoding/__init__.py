"""From logits to words: greedy, beam search with a language model and a speaker's phrases, times, confidence."""

from __future__ import annotations

from asradapt.decoding.beam import BeamOptions, Hypothesis, beam_search
from asradapt.decoding.fusion import Fusion, Weights
from asradapt.decoding.greedy import BLANK, best_path, greedy_decode
from asradapt.decoding.hotwords import Hotwords, make_hotwords

__all__ = [
    "BLANK",
    "BeamOptions",
    "Fusion",
    "Hotwords",
    "Hypothesis",
    "Weights",
    "beam_search",
    "best_path",
    "greedy_decode",
    "make_hotwords",
]
