"""What decoding asks of a word language model, wherever its n-grams are kept."""

from __future__ import annotations

import math
from typing import Protocol

import torch
from torch import Tensor

LN10 = math.log(10.0)
RAREST = -99.0  # what ARPA files write for "never", in log10
NONE = -1  # no such n-gram, no such word


class LanguageModel(Protocol):
    """A word language model; all probabilities are natural logarithms. `NgramModel` says what the parts are."""

    @property
    def words(self) -> tuple[str, ...]:
        """The words; their numbers are their places here."""

    @property
    def members(self) -> tuple[str, ...]:
        """Words that are told apart by spelling only: they share the number of the unknown word."""

    @property
    def start(self) -> int:
        """Number of the sentence start."""

    @property
    def end(self) -> int:
        """Number of the sentence end."""

    @property
    def unknown(self) -> int:
        """Number of the unknown word."""

    @property
    def member_logprob(self) -> float:
        """Log probability of one of `members`, given the unknown word."""

    @property
    def open_logprob(self) -> float:
        """Log probability that an unknown word is none of `members`."""

    @property
    def size(self) -> int:
        """Number of words, sentence marks and the unknown word included."""

    @property
    def unigram(self) -> Tensor:
        """(size,) float32 log probability of every word by itself."""

    @property
    def device(self) -> torch.device:
        """Where states and probabilities are."""

    def to(self, device: torch.device | str) -> LanguageModel:
        """The same model on another device."""

    def begin(self, rows: int) -> Tensor:
        """States (R, n) int64 behind the sentence start."""

    def score(self, state: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities (R,) float32 of words (R,) after states (R, n), and the states behind them."""
