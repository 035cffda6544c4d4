"""From logits to words: greedy, beam search with a language model and a speaker's phrases, times, confidence."""

from __future__ import annotations

from asradapt.decoding.alignment import align
from asradapt.decoding.beam import BEAMS, BeamOptions, Hypothesis, beam_search
from asradapt.decoding.decoder import GREEDY, Decoder, DecoderOptions
from asradapt.decoding.fusion import Fusion, Weights
from asradapt.decoding.greedy import BLANK, Emissions, best_path, greedy_decode, greedy_emissions, letters_expected
from asradapt.decoding.hotwords import Hotwords, make_hotwords, unwritable
from asradapt.decoding.words import Calibration, Heard, Timing, Word, joined

__all__ = [
    "BEAMS",
    "BLANK",
    "GREEDY",
    "BeamOptions",
    "Calibration",
    "Decoder",
    "DecoderOptions",
    "Emissions",
    "Fusion",
    "Heard",
    "Hotwords",
    "Hypothesis",
    "Timing",
    "Weights",
    "Word",
    "align",
    "beam_search",
    "best_path",
    "greedy_decode",
    "greedy_emissions",
    "joined",
    "letters_expected",
    "make_hotwords",
    "unwritable",
]
