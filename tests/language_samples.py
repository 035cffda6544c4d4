"""A small language model as ARPA text, and plain definitions of what texts are worth to check fast ones by."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import torch

TOKENS = ("", " ", "a", "b")
ARPA = """
\\data\\
ngram 1=6
ngram 2=5
ngram 3=2

\\1-grams:
-1.5\t<unk>\t-0.2
-99\t<s>\t-0.3
-1.0\t</s>
-0.7\ta\t-0.2
-0.9\tab\t-0.4
-1.2\tba\t-0.1

\\2-grams:
-0.3\t<s> a\t-0.3
-0.5\ta ab\t-0.15
-0.4\tab </s>
-0.6\t<unk> a\t-0.05
-0.2\ta a

\\3-grams:
-0.1\t<s> a ab
-0.25\ta ab </s>

\\end\\
"""


def write_arpa(folder: Path, text: str = ARPA) -> Path:
    path = folder / "small.arpa"
    path.write_text(text.lstrip(), encoding="utf-8")
    return path


def ngrams(text: str = ARPA) -> dict[tuple[str, ...], tuple[float, float]]:
    """N-grams with probability and back-off weight, natural logarithms."""
    found = {}
    for line in text.splitlines():
        cells = line.split("\t")
        if len(cells) > 1:
            backoff = float(cells[2]) if len(cells) > 2 else 0.0
            found[tuple(cells[1].split())] = float(cells[0]) * math.log(10), backoff * math.log(10)
    return found


def word_logprob(grams, context: tuple[str, ...], word: str) -> float:
    """The definition of a back-off model (Katz 1987)."""
    if (*context, word) in grams:
        return grams[(*context, word)][0]
    return grams.get(context, (0, 0.0))[1] + word_logprob(grams, context[1:], word)


def all_texts(logits: torch.Tensor, frames: int, tokens: Sequence[str] = TOKENS) -> dict[str, float]:
    """Log probability of every text of one row: all alignments, one by one."""
    logp = logits[:frames].double().log_softmax(dim=-1).tolist()
    found: dict[str, float] = defaultdict(float)
    for path in itertools.product(range(len(tokens)), repeat=frames):
        letters = [tokens[token] for token, _ in itertools.groupby(path)]
        text = " ".join("".join(letters).split())
        found[text] += math.exp(sum(logp[frame][token] for frame, token in enumerate(path)))
    return {text: math.log(probability) for text, probability in found.items()}


def read_small(path: Path):
    from asradapt.language import read_arpa

    return read_arpa(path)
