"""ARPA files: the text format of back-off n-gram models, read in one pass."""

from __future__ import annotations

import gzip
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from asradapt.errors import InputError
from asradapt.language.base import LN10, RAREST
from asradapt.language.ngram import NgramModel

OPEN_UNKNOWN = 1e-9  # the share of unknown words that are none of the members, where there are none: all

Entries = dict[tuple[int, ...], tuple[float, float]]


class _Lines:
    """The lines of a file one by one, decoded; `number` is the one that was read last, from 1 on."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines, self.number = lines, 0

    def __iter__(self) -> Iterator[str]:
        for number, line in enumerate(self._lines, start=1):
            self.number = number  # before it is decoded, which may fail
            yield line.decode("utf-8").strip()


def read_arpa(path: Path) -> NgramModel:
    """Read an n-gram model from ARPA text.

    Words are taken as lower case; of two that then are the same, the likelier stays.

    Raises:
        InputError: If the file is no ARPA file, with the line where it is wrong, or lacks `<s>` and `</s>`.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    lines = _Lines(())
    try:
        with opener(path, "rb") as file:
            lines = _Lines(file)
            levels, numbers = _read(lines)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = f"line {lines.number}: {str(error)[:300]}" if lines.number else str(error)[:300]
        raise InputError(f"language model {path} is no ARPA file that can be used: {reason}") from error
    if "<s>" not in numbers or "</s>" not in numbers:
        raise InputError(f"language model {path} has no <s> and </s>; build it with sentence marks")
    if len(numbers) < 3:
        raise InputError(f"language model {path} knows no word; build it from sentences")
    try:
        return _model(levels, numbers)
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"language model {path} cannot be used: {str(error)[:300]}") from error


def _sections(lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
    """Length and cells of every n-gram."""
    length = 0
    promised: dict[int, int] = {}
    found: Counter[int] = Counter()
    for line in lines:
        if heading := re.fullmatch(r"\\(\d+)-grams:", line):
            length = int(heading[1])
        elif not length and (count := re.fullmatch(r"ngram\s+(\d+)\s*=\s*(\d+)", line)):
            promised[int(count[1])] = int(count[2])
        elif line == "\\end\\":
            _require(promised, found)
            return
        elif length and line:
            cells = line.split()
            if len(cells) not in (length + 1, length + 2):
                raise ValueError(f"{len(cells)} cells for a {length}-gram")
            found[length] += 1
            yield length, cells
    raise ValueError("it does not end with \\end\\" if length else "there is no line such as \\1-grams:")


def _require(promised: Mapping[int, int], found: Mapping[int, int]) -> None:
    """Refuse a file that has lost lines.

    Raises:
        ValueError: With what its first lines promise and what is there.
    """
    for length, count in promised.items():
        if found.get(length, 0) != count:
            raise ValueError(
                f"{count} {length}-grams are promised at its beginning, {found.get(length, 0)} are there"
            )


def _read(lines: Iterable[str]) -> tuple[list[Entries], dict[str, int]]:
    levels: list[Entries] = []
    numbers: dict[str, int] = {}
    for length, cells in _sections(lines):
        if length > len(levels) + 1:
            raise ValueError(f"{length}-grams without {length - 1}-grams before")
        if length == len(levels) + 1:
            levels.append({})
        words = [word.lower() for word in cells[1 : length + 1]]
        if length == 1:
            numbers.setdefault(words[0], len(numbers))
        if any(word not in numbers for word in words):
            raise ValueError(f"a word that has no 1-gram: {' '.join(words)}")
        gram = tuple(numbers[word] for word in words)
        logprob, backoff = _number(cells[0]), _number(cells[-1]) if len(cells) == length + 2 else 0.0
        if math.isnan(logprob + backoff) or logprob > 0 or backoff == math.inf:
            raise ValueError(f"{cells[0]} is no logarithm of a probability")
        value = max(logprob, RAREST) * LN10, max(backoff, RAREST) * LN10  # some tools write -inf
        if gram not in levels[-1] or levels[-1][gram][0] < value[0]:
            levels[-1][gram] = value
    return levels, numbers


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError(f"{cell!r} is no number") from error


def _model(levels: list[Entries], numbers: dict[str, int]) -> NgramModel:
    """Sorted tensors of the n-grams; contexts that a file leaves out are added with weight one."""
    if "<unk>" not in numbers:  # closed vocabulary: unknown words get the rarest word's probability
        numbers["<unk>"] = len(numbers)
        rarest = min(value for value, _ in levels[0].values() if value > RAREST * LN10 / 2)
        levels[0][(numbers["<unk>"],)] = (rarest, 0.0)
    size = len(numbers)
    for level, below in zip(levels[:0:-1], levels[-2::-1], strict=True):
        _add_contexts(level, below, levels)
    places: dict[tuple[int, ...], int] = {gram: gram[0] for gram in levels[0]}
    keys, logprob, backoff = [], [], []
    for length, level in enumerate(levels, start=1):
        grams = sorted(level, key=lambda g: places[g[:-1]] * size + g[-1] if len(g) > 1 else g[0])
        if length > 1:
            keys.append(torch.tensor([places[g[:-1]] * size + g[-1] for g in grams], dtype=torch.int64))
        places = {gram: place for place, gram in enumerate(grams)}
        values = torch.from_numpy(np.array([level[gram] for gram in grams], dtype=np.float64)).float()
        logprob.append(values[:, 0].contiguous())
        backoff.append(values[:, 1].contiguous())
    return NgramModel(
        tuple(numbers),
        (),
        numbers["<s>"],
        numbers["</s>"],
        numbers["<unk>"],
        math.log(OPEN_UNKNOWN),
        0.0,
        tuple(keys),
        tuple(logprob),
        tuple(backoff[:-1]),
    )


def _add_contexts(level: Entries, below: Entries, levels: list[Entries]) -> None:
    """Put the missing first words of n-grams into the level below, with their backed-off probability."""
    for gram in list(level):
        if gram[:-1] not in below:
            below[gram[:-1]] = (_backed_off(levels, gram[:-1]), 0.0)


def _backed_off(levels: list[Entries], gram: tuple[int, ...]) -> float:
    if gram in levels[len(gram) - 1]:
        return levels[len(gram) - 1][gram][0]
    context = levels[len(gram) - 2].get(gram[:-1], (0.0, 0.0))[1]
    return context + _backed_off(levels, gram[1:])
