"""The words of a language model as a tree of the model's tokens, so that unfinished words can be scored.

Every node knows the best word below it, and how plausible any spelling is as a word: names that the language model
has never seen stay possible at a stated cost.

Letters: V tokens, W words, L longest word in tokens, N nodes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from asradapt.errors import InputError
from asradapt.language.base import NONE, LanguageModel

LONGEST = 40  # tokens; longer words are left to the spelling
ROOT = 0
OFF = 1  # the word so far begins no known word; the node is its own child
FIRST = 2  # the first node that is neither
SMOOTHING = 0.1  # added to every count of letters
SAMPLE = 30_000  # words, evenly spread, are enough to learn spelling from
Ints = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True, eq=False)
class Lexicon:
    """A tree of words over tokens; all probabilities are natural logarithms.

    Attributes:
        children: (N, V) the node behind each token; node 0 is the root, node 1 stands for no word's beginning.
        number: (N,) the language model's number of the word that ends here, or -1.
        extra: (N,) what to add to the probability of that number, for words that share one.
        ahead: (N,) unigram log probability of the best word that begins like this.
        spelling: (V, V, V) log probability of a token in an unknown word, after two others; the word boundary
            stands for both ends.
        open_word: Unigram log probability of a word that is only spelled.
        boundary: The token between words.
    """

    children: Tensor
    number: Tensor
    extra: Tensor
    ahead: Tensor
    spelling: Tensor
    open_word: float
    boundary: int

    def to(self, device: torch.device | str) -> Lexicon:
        """The same lexicon on another device."""
        values = (getattr(self, f.name) for f in fields(self))
        moved: list[Any] = [value.to(device) if isinstance(value, Tensor) else value for value in values]
        return Lexicon(*moved)

    def widened(self, width: int) -> Lexicon:
        """The same words over at least `width` tokens: no word holds the further ones, which are only spelled.

        Nothing is known of them, so in an unknown word they are as likely as if all tokens were equally so.
        """
        more = width - self.children.shape[1]
        if more <= 0:
            return self
        children = functional.pad(self.children, (0, more), value=OFF)
        spelling = functional.pad(self.spelling, (0, more) * 3, value=-math.log(width))
        return replace(self, children=children, spelling=spelling)


def is_mark(token: str) -> bool:
    """Whether a token is a sign of a foreign vocabulary such as `<unk>` or `[SEP]`, which is no text."""
    return len(token) > 2 and (token[0], token[-1]) in (("<", ">"), ("[", "]"))


def token_numbers(tokens: Sequence[str]) -> dict[str, int]:
    """Number of every token that is one character, upper and lower case alike where the model has only one.

    Raises:
        InputError: If the model has no word boundary, or tokens of several characters.
    """
    numbers = {token: number for number, token in enumerate(tokens) if token and number and not is_mark(token)}
    if " " not in numbers or any(len(token) > 1 for token in numbers):
        raise InputError(
            "a language model and a vocabulary need a source model whose tokens are single characters and a "
            "space; decode this one greedily (--no-lm --beam 0)"
        )
    for token, number in list(numbers.items()):
        for other in (token.lower(), token.upper()):
            if len(other) == 1:
                numbers.setdefault(other, number)
    return numbers


def spell(words: Sequence[str], tokens: Sequence[str]) -> Ints:
    """Token numbers (W, L) of words, 0 behind their end; a row of zeros where a word cannot be written."""
    numbers = token_numbers(tokens)
    letters = np.array([word[: LONGEST + 1] for word in words] or [" "])
    codes = letters.view(np.uint32).reshape(len(letters), -1)
    table = np.full(max(map(ord, numbers)) + 2, -1, dtype=np.int16)
    table[0] = 0
    for letter, number in numbers.items():
        if letter != " ":
            table[ord(letter)] = number
    spelled = table[np.minimum(codes, len(table) - 1)]
    bad = spelled.min(axis=1) < 0
    if spelled.shape[1] > LONGEST:
        bad |= spelled[:, LONGEST] > 0
    spelled[bad] = 0
    return spelled[: len(words)]


def _order(spelled: Ints, value: npt.NDArray[np.float64], width: int) -> Ints:
    """The order of rows by their tokens, of equal rows by falling value; several tokens make one number."""
    together = int(62 / np.log2(width + 1))
    columns = []
    for first in range(0, spelled.shape[1], together):
        number = np.zeros(len(spelled), dtype=np.int64)
        for place in range(first, first + together):
            number = number * width + (spelled[:, place] if place < spelled.shape[1] else 0)
        columns.append(number)
    return np.lexsort((-value, *columns[::-1]))


def make_lexicon(model: LanguageModel, tokens: Sequence[str]) -> Lexicon:
    """The lexicon of a language model over the tokens of a source model.

    Args:
        model: The language model, on any device; the lexicon is made on the CPU.
        tokens: The V tokens, the blank first.

    Raises:
        InputError: If none of its words can be written with these tokens.
    """
    unigram = model.unigram.cpu().numpy().astype(np.float64)
    own = [number for number in range(model.size) if number not in (model.start, model.end, model.unknown)]
    words = [*(model.words[number] for number in own), *model.members]
    number = np.array([*own, *[model.unknown] * len(model.members)], dtype=np.int64)
    extra = np.where(np.arange(len(words)) < len(own), 0.0, model.member_logprob)
    spelled = spell(words, tokens)
    best_first = _order(spelled, unigram[number] + extra, len(tokens))
    best_first = best_first[spelled[best_first, 0] > 0]
    if not len(best_first):
        raise InputError(
            f"none of the {len(words)} words of the language model can be written with the model's tokens"
        )
    spelled, number, extra = spelled[best_first], number[best_first], extra[best_first]
    fresh = np.r_[True, (spelled[1:] != spelled[:-1]).any(axis=1)]  # of words written alike the likeliest
    boundary = token_numbers(tokens)[" "]
    return _assemble(spelled[fresh], number[fresh], extra[fresh], unigram, len(tokens), boundary, model)


def _assemble(
    spelled: Ints,
    number: Ints,
    extra: npt.NDArray[np.float64],
    unigram: npt.NDArray[np.float64],
    width: int,
    boundary: int,
    model: LanguageModel,
) -> Lexicon:
    """The tree of sorted, different words."""
    nodes, children = grow(spelled, width)
    count = len(children)
    last = nodes[np.arange(len(nodes)), (spelled > 0).sum(axis=1) - 1]
    ends = np.full(count, NONE, dtype=np.int64)
    ends[last] = number
    extras = np.zeros(count)
    extras[last] = extra
    ahead = np.full(count, -np.inf)
    real = spelled > 0
    value = np.broadcast_to((unigram[number] + extra)[:, None], nodes.shape)
    np.maximum.at(ahead, nodes[real], value[real])
    ahead[ROOT] = 0.0
    return Lexicon(
        torch.from_numpy(children),
        torch.from_numpy(ends),
        torch.from_numpy(extras).float(),
        torch.from_numpy(ahead).float(),
        torch.from_numpy(spelling_model(spelled, width, boundary)).float(),
        float(unigram[model.unknown]) + model.open_logprob,
        boundary,
    )


def grow(spelled: Ints, width: int) -> tuple[Ints, npt.NDArray[np.int32]]:
    """The tree of rows of tokens in lexicographic order.

    Args:
        spelled: (W, L) token numbers, 0 behind the end.
        width: Number of tokens V.

    Returns:
        The node behind every token (W, L), and the children (N, V) of every node.
    """
    same = np.zeros(spelled.shape, dtype=bool)
    same[1:] = np.logical_and.accumulate(spelled[1:] == spelled[:-1], axis=1)
    new = (spelled > 0) & ~same
    nodes = np.zeros(spelled.shape, dtype=np.int32)
    nodes[new] = np.arange(FIRST, int(new.sum()) + FIRST)
    nodes = np.maximum.accumulate(nodes, axis=0)  # rows that begin alike share what came first
    children = np.full((int(new.sum()) + FIRST, width), OFF, dtype=np.int32)
    row, place = np.nonzero(new)
    parents = np.where(place > 0, nodes[row, place - 1], ROOT)
    children[parents, spelled[row, place]] = nodes[row, place]
    return nodes, children


def spelling_model(spelled: Ints, width: int, boundary: int) -> npt.NDArray[np.float64]:
    """Log probabilities (V, V, V) of a token after two others within words, from a list of words.

    Witten and Bell (1991) interpolation of pairs and triples with an even floor.
    """
    spelled = spelled[:: max(1, len(spelled) // SAMPLE)]
    text = np.full((len(spelled), spelled.shape[1] + 3), 0, dtype=np.int64)
    text[:, :2] = boundary
    text[:, 2:-1] = spelled
    text[np.arange(len(text)), (spelled > 0).sum(axis=1) + 2] = boundary
    triples = ((text[:, :-2] * width + text[:, 1:-1]) * width + text[:, 2:])[text[:, 2:] > 0]
    seen = np.bincount(triples, minlength=width**3).reshape(width, width, width).astype(np.float64)
    letters = seen.sum(axis=(0, 1)) + SMOOTHING
    single = letters / letters.sum()
    pair = _interpolated(seen.sum(axis=0), single)
    return np.asarray(np.log(_interpolated(seen, pair)), dtype=np.float64)


def _interpolated(seen: npt.NDArray[np.float64], shorter: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Relative frequencies over the last axis, mixed with those of a shorter context by what was never seen."""
    total, kinds = seen.sum(axis=-1, keepdims=True), (seen > 0).sum(axis=-1, keepdims=True)
    mixed: npt.NDArray[np.float64] = (seen + np.maximum(kinds, 1) * shorter) / (total + np.maximum(kinds, 1))
    return mixed
