"""Test-time adaptation: every utterance adapts the model to itself, all rows of a batch at once."""

from asradapt.test_time.adapt import EachOptions, adapted_outputs, depth_shares, descend, direction
from asradapt.test_time.losses import class_confusion, entropy, uncertainty

__all__ = [
    "EachOptions",
    "adapted_outputs",
    "class_confusion",
    "depth_shares",
    "descend",
    "direction",
    "entropy",
    "uncertainty",
]
