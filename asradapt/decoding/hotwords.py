"""Phrases that a speaker uses, as trees over tokens: one tree a row of the batch, all in one table.

Phrases are found from left to right, the longest at every place, none within another. Where a phrase does not go
on, the table leads to what else may have begun inside it (Aho and Corasick 1975): "zoe kaliningrad" with "zoe
miller" and "kaliningrad" on the list.

Letters: B batch, V tokens, N nodes of all trees.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from asradapt.language.lexicon import spell, token_numbers
from asradapt.scoring.normalization import normalize

DEAD = 0  # no phrase goes on here; its own child, but behind a boundary the root follows


@dataclass(frozen=True, eq=False)
class Hotwords:
    """The phrases of every row.

    Attributes:
        roots: (B,) where the tree of each row begins; 0 for rows without phrases.
        children: (N, V) the node behind each token, or 0.
        gain: (N, V) tokens of phrases that turn out to be finished by each token, times the row's factor.
        rest: (N,) the same if the text ends at this beginning of a word.
        ends: (N,) whether a phrase ends here, be it one that began inside another.
        depth: (N,) tokens since the root, or since the last shorter phrase whose end is settled on the way; times
            the row's factor.
    """

    roots: Tensor
    children: Tensor
    gain: Tensor
    rest: Tensor
    ends: Tensor
    depth: Tensor

    def to(self, device: torch.device | str) -> Hotwords:
        """The same trees on another device."""
        return Hotwords(*(getattr(self, field.name).to(device) for field in fields(self)))

    def select(self, rows: Tensor) -> Hotwords:
        """The trees of some rows, in their order."""
        return replace(self, roots=self.roots[rows])


def make_hotwords(
    phrases: Sequence[Sequence[str]],
    tokens: Sequence[str],
    added: Sequence[Sequence[str]] | None = None,
    factors: Sequence[float] | None = None,
) -> Hotwords | None:
    """The trees of the phrases of every row; None if no row has any.

    Upper and lower case, hyphens and spaces are alike, accents are left out where the model writes none. Phrases
    that it cannot write even so are left out.

    Args:
        phrases: For each row its phrases, words between spaces. Rows with the same phrases share a tree.
        tokens: The tokens of the model, the blank first.
        added: For each row the tokens behind them, `""` for what the row cannot write; V counts them too.
        factors: For each row how much more its phrases are worth than those of others.
    """
    if not any(phrases):
        return None
    spaces = [(*tokens, *row) for row in added or [()] * len(phrases)]
    boundary, width = token_numbers(tokens)[" "], len(spaces[0])
    trees = _Trees(width, boundary)
    known: dict[tuple[tuple[str, ...], tuple[str, ...], float], int] = {}
    roots = []
    for row, own, factor in zip(phrases, spaces, factors or [1.0] * len(phrases), strict=True):
        key = tuple(sorted(row)), own, factor
        if not row:
            known[key] = DEAD
        elif key not in known:
            known[key] = trees.grow([_spelled(phrase, own, boundary) for phrase in key[0]], factor)
        roots.append(known[key])
    return trees.hotwords(roots)


def _spelled(phrase: str, tokens: Sequence[str], boundary: int) -> list[int]:
    """Token numbers of a phrase as it is scored, or else without its accents; none if it cannot be written."""
    said = normalize(phrase)
    for form in (said, without_accents(said)):
        words = [[int(number) for number in row if number] for row in spell(form.split(), tokens)]
        if words and all(words):
            return [number for word in words for number in (boundary, *word)][1:]
    return []


def unwritable(phrases: Iterable[str], tokens: Sequence[str]) -> list[str]:
    """The phrases that nobody can be heard to say, as these tokens cannot write them, not even without accents.

    Raises:
        InputError: If there are phrases and the tokens are not single characters with a space, as for a search.
    """
    phrases = list(phrases)
    boundary = token_numbers(tokens)[" "] if phrases else 0
    return [phrase for phrase in phrases if not _spelled(phrase, tokens, boundary)]


def without_accents(text: str) -> str:
    """A normalised text as a model writes it that knows no accents."""
    apart = unicodedata.normalize("NFKD", text)
    return normalize("".join(letter for letter in apart if unicodedata.category(letter) != "Mn"))


class _Trees:
    """The table of all trees while it is made.

    Args:
        width: Number of tokens V.
        boundary: The token between words.
    """

    def __init__(self, width: int, boundary: int) -> None:
        self._width, self._boundary = width, boundary
        self._table: list[list[int]] = []
        self._gain: list[list[int]] = []
        self._ends: list[bool] = []
        self._depth: list[int] = []
        self._rest: list[int] = []
        self._factors: list[float] = []
        self._factor = 1.0  # of the tree that grows
        self._node()  # the dead one

    def hotwords(self, roots: Sequence[int]) -> Hotwords:
        """The table with the root of every row."""
        factors = torch.tensor(self._factors)
        gain, rest, depth = (torch.tensor(value) for value in (self._gain, self._rest, self._depth))
        table, ends = torch.tensor(self._table), torch.tensor(self._ends)
        return Hotwords(torch.tensor(roots), table, gain * factors[:, None], rest * factors, ends, depth * factors)

    def grow(self, phrases: Sequence[Sequence[int]], factor: float) -> int:
        """A tree of phrases as token numbers, worth `factor`; returns its root."""
        self._factor = factor
        root = self._node()
        for numbers in phrases:
            self._insert(numbers, root)
        self._measure(root)
        self._link(root)
        return root

    def _node(self) -> int:
        self._table.append([DEAD] * self._width)
        self._gain.append([0] * self._width)
        self._ends.append(False)
        self._depth.append(0)
        self._rest.append(0)
        self._factors.append(self._factor)
        return len(self._table) - 1

    def _insert(self, numbers: Sequence[int], root: int) -> None:
        node = root
        for number in numbers:
            if self._table[node][number] == DEAD:
                self._table[node][number] = self._node()
            node = self._table[node][number]
        if node != root:
            self._ends[node] = True

    def _measure(self, root: int) -> None:
        """Fill in the depths below a root."""
        waiting = [root]
        while waiting:
            node = waiting.pop()
            for token, child in enumerate(self._table[node]):
                if child != DEAD:
                    shorter = self._ends[node] and token == self._boundary
                    self._depth[child] = 1 + (0 if shorter else self._depth[node])
                    waiting.append(child)

    def _link(self, root: int) -> None:
        """Lead on to what may have begun inside a phrase that does not go on, nodes near the root first.

        Every node has another one: where the same text leads if its phrase does not begin where it began, and
        the tokens of phrases that are finished on that way. What is settled as a shorter phrase begins no other.
        """
        waiting = deque([(root, DEAD, 0, False)])
        while waiting:
            node, other, owed, ends = waiting.popleft()
            own = [(token, child) for token, child in enumerate(self._table[node]) if child != DEAD]
            row, gain = list(self._table[other]), [owed + more for more in self._gain[other]]
            for token, child in own:
                begin = DEAD if row[token] == DEAD and token != self._boundary else row[token] or root
                below = (root, 0) if ends and token == self._boundary else (begin, gain[token])
                waiting.append((child, *below, self._ends[child]))
                self._rest[child] = below[1] + self._rest[below[0]]
                self._ends[child] = self._ends[child] or self._ends[below[0]]
            if ends:
                row[self._boundary], gain[self._boundary] = DEAD, self._depth[node]
            for token, child in own:
                row[token] = child
                gain[token] = self._depth[node] if ends and token == self._boundary else 0
            self._table[node], self._gain[node] = row, gain
