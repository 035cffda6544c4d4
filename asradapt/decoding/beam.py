"""CTC prefix beam search (Hannun et al. 2014) of a padded batch, vectorised over rows and hypotheses.

A hypothesis is a text so far; the probabilities of all its alignments are summed, those that end in a blank
apart from the others. Texts are told apart by 64-bit hashes that grow with every token, so two hypotheses that
become the same text are found and added without comparing texts. Spaces at the ends of a text and doubled ones are
no tokens of their own: a space at the beginning of a word changes nothing. Rows never see each other.

Letters: B batch, F frames, V tokens, K hypotheses, N texts that are returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asradapt.decoding.frames import keep_frames
from asradapt.decoding.fusion import Fusion
from asradapt.decoding.search import NEVER, STAY, Beams, Search, parents
from asradapt.errors import UsageError

BEAMS = 256  # docs/decoding.md: what more of them bring, and cost


@dataclass(frozen=True)
class BeamOptions:
    """How wide the search is.

    Attributes:
        beams: Hypotheses K of every row.
        tokens: Most tokens C of a frame that may follow a hypothesis.
        floor: Tokens that are this many nats less likely than the best of their frame are not considered.
        skip: Frames whose blank is likelier than this only separate tokens; above 1 none is skipped.
        best: Texts of a row that are returned.
    """

    beams: int = BEAMS
    tokens: int = 10
    floor: float = 8.0
    skip: float = 0.99
    best: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.best <= self.beams:
            raise UsageError(f"best must be from 1 to the number of beams, {self.beams}; got {self.best}")
        if self.tokens < 1 or self.floor <= 0 or self.skip <= 0:
            raise UsageError("tokens, floor and skip must be positive")


@dataclass(frozen=True)
class Hypothesis:
    """One text of a row.

    Attributes:
        text: Words between single spaces.
        tokens: The token indices of the text.
        score: By which hypotheses are ranked: `acoustic` and what the words, and perhaps the sounds, are worth,
            in nats.
        acoustic: Log probability of the text, summed over its alignments, in nats.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    acoustic: float


def beam_search(
    logits: Tensor, frames: Tensor, tokens: Sequence[str], fusion: Fusion, options: BeamOptions | None = None
) -> list[list[Hypothesis]]:
    """The best texts of every row, best first.

    Args:
        logits: (B, F, V); index 0 is the blank.
        frames: (B,) true frame counts; what lies behind them is ignored.
        tokens: The V tokens.
        fusion: What words are worth; its phrases are those of the rows.
        options: How wide the search is.

    Returns:
        For each row at most `options.best` different texts.
    """
    options = options or BeamOptions()
    if not len(logits):
        return []
    kept = keep_frames(logits, frames, skip=options.skip, floor=options.floor, most=options.tokens)
    if fusion.hotwords is not None:
        fusion = replace(fusion, hotwords=fusion.hotwords.select(kept.order))
    search = Search(kept, fusion, options.beams)
    return _results(search.run(), search, tokens, options.best)


def _results(beams: Beams, search: Search, tokens: Sequence[str], best: int) -> list[list[Hypothesis]]:
    """Texts and scores in the order of the batch."""
    kept = search.kept
    acoustic = torch.logaddexp(beams.blank, beams.token) + kept.rest[:, None]
    # the same text with and without a space at its end
    known, longer_than = parents(beams)
    twin = known & (beams.words.last == search.fusion.boundary)
    nothing = torch.full_like(acoustic, NEVER)
    spaced = nothing.scatter_reduce(1, longer_than, torch.where(twin, acoustic, nothing), "amax")
    acoustic = torch.where(twin, nothing, torch.logaddexp(acoustic, spaced))
    score, order = (acoustic + search.fusion.close(beams.words)).sort(dim=1, descending=True, stable=True)
    acoustic = acoustic.gather(1, order)
    places = order[:, :best].cpu().numpy()
    texts = _texts(search.history, places, search.fusion.boundary)
    found: list[list[Hypothesis]] = [[] for _ in kept.counts]
    scores, sounds = score.tolist(), acoustic.tolist()
    for place, row in enumerate(kept.order.tolist()):
        for number, written in enumerate(texts[place]):
            if scores[place][number] > NEVER / 2:
                text = "".join(tokens[token] for token in written)
                found[row].append(Hypothesis(text, written, scores[place][number], sounds[place][number]))
    return found


def _texts(
    history: Sequence[tuple[Tensor, Tensor]], places: npt.NDArray[np.int64], boundary: int
) -> list[list[tuple[int, ...]]]:
    """Follow hypotheses (B, N) back to their first token; a boundary at the end of a text is dropped."""
    at = places.copy()
    written = [np.full(at.shape, STAY)]
    moved = [(source.cpu().numpy(), token.cpu().numpy()) for source, token in history]
    for source, token in reversed(moved):
        n = len(source)
        column = np.full(at.shape, STAY)
        column[:n] = np.take_along_axis(token, at[:n], axis=1)
        at[:n] = np.take_along_axis(source, at[:n], axis=1)
        written.append(column)
    forward = np.stack(written[::-1], axis=2)  # (B, N, T + 1)
    texts = [[one[one != STAY].tolist() for one in row] for row in forward]
    return [[tuple(one[:-1] if one and one[-1] == boundary else one) for one in row] for row in texts]
