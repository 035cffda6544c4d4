"""Phrases that a speaker uses, as trees over tokens: one tree a row of the batch, all in one table.

Letters: B batch, V tokens, N nodes of all trees.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.language.lexicon import spell, token_numbers
from asradapt.scoring.normalization import normalize

DEAD = 0  # no phrase goes on here; its own child


@dataclass(frozen=True, eq=False)
class Hotwords:
    """The phrases of every row.

    Attributes:
        roots: (B,) where the tree of each row begins; 0 for rows without phrases.
        children: (N, V) the node behind each token, or 0.
        ends: (N,) whether a phrase ends here.
        depth: (N,) tokens since the root, or since the last shorter phrase whose end is settled on the way.
    """

    roots: Tensor
    children: Tensor
    ends: Tensor
    depth: Tensor

    def to(self, device: torch.device | str) -> Hotwords:
        """The same trees on another device."""
        return Hotwords(*(t.to(device) for t in (self.roots, self.children, self.ends, self.depth)))

    def select(self, rows: Tensor) -> Hotwords:
        """The trees of some rows, in their order."""
        return Hotwords(self.roots[rows], self.children, self.ends, self.depth)


def make_hotwords(
    phrases: Sequence[Sequence[str]], tokens: Sequence[str], added: Sequence[Sequence[str]] | None = None
) -> Hotwords | None:
    """The trees of the phrases of every row; None if no row has any.

    Upper and lower case, hyphens and spaces are alike, accents are left out where the model writes none. Phrases
    that it cannot write even so are left out.

    Args:
        phrases: For each row its phrases, words between spaces. Rows with the same phrases share a tree.
        tokens: The tokens of the model, the blank first.
        added: For each row the tokens behind them, `""` for what the row cannot write; V counts them too.
    """
    if not any(phrases):
        return None
    spaces = [(*tokens, *row) for row in added or [()] * len(phrases)]
    boundary, width = token_numbers(tokens)[" "], len(spaces[0])
    table: list[list[int]] = [[DEAD] * width]
    ends, depth = [False], [0]
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], int] = {}
    roots = []
    for row, own in zip(phrases, spaces, strict=True):
        key = tuple(sorted(row)), own
        if not row:
            known[key] = DEAD
        elif key not in known:
            known[key] = len(table)
            table.append([DEAD] * width)
            ends.append(False)
            depth.append(0)
            for phrase in key[0]:
                _insert(_spelled(phrase, own, boundary), known[key], table, ends)
            depth += [0] * (len(table) - len(depth))
            _measure(known[key], boundary, table, ends, depth)
        roots.append(known[key])
    return Hotwords(torch.tensor(roots), torch.tensor(table), torch.tensor(ends), torch.tensor(depth))


def _spelled(phrase: str, tokens: Sequence[str], boundary: int) -> list[int]:
    """Token numbers of a phrase as it is scored, or else without its accents; none if it cannot be written."""
    said = normalize(phrase)
    for form in (said, _without_accents(said)):
        words = [[int(number) for number in row if number] for row in spell(form.split(), tokens)]
        if words and all(words):
            return [number for word in words for number in (boundary, *word)][1:]
    return []


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text)
    return normalize("".join(letter for letter in apart if unicodedata.category(letter) != "Mn"))


def _insert(numbers: list[int], root: int, table: list[list[int]], ends: list[bool]) -> None:
    node = root
    for number in numbers:
        if table[node][number] == DEAD:
            table[node][number] = len(table)
            table.append([DEAD] * len(table[0]))
            ends.append(False)
        node = table[node][number]
    if node != root:
        ends[node] = True


def _measure(root: int, boundary: int, table: list[list[int]], ends: list[bool], depth: list[int]) -> None:
    """Fill in the depths below a root."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        for token, child in enumerate(table[node]):
            if child != DEAD:
                depth[child] = 1 + (0 if ends[node] and token == boundary else depth[node])
                waiting.append(child)
