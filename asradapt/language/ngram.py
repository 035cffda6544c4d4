"""Word n-grams with back-off as sorted tensors, so that a whole batch is looked up at once.

The n-grams of length n are numbered in the order of (number of their first n - 1 words, last word); that pair as
one integer is the key that is searched. A state is the numbers of the n-grams that end in the words said so far.

Letters: N n-grams of a length, n their length, R rows that are looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.language.base import NONE


@dataclass(frozen=True, eq=False)
class NgramModel:
    """A back-off word n-gram model (Katz 1987); all probabilities are natural logarithms.

    Attributes:
        words: The words; their numbers are their places here.
        members: Words that are told apart by spelling only: they share the number of the unknown word.
        start: Number of the sentence start.
        end: Number of the sentence end.
        unknown: Number of the unknown word.
        member_logprob: Log probability of one of `members`, given the unknown word.
        open_logprob: Log probability that an unknown word is none of `members`.
        keys: For n = 2 and more the sorted int64 keys (N,).
        logprob: For n = 1 and more the log probabilities (N,) float32.
        backoff: For n = 1 and more, but not the longest, log weights (N,) float32.
    """

    words: tuple[str, ...]
    members: tuple[str, ...]
    start: int
    end: int
    unknown: int
    member_logprob: float
    open_logprob: float
    keys: tuple[Tensor, ...]
    logprob: tuple[Tensor, ...]
    backoff: tuple[Tensor, ...]

    @property
    def order(self) -> int:
        """Words that are looked at together: 3 for trigrams."""
        return len(self.logprob)

    @property
    def size(self) -> int:
        """Number of words, sentence marks and the unknown word included."""
        return len(self.words)

    @property
    def unigram(self) -> Tensor:
        """(size,) float32 log probability of every word by itself."""
        return self.logprob[0]

    @property
    def device(self) -> torch.device:
        """Where it is looked up."""
        return self.logprob[0].device

    def to(self, device: torch.device | str) -> NgramModel:
        """The same model on another device."""
        moved = [tuple(t.to(device) for t in group) for group in (self.keys, self.logprob, self.backoff)]
        return NgramModel(
            self.words,
            self.members,
            self.start,
            self.end,
            self.unknown,
            self.member_logprob,
            self.open_logprob,
            *moved,
        )

    def begin(self, rows: int) -> Tensor:
        """States (R, order - 1) behind the sentence start."""
        state = torch.full((rows, max(1, self.order - 1)), NONE, device=self.logprob[0].device)
        state[:, 0] = self.start
        return state

    def score(self, state: Tensor, word: Tensor) -> tuple[Tensor, Tensor]:
        """Log probabilities of words after states, and the states behind them.

        Args:
            state: (R, order - 1) n-gram numbers, column k of the last k + 1 words; -1 where there is none.
            word: (R,) numbers of words.

        Returns:
            (R,) float32 and (R, order - 1).
        """
        total = self.logprob[0][word]
        following = [word]
        for level, keys in enumerate(self.keys):  # from pairs to the longest
            context = state[:, level]
            known = context != NONE
            key = context.clamp(min=0) * self.size + word
            place = torch.searchsorted(keys, key).clamp(max=len(keys) - 1)
            found = known & (keys[place] == key)
            weight = torch.where(known, self.backoff[level][context.clamp(min=0)], 0.0)
            total = torch.where(found, self.logprob[level + 1][place], total + weight)
            following.append(torch.where(found, place, torch.full_like(place, NONE)))
        return total, torch.stack(following[: max(1, self.order - 1)], dim=1)

    def sentence_logprob(self, sentence: Sequence[str]) -> float:
        """Log probability of a sentence with its end; words that are not known count as the unknown word."""
        numbers = {word: number for number, word in enumerate(self.words)}
        state, total = self.begin(1), 0.0
        for number in [*(numbers.get(word, self.unknown) for word in sentence), self.end]:
            logprob, state = self.score(state, torch.tensor([number], device=state.device))
            total += float(logprob)
        return total
