"""What words are worth to the beam search: language model, unknown words, the speaker's phrases.

A hypothesis carries whole numbers (its places in the language model, in the tree of words, in the tree of phrases)
and what its words are worth so far; both grow by one token at a time, for all hypotheses of a batch at once.

Letters: B rows, K hypotheses of a row, C tokens that may follow, V tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.decoding.hotwords import DEAD, Hotwords
from asradapt.errors import UsageError
from asradapt.language.base import NONE, LanguageModel
from asradapt.language.lexicon import ROOT, Lexicon
from asradapt.phrases import STRENGTH


@dataclass(frozen=True)
class Weights:
    """How much the parts of a score count.

    Attributes:
        language: Weight of the language model against the acoustic model.
        word: Nats for every word.
        phrase: Nats for every token of a listed phrase; a speaker's own strength comes before it.
        listed: Natural log probability that a word of a listed phrase has at least.
        prior: How much of the source model's own prior of its tokens is divided out, with a language model.
        sound: Weight of the phones of a text, at a model's first inner output, with a language model; 0 for none.
    """

    language: float = 1.0
    word: float = 0.0
    phrase: float = STRENGTH
    listed: float = -9.0
    prior: float = 0.6
    sound: float = 0.4

    def __post_init__(self) -> None:
        if not 0 <= self.sound < float("inf"):
            raise UsageError(f"the weight of the sounds must be 0 (off) or more, and finite, got {self.sound}")


WITHOUT_PRIOR = Weights(language=0.8, word=0.75)
"""What suits a source model whose prior is not known and stays in its outputs."""


@dataclass
class Words:
    """Where hypotheses stand; all tensors are (B, K), but `state` (B, K, n), whole numbers.

    Attributes:
        last: The last token; the boundary at the beginning of a word.
        previous: The token before it within the word, else the boundary.
        node: Place in the tree of words; OFF where no word begins like this.
        phrase: Place in the tree of phrases, 0 off it.
        state: State of the language model behind the finished words.
        spelled: Log probability of the spelling of the word so far.
        settled: What finished words are worth.
        worth: The same with the unfinished word.
    """

    last: Tensor
    previous: Tensor
    node: Tensor
    phrase: Tensor
    state: Tensor
    spelled: Tensor
    settled: Tensor
    worth: Tensor


@dataclass(frozen=True, eq=False)
class Fusion:
    """The score of words.

    Attributes:
        boundary: The token between words.
        weights: How much the parts count.
        language: The language model; None for none.
        lexicon: Its words.
        hotwords: The phrases of every row; None for none.
    """

    boundary: int
    weights: Weights
    language: LanguageModel | None = None
    lexicon: Lexicon | None = None
    hotwords: Hotwords | None = None

    def begin(self, rows: int, beams: int, like: Tensor) -> Words:
        """Hypotheses without a token."""

        def whole(value: int) -> Tensor:
            return torch.full((rows, beams), value, device=like.device)

        nothing = torch.zeros(rows, beams, dtype=like.dtype, device=like.device)
        phrase = whole(DEAD) if self.hotwords is None else self.hotwords.roots[:, None].expand(-1, beams).clone()
        state = torch.zeros(rows, beams, 0, dtype=torch.int64, device=like.device)
        if self.language is not None:
            state = self.language.begin(rows * beams).view(rows, beams, -1)
        start = whole(self.boundary)
        return Words(start, start, whole(ROOT), phrase, state, nothing, nothing, nothing)

    def extend(self, words: Words, tokens: Tensor) -> Words:
        """Every hypothesis by every token (B, C) within a word.

        Returns:
            `node`, `phrase`, `spelled`, `settled` and `worth` are (B, K, C) where they depend on the token, all
            else is as for any token; `last` and `previous` are still those before.
        """
        token = tokens[:, None, :]
        settled = words.settled + self.weights.word * (words.last == self.boundary)
        node, spelled, value = words.node, words.spelled, None
        if self.lexicon is not None:
            node, spelled, value = self._within(words, token)
        phrase, worth = words.phrase, settled[:, :, None]
        if self.hotwords is not None:
            place = words.phrase[:, :, None] * self.hotwords.children.shape[1] + token
            phrase = self.hotwords.children.take(place)
            worth = settled = worth + self.weights.phrase * self.hotwords.gain.take(place)
            worth = worth + self.weights.phrase * self.hotwords.depth[phrase]
            if value is not None:
                value = torch.where(phrase > DEAD, value.clamp(min=self.weights.listed), value)
        if value is not None:
            worth = worth + self.weights.language * value
        worth = worth.expand(-1, -1, tokens.shape[1])
        return Words(words.last, words.previous, node, phrase, words.state, spelled, settled, worth)

    def _within(self, words: Words, token: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Node, spelling and log probability of words that grew by a token (B, K, C)."""
        assert self.lexicon is not None
        lexicon, size = self.lexicon, self.lexicon.children.shape[1]
        child = lexicon.children.take((words.node * size)[:, :, None] + token).long()
        before = (words.previous * size + words.last) * size
        spelled = words.spelled[:, :, None] + lexicon.spelling.take(before[:, :, None] + token)
        return child, spelled, torch.maximum(lexicon.ahead.take(child), spelled + lexicon.open_word)

    def finish(self, words: Words) -> Words:
        """Every hypothesis by the boundary: the word that ends is scored; at a word's beginning nothing ends."""
        settled, state = words.settled, words.state
        begins = words.last == self.boundary
        value = None
        if self.language is not None:
            value, state = self._word(words)
        phrase = words.phrase
        if self.hotwords is not None:
            table, place = self.hotwords, phrase * self.hotwords.children.shape[1] + self.boundary
            if value is not None:
                value = torch.where(table.ends[phrase], value.clamp(min=self.weights.listed), value)
            settled = settled + self.weights.phrase * table.gain.take(place)
            onward = table.children.take(place)
            onward = torch.where(onward > DEAD, onward, table.roots[:, None].expand_as(onward))
            phrase = torch.where(begins, phrase, onward)
        if value is not None:
            settled = settled + self.weights.language * value
        settled = torch.where(begins, words.settled, settled)
        boundary = torch.full_like(words.last, self.boundary)
        node, spelled = torch.full_like(words.node, ROOT), torch.zeros_like(words.spelled)
        state = torch.where(begins[:, :, None], words.state, state)
        # the tokens of a phrase's second word count from its first, also before they are settled
        worth = settled
        if self.hotwords is not None:
            worth = settled + self.weights.phrase * self.hotwords.depth[phrase]
        return Words(boundary, boundary, node, phrase, state, spelled, settled, worth)

    def _word(self, words: Words) -> tuple[Tensor, Tensor]:
        """Log probability (B, K) of the word that ends, by language model or spelling; the states behind."""
        assert self.language is not None
        assert self.lexicon is not None
        lexicon, size = self.lexicon, self.lexicon.children.shape[1]
        node = words.node
        number = lexicon.number.take(node)
        ending = lexicon.spelling.take((words.previous * size + words.last) * size + self.boundary)
        open_word = words.spelled + ending + self.language.open_logprob
        known = number != NONE
        extra = torch.where(known, lexicon.extra.take(node), open_word)
        number = torch.where(known, number, self.language.unknown)
        value, state = self.language.score(words.state.flatten(0, 1), number.flatten())
        return value.view_as(extra) + extra, state.view(*extra.shape, -1)

    def close(self, words: Words) -> Tensor:
        """What hypotheses are worth (B, K) when the utterance ends behind them, the sentence end included."""
        done = self.finish(words)
        settled = done.settled
        if self.hotwords is not None:
            settled = settled + self.weights.phrase * self.hotwords.rest[done.phrase]
        if self.language is None:
            return settled
        state = done.state.flatten(0, 1)
        end = torch.full((len(state),), self.language.end, device=state.device)
        value, _ = self.language.score(state, end)
        return settled + self.weights.language * value.view_as(settled)
