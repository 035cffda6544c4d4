"""The loop of the beam search: hypotheses of all rows, one frame further at a time.

Letters: V tokens, K hypotheses, C tokens considered, n rows that still have frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from asradapt.decoding.frames import Kept
from asradapt.decoding.fusion import Fusion, Words
from asradapt.decoding.greedy import BLANK
from asradapt.language.lexicon import ROOT

NEVER = -1e30  # finite, so that sums and differences stay numbers
STAY = -1  # no token was added
PRIME = 6364136223846793005  # multiplier of Knuth's MMIX generator; products wrap around


@dataclass
class Beams:
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


def _map(value: Words, change: Callable[[Tensor], Tensor]) -> Words:
    return Words(*(change(getattr(value, f.name)) for f in fields(value)))


def _rows(beams: Beams, rows: slice) -> Beams:
    words = _map(beams.words, lambda tensor: tensor[rows])
    return Beams(beams.name[rows], beams.parent[rows], beams.blank[rows], beams.token[rows], words)


def _joined(parts: Sequence[Beams]) -> Beams:
    words = Words(*(torch.cat([getattr(p.words, f.name) for p in parts]) for f in fields(Words)))
    name, parent, blank, token = (
        torch.cat([getattr(p, n) for p in parts]) for n in ("name", "parent", "blank", "token")
    )
    return Beams(name, parent, blank, token, words)


def parents(beams: Beams) -> tuple[Tensor, Tensor]:
    """Whether the text without its last token is in the beam too, and its place there; (n, K) each."""
    names, order = beams.name.sort(dim=1)
    place = torch.searchsorted(names, beams.parent).clamp(max=names.shape[1] - 1)
    return names.gather(1, place) == beams.parent, order.gather(1, place)


def _begin(fusion: Fusion, rows: int, count: int, like: Tensor) -> Beams:
    """One empty text a row; the other places hold nothing."""
    blank = torch.full((rows, count), NEVER, dtype=like.dtype, device=like.device)
    token = blank.clone()
    blank[:, 0] = 0.0
    name = _fresh((rows, count), like.device)
    return Beams(name, name - count, blank, token, fusion.begin(rows, count, like))


def _fresh(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Hashes for places that hold no text; unlike each other."""
    return -1 - torch.arange(shape[-1], device=device).expand(shape)


class Search:
    """One batch on its way through its frames.

    Args:
        kept: The frames that are looked at.
        fusion: What words are worth; its phrases are those of the rows in the order of `kept`.
        count: Hypotheses K of every row.
    """

    def __init__(self, kept: Kept, fusion: Fusion, count: int) -> None:
        self.kept, self.fusion, self.count = kept, fusion, count
        spaces = (kept.usable & (kept.tokens == fusion.boundary)).any(dim=2).cpu()  # (B, T)
        self.spaces = [column.nonzero()[:, 0] for column in spaces.T]
        self.history: list[tuple[Tensor, Tensor]] = []  # for every step the source and the token of every place

    def run(self) -> Beams:
        """The hypotheses behind the last frame of every row."""
        counts = self.kept.counts
        beams = _begin(self.fusion, len(counts), self.count, self.kept.logp)
        done: list[Beams] = []
        for step in range(counts[0] if counts else 0):
            active = sum(count > step for count in counts)
            if active < len(beams.name):
                done.append(_rows(beams, slice(active, None)))
                beams = _rows(beams, slice(active))
            beams = self._step(self._after_blanks(beams, step), step)
        return _joined([beams, *done[::-1]])

    def _after_blanks(self, beams: Beams, step: int) -> Beams:
        """All alignments end in a blank where frames that are plainly blank were skipped."""
        n = len(beams.name)
        skipped = self.kept.skipped[:n, step, None]
        total = torch.logaddexp(beams.blank, beams.token) + self.kept.blanks[:n, step, None]
        return replace(
            beams,
            blank=torch.where(skipped, total, beams.blank),
            token=torch.where(skipped, NEVER, beams.token),
        )

    def _step(self, beams: Beams, step: int) -> Beams:
        """One frame further: every text stays or grows by a token, and the best are kept."""
        kept, n = self.kept, len(beams.name)
        width = max(1, kept.widest[step])
        logp, tokens, usable = kept.logp[:n, step], kept.tokens[:n, step, :width], kept.usable[:n, step, :width]
        total = torch.logaddexp(beams.blank, beams.token)
        blank, token = self._staying(beams, total, logp)
        last = beams.words.last
        grown = torch.where(tokens[:, None] == last[:, :, None], beams.blank[:, :, None], total[:, :, None])
        grown = grown + logp.gather(1, tokens)[:, None]
        boundary = self.fusion.boundary
        empty = (last == boundary)[:, :, None] & (tokens == boundary)[:, None]  # words have a letter at least
        arriving, moved = self._meeting(beams, total, logp, kept.rank[:n, step], width)
        grown = grown.masked_fill(moved | empty | ~usable[:, None], NEVER)
        return self._choose(beams, step, blank, torch.logaddexp(token, arriving), grown, tokens)

    def _staying(self, beams: Beams, total: Tensor, logp: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities (n, K) of texts that stay as they are: by a blank, and by their last token again."""
        last, boundary = beams.words.last, self.fusion.boundary
        nothing = logp[:, BLANK, None].expand_as(last)
        begins = last == boundary
        if boundary >= 0:  # one more boundary at the beginning of a word changes nothing
            nothing = torch.where(begins, torch.logaddexp(nothing, logp[:, boundary, None]), nothing)
        again = beams.token + logp.gather(1, last.clamp(min=0))
        return total + nothing, torch.where(begins, NEVER, again)

    def _meeting(
        self, beams: Beams, total: Tensor, logp: Tensor, rank: Tensor, width: int
    ) -> tuple[Tensor, Tensor]:
        """Texts of the beam that another one becomes by its last token.

        Returns:
            What the other one brings (n, K), and which growth (n, K, C) is used up by that.
        """
        last = beams.words.last
        found, source = parents(beams)
        twice = last.gather(1, source) == last
        from_source = torch.where(twice, beams.blank.gather(1, source), total.gather(1, source))
        arriving = torch.where(found, from_source + logp.gather(1, last.clamp(min=0)), NEVER)
        place = rank.gather(1, last.clamp(min=0)).clamp(max=width)
        place = torch.where(found, source * (width + 1) + place, width)
        moved = torch.zeros(len(last), self.count * (width + 1), dtype=torch.bool, device=last.device)
        return arriving, moved.scatter_(1, place, True).view(len(last), -1, width + 1)[:, :, :width]

    def _choose(
        self, beams: Beams, step: int, blank: Tensor, token: Tensor, grown: Tensor, tokens: Tensor
    ) -> Beams:
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
        return Beams(
            torch.where(lost, fresh, name),
            torch.where(lost, fresh - count, parent),
            torch.where(grows, NEVER, blank.gather(1, source)),
            torch.where(grows, grown.flatten(1).gather(1, flat), token.gather(1, source)),
            words,
        )

    def _ended(self, words: Words, rows: Tensor) -> Words:
        """All hypotheses behind a boundary, in the rows that consider one; the others stay as they are."""
        fusion, count = self.fusion, len(words.last)
        if fusion.hotwords is not None:
            fusion = replace(fusion, hotwords=fusion.hotwords.select(rows))
        if len(rows) == count:
            return fusion.finish(words)
        ended = fusion.finish(_map(words, lambda tensor: tensor[rows]))

        def spread(value: Tensor, part: Tensor) -> Tensor:
            return value.index_put((rows,), part)

        return replace(  # the other fields are the same behind every boundary
            words,
            phrase=words.phrase if fusion.hotwords is None else spread(words.phrase, ended.phrase),
            state=spread(words.state, ended.state),
            settled=spread(words.settled, ended.settled),
            worth=spread(words.worth, ended.worth),
        )

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

        def picked(value: Tensor, new: Tensor) -> Tensor:
            """What stays as it was, and what became of what grew: by the token (n, K, C), or by any (n, K)."""
            was = value.gather(1, source)
            if new is value:
                return was
            grown = new.gather(1, source) if new.dim() == 2 else new.flatten(1).gather(1, flat)
            return torch.where(grows, grown, was)

        last = before.last.gather(1, source)
        words = Words(
            torch.where(grows, added, last),
            torch.where(grows, last, before.previous.gather(1, source)),
            picked(before.node, longer.node),
            picked(before.phrase, longer.phrase),
            before.state.gather(1, source[:, :, None].expand(-1, -1, before.state.shape[2])),
            picked(before.spelled, longer.spelled),
            picked(before.settled, longer.settled),
            picked(before.worth, longer.worth),
        )
        if ended is None:
            return words
        ends = grows & (added == self.fusion.boundary)
        pick = source[:, :, None].expand_as(words.state)
        return Words(
            words.last,
            torch.where(ends, self.fusion.boundary, words.previous),
            torch.where(ends, ROOT, words.node),
            torch.where(ends, ended.phrase.gather(1, source), words.phrase),
            torch.where(ends[:, :, None], ended.state.gather(1, pick), words.state),
            torch.where(ends, 0.0, words.spelled),
            torch.where(ends, ended.settled.gather(1, source), words.settled),
            torch.where(ends, ended.worth.gather(1, source), words.worth),
        )
