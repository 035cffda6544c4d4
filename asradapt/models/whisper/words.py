"""The words that Whisper writes: when each is said, by what the decoder looks at, and how sure it is of them.

Times are those of dynamic time warping over the cross-attention (as in openai/whisper and transformers): the row
of a token is where the decoder looked when it wrote it.

Letters: A heads, L rows (the tokens of a text and its end), F encoder frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional

from asradapt.decoding.words import Calibration, Word

BROKEN = "\ufffd"  # part of a character
MOST_PARTS = 4  # tokens that a character is spread over at most
SURE = Calibration()  # the geometric mean of the probabilities: no measurement says better
LEAST = 1e-9


def entries(costs: npt.NDArray[np.float64]) -> list[int]:
    """The column at which the cheapest monotone path through costs (L, F) enters each row.

    The path begins in the first column and ends in the last. A row is worked out at once: the cheapest way to
    column j enters the row at some k <= j and goes on to j, and costs[:j+1].sum() - costs[:k].sum() for that.
    """
    came, totals = [], []
    before = np.full(costs.shape[1], np.inf)
    before[0] = 0.0
    for row in costs:
        upto = np.cumsum(row)
        entering = before - (upto - row)
        best = np.minimum.accumulate(entering)
        better = np.r_[True, entering[1:] < best[:-1]]
        came.append(np.maximum.accumulate(np.where(better, np.arange(len(row)), 0)))
        totals.append(upto + best)
        before = np.minimum(totals[-1], np.r_[np.inf, totals[-1][:-1]])
    found, column = [], costs.shape[1] - 1
    for number in range(len(costs) - 1, -1, -1):
        column = int(came[number][column])
        found.append(column)
        if number and column and totals[number - 1][column - 1] <= totals[number - 1][column]:
            column -= 1
    return found[::-1]


def costs_of(weights: Tensor, width: int) -> npt.NDArray[np.float64]:
    """What time warping pays (L, F) for cross-attention weights (A, L, F): little where much was looked at.

    Args:
        weights: Those of the heads that follow the speech.
        width: Frames of the median filter, odd.
    """
    weights = weights.float()
    centred = weights - weights.mean(dim=-2, keepdim=True)
    spread = weights.std(dim=-2, keepdim=True, unbiased=False).clamp(min=LEAST)
    scaled = centred / spread
    if scaled.shape[-1] > width // 2:
        reflected = functional.pad(scaled, (width // 2, width // 2), mode="reflect")
        scaled = reflected.unfold(-1, width, 1).sort().values[..., width // 2]
    costs: npt.NDArray[np.float64] = -scaled.mean(dim=0).cpu().double().numpy()
    return costs


def split_words(tokens: Sequence[int], decode: Callable[[Sequence[int]], str]) -> list[tuple[str, list[int]]]:
    """The words of a text with the places of their tokens; a word begins with a space.

    Args:
        tokens: The text's tokens, no special ones.
        decode: Tokens to text.
    """
    words: list[tuple[str, list[int]]] = []
    places: list[int] = []  # of a character that is not complete yet
    whole = decode(tokens)
    for place in range(len(tokens)):
        places.append(place)
        text = decode([tokens[one] for one in places])
        if BROKEN in text and len(places) < MOST_PARTS and place + 1 < len(tokens):
            continue
        if words and not text[:1].isspace():
            words[-1] = (words[-1][0] + text, words[-1][1] + places)
        else:
            words.append((text, places))
        places = []
    if "".join(text for text, _ in words) != whole:  # bytes that are no text
        words = [(whole, list(range(len(tokens))))]
    return [(" ".join(text.split()), places) for text, places in words if text.strip()]


def timed_words(
    words: Sequence[tuple[str, list[int]]],
    starts: Sequence[int],
    probabilities: Sequence[float],
    seconds: float,
    last: float,
) -> tuple[Word, ...]:
    """Words with times and confidence; no word begins before the one before it ends.

    Args:
        words: Each with the places of its tokens.
        starts: The frame at which every token begins, and last the end of the text (L).
        probabilities: Of every token.
        seconds: From frame to frame.
        last: End of the audio in seconds.
    """
    found: list[Word] = []
    for text, places in words:
        start = starts[places[0]] * seconds
        end = max(starts[places[-1] + 1] * seconds, start + seconds)
        start = min(last, max(start, found[-1].end if found else 0.0))
        found.append(
            Word(text, start, min(last, max(end, start + seconds)), SURE([probabilities[one] for one in places]))
        )
    return tuple(found)
