"""CTC prefix beam search (Hannun et al. 2014) of a padded batch, vectorised over rows and hypotheses.

A hypothesis is a text so far; the probabilities of all its alignments are summed, those that end in a blank
apart from the others. Texts are told apart by 64-bit hashes that grow with every token, so two hypotheses that
become the same text are found and added without comparing texts. Spaces at the ends of a text and doubled ones are
no tokens of their own: a space at the beginning of a word changes nothing. Rows never see each other.

Letters: B batch, F frames, V tokens, K hypotheses, C tokens considered, n rows that still have frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asradapt.decoding.frames import Kept, keep_frames
from asradapt.decoding.fusion import Fusion, Words
from asradapt.decoding.greedy import BLANK
from asradapt.errors import UsageError

NEVER = -1e30  # finite, so that sums and differences stay numbers
STAY = -1  # no token was added
PRIME = 6364136223846793005  # multiplier of Knuth's MMIX generator; products wrap around


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

    beams: int = 32
    tokens: int = 12
    floor: float = 12.0
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
        score: By which hypotheses are ranked: `acoustic` and what the words are worth, in nats.
        acoustic: Log probability of the text, summed over its alignments, in nats.
    """

    text: str
    tokens: tuple[int, ...]
    score: float
    acoustic: float


@dataclass
class _Beams:
    """The hypotheses of n rows, (n, K) each.

    Attributes:
        name: Hash of the text.
        parent: Hash of the text without its last token.
        blank: Log probability of the alignments that end in a blank.
        token: The same of those that do not.
        words: What its words are worth.
    """

    name: Tensor
    parent: Tensor
    blank: Tensor
    token: Tensor
    words: Words


def _map(value: Words, change: object) -> Words:
    return Words(*(change(getattr(value, f.name)) for f in fields(value)))  # type: ignore[operator]


def _rows(beams: _Beams, rows: slice) -> _Beams:
    words = _map(beams.words, lambda tensor: tensor[rows])
    return _Beams(beams.name[rows], beams.parent[rows], beams.blank[rows], beams.token[rows], words)


def _joined(parts: Sequence[_Beams]) -> _Beams:
    words = Words(*(torch.cat([getattr(p.words, f.name) for p in parts]) for f in fields(Words)))
    name, parent, blank, token = (
        torch.cat([getattr(p, n) for p in parts]) for n in ("name", "parent", "blank", "token")
    )
    return _Beams(name, parent, blank, token, words)


def _begin(fusion: Fusion, rows: int, options: BeamOptions, like: Tensor) -> _Beams:
    """One empty text a row; the other places hold nothing."""
    shape = (rows, options.beams)
    blank = torch.full(shape, NEVER, dtype=like.dtype, device=like.device)
    token = blank.clone()
    blank[:, 0] = 0.0
    name = _fresh(shape, like.device)
    return _Beams(name, name - options.beams, blank, token, fusion.begin(*shape, like))


def _fresh(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Hashes for places that hold no text; unlike each other."""
    return -1 - torch.arange(shape[-1], device=device).expand(shape)


class _Search:
    """One batch on its way through its frames."""

    def __init__(self, kept: Kept, fusion: Fusion, options: BeamOptions) -> None:
        self.kept, self.fusion, self.options = kept, fusion, options
        spaces = (kept.usable & (kept.tokens == fusion.boundary)).any(dim=2).cpu()  # (B, T)
        self.spaces = [column.nonzero()[:, 0] for column in spaces.T]
        self.history: list[tuple[Tensor, Tensor]] = []

    def run(self) -> _Beams:
        """The hypotheses behind the last frame of every row."""
        counts = self.kept.counts
        beams = _begin(self.fusion, len(counts), self.options, self.kept.logp)
        done: list[_Beams] = []
        for step in range(counts[0] if counts else 0):
            active = sum(count > step for count in counts)
            if active < len(beams.name):
                done.append(_rows(beams, slice(active, None)))
                beams = _rows(beams, slice(active))
            beams = self._step(beams, step)
        return _joined([beams, *done[::-1]])

    def _step(self, beams: _Beams, step: int) -> _Beams:
        kept, n, width = self.kept, len(beams.name), max(1, self.kept.widest[step])
        logp, tokens = kept.logp[:n, step], kept.tokens[:n, step, :width]
        total = torch.logaddexp(beams.blank, beams.token) + kept.blanks[:n, step, None]
        apart = kept.skipped[:n, step, None]
        blank = torch.where(apart, total, beams.blank)
        token = torch.where(apart, NEVER, beams.token)
        last = beams.words.last
        begins = last == self.fusion.boundary

        grown = torch.where(tokens[:, None] == last[:, :, None], blank[:, :, None], total[:, :, None])
        grown = grown + logp.gather(1, tokens)[:, None]
        hopeless = ~kept.usable[:n, step, :width][:, None] | (
            begins[:, :, None] & (tokens == self.fusion.boundary)[:, None]
        )
        nothing = logp[:, BLANK, None].expand_as(last)
        if self.fusion.boundary >= 0:
            either = torch.logaddexp(nothing, logp[:, self.fusion.boundary, None])
            nothing = torch.where(begins, either, nothing)
        again = logp.gather(1, last.clamp(min=0))
        stay_blank = total + nothing
        stay_token = torch.where(begins, NEVER, token + again)

        # texts of the beam that another one becomes by its last token
        same, source = (beams.name[:, :, None] == beams.parent[:, None, :]).to(torch.uint8).max(dim=1)
        found = same > 0
        twice = last.gather(1, source) == last
        arriving = torch.where(twice, blank.gather(1, source), total.gather(1, source)) + again
        stay_token = torch.where(found, torch.logaddexp(stay_token, arriving), stay_token)
        place = kept.rank[:n, step].gather(1, last.clamp(min=0)).clamp(max=width)
        place = torch.where(found, source * (width + 1) + place, width)
        moved = torch.zeros(n, self.options.beams * (width + 1), dtype=torch.bool, device=last.device)
        moved = moved.scatter_(1, place, True).view(n, -1, width + 1)[:, :, :width]
        grown = grown.masked_fill(moved | hopeless, NEVER)
        return self._choose(beams, step, stay_blank, stay_token, grown, tokens)

    def _choose(
        self, beams: _Beams, step: int, blank: Tensor, token: Tensor, grown: Tensor, tokens: Tensor
    ) -> _Beams:
        """The best K of the texts that stay and those that grew (n, K, C)."""
        n, count, width = grown.shape
        longer, ended = self.fusion.extend(beams.words, tokens), None
        worth = longer.worth
        rows = self.spaces[step][: int((self.spaces[step] < n).sum())].to(tokens.device)
        if len(rows):
            ended = self._ended(beams.words, rows)
            worth = torch.where((tokens == self.fusion.boundary)[:, None], ended.worth[:, :, None], worth)
        scores = torch.cat([torch.logaddexp(blank, token) + beams.words.worth, (grown + worth).flatten(1)], dim=1)
        best, chosen = scores.topk(count, dim=1)
        grows = chosen >= count
        flat = (chosen - count).clamp(min=0)
        source = torch.where(grows, flat // width, chosen)
        added = tokens.gather(1, flat % width)
        self.history.append((source, torch.where(grows, added, STAY)))
        words = self._words(beams.words, longer, ended, source, flat, grows, added)
        name = beams.name.gather(1, source)
        parent = torch.where(grows, name, beams.parent.gather(1, source))
        name = torch.where(grows, name * PRIME + added + 1, name)
        lost = best < NEVER / 2
        fresh = _fresh((n, count), name.device)
        return _Beams(
            torch.where(lost, fresh, name),
            torch.where(lost, fresh - count, parent),
            torch.where(grows, NEVER, blank.gather(1, source)),
            torch.where(grows, grown.flatten(1).gather(1, flat), token.gather(1, source)),
            words,
        )

    def _ended(self, words: Words, rows: Tensor) -> Words:
        """All hypotheses behind a boundary, in the rows that consider one; the others stay as they are."""
        fusion = self.fusion
        if fusion.hotwords is not None:
            hotwords = fusion.hotwords.select(rows)
            fusion = Fusion(fusion.boundary, fusion.weights, fusion.language, fusion.lexicon, hotwords)
        ended = fusion.finish(_map(words, lambda tensor: tensor[rows]))
        whole = [
            getattr(words, f.name).index_put((rows,), getattr(ended, f.name).to(getattr(words, f.name).dtype))
            for f in fields(Words)
        ]
        return Words(*whole)

    def _words(
        self,
        before: Words,
        longer: Words,
        ended: Words | None,
        source: Tensor,
        flat: Tensor,
        grows: Tensor,
        added: Tensor,
    ) -> Words:
        """The words of the chosen hypotheses."""
        ends = grows & (added == self.fusion.boundary)
        columns = []
        for f in fields(Words):
            old, new = getattr(before, f.name), getattr(longer, f.name)
            if old.dim() == 3:  # states change at the ends of words only
                pick = source[:, :, None].expand(-1, -1, old.shape[2])
                value = old.gather(1, pick)
                if ended is not None:
                    value = torch.where(ends[:, :, None], getattr(ended, f.name).gather(1, pick), value)
            else:
                value = old.gather(1, source)
                if new.dim() == 3:
                    value = torch.where(grows, new.flatten(1).gather(1, flat), value)
                if ended is not None:
                    value = torch.where(ends, getattr(ended, f.name).gather(1, source), value)
            columns.append(value)
        return Words(*columns)


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
        hotwords = fusion.hotwords.select(kept.order)
        fusion = Fusion(fusion.boundary, fusion.weights, fusion.language, fusion.lexicon, hotwords)
    search = _Search(kept, fusion, options)
    beams = search.run()
    return _results(beams, search, tokens)


def _results(beams: _Beams, search: _Search, tokens: Sequence[str]) -> list[list[Hypothesis]]:
    """Texts and scores in the order of the batch."""
    kept, options = search.kept, search.options
    acoustic = torch.logaddexp(beams.blank, beams.token) + kept.rest[:, None]
    # the same text with and without a space at its end
    twin = (beams.name[:, :, None] == beams.parent[:, None, :]) & (beams.words.last == search.fusion.boundary)[
        :, None, :
    ]
    spaced = torch.where(twin, acoustic[:, None, :], NEVER).amax(dim=2)
    acoustic = torch.where(twin.any(dim=1), NEVER, torch.logaddexp(acoustic, spaced))
    score, order = (acoustic + search.fusion.close(beams.words)).sort(dim=1, descending=True, stable=True)
    acoustic = acoustic.gather(1, order)
    places = order[:, : options.best].cpu().numpy()
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
