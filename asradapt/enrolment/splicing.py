"""New sentences from the words of a person's recordings: cut between words, joined in another order.

A few minutes of speech are soon learnt by heart as sentences; the same words in other company have to be heard. As
in aligned data augmentation (Lam et al. 2021), words are found by the best CTC alignment of the source model.

Letters: F frames, M mel bands.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from asradapt.decoding.alignment import align
from asradapt.enrolment.augmentation import Augmentation
from asradapt.enrolment.examples import Example
from asradapt.enrolment.objective import Pair, encode_pairs
from asradapt.models.base import SourceModel, writes

LONGEST_SECONDS = 15.0
"""Of a made sentence, where no recording is longer: slow speech would make it longer than anything enrolled."""
LEAST_WORDS = 3
"""Recordings of fewer words are commands or digits, which are said alone."""


@dataclass(frozen=True)
class Word:
    """A word in a recording.

    Attributes:
        text: The word.
        tokens: Its token numbers.
        begin: First frame of the features.
        end: Frame behind its last one; where the next word begins.
    """

    text: str
    tokens: tuple[int, ...]
    begin: int
    end: int


@torch.no_grad()
def find_words(model: SourceModel, batch: Sequence[Pair]) -> list[tuple[Word, ...]]:
    """The words of every recording of a batch; none where it has too few, or cannot be aligned.

    Models whose decoder writes have no alignment, nor have those without a token between words.
    """
    if writes(model) or " " not in model.tokens:
        return [() for _ in batch]
    space, count = model.tokens.index(" "), len(model.tokens)
    known = [[token for token in example.target.tolist() if token < count] for _, example in batch]
    logits, frames = encode_pairs(model, None, batch)
    found = align(logits, frames, known)
    words = []
    for row, ((_, example), tokens) in enumerate(zip(batch, known, strict=True)):
        size = len(tokens)
        aligned = found.tokens[row, :size].tolist() == tokens  # else there are fewer frames than it needs
        first, last = found.first[row, :size].tolist(), found.last[row, :size].tolist()
        spans = _spans(tokens, first, last, space) if aligned else []
        words.append(_words(example, spans, space, len(example.features) / max(1, int(frames[row]))))
    return words


def _spans(tokens: Sequence[int], first: Sequence[int], last: Sequence[int], space: int) -> list[tuple[int, int]]:
    """First and last frame of every word, in the frames of the logits."""
    spans: list[tuple[int, int]] = []
    fresh = True
    for place, token in enumerate(tokens):
        if token == space:
            fresh = True
        elif fresh:
            spans.append((first[place], last[place]))
            fresh = False
        else:
            spans[-1] = (spans[-1][0], last[place])
    return spans


def _words(example: Example, spans: Sequence[tuple[int, int]], space: int, scale: float) -> tuple[Word, ...]:
    """Words that share the pauses between them; `scale` frames of the features are one of the logits."""
    spelled: list[list[int]] = [[]]
    for token in example.target.tolist():
        if token == space:
            spelled.append([])
        else:
            spelled[-1].append(token)
    texts = example.text.split()
    if not len(texts) == len(spans) == len(spelled) >= LEAST_WORDS:
        return ()
    middles = [(one[1] + 1 + other[0]) / 2 for one, other in itertools.pairwise(spans)]
    cuts = [0, *(round(middle * scale) for middle in middles), len(example.features)]
    places = itertools.pairwise(cuts)
    return tuple(
        Word(text, tuple(tokens), begin, end)
        for text, tokens, (begin, end) in zip(texts, spelled, places, strict=True)
    )


def recombine(
    pool: Sequence[tuple[Example, tuple[Word, ...]]], space: int, options: Augmentation, chance: random.Random
) -> Example | None:
    """A sentence of words from the recordings of a pool, a few neighbours at a time; None without any words.

    Args:
        pool: Recordings with their words; those without are passed over.
        space: Token between words.
        options: How long the sentence and its pieces are.
        chance: What decides.
    """
    pool = [(example, words) for example, words in pool if words]
    if not pool:
        return None
    wanted, pieces, said = chance.randint(*options.splice_words), list[Tensor](), list[Word]()
    seconds, heard, longest = 0.0, 0.0, max(LONGEST_SECONDS, *(example.seconds for example, _ in pool))
    while len(said) < wanted:
        example, words = chance.choice(pool)
        count = min(len(words), wanted - len(said), chance.randint(1, options.splice_span))
        at = chance.randint(0, len(words) - count)
        piece = words[at : at + count]
        cut = example.features[piece[0].begin : piece[-1].end]
        more = len(cut) * example.seconds / len(example.features)
        if pieces and seconds + more > longest:
            break
        pieces.append(cut)
        seconds += more
        heard += more * example.longer
        said += piece
    target = [token for word in said for token in (space, *word.tokens)][1:]
    return replace(
        pool[0][0],
        features=torch.cat(pieces),
        text=" ".join(word.text for word in said),
        target=torch.tensor(target, dtype=pool[0][0].target.dtype),
        seconds=seconds,
        longer=heard / seconds if seconds else 1.0,
    )
