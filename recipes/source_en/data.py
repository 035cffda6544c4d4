"""Training data as one file of log-mel frames per set, read once from audio and then mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asradapt.features import FeatureOptions
from tokens import ALPHABET, Pronunciations, encode

SUBSAMPLING = 4


@dataclass(frozen=True)
class Example:
    """One utterance: where its frames lie in the set's file, where speech begins and ends, what it says."""

    store: int
    start: int
    frames: int
    first: int
    last: int
    text: str


@dataclass(frozen=True)
class Batch:
    """A padded batch: log-mel (B, F, M), frame counts (B,), character and phone targets (phones may be empty)."""

    x: Tensor
    lengths: Tensor
    texts: list[str]
    tokens: list[list[int]]
    phones: list[list[int]] = field(default_factory=list)


class Corpus:
    """All sets together, each as often as asked, with batches by length; reproducible by seed and epoch."""

    def __init__(
        self,
        folders: list[Path],
        longest: float = 1e9,
        *,
        tokens: tuple[str, ...] = ALPHABET,
        pronunciations: Pronunciations | None = None,
        dense: bool = False,
    ) -> None:
        mels = FeatureOptions().mels
        self.stores = [np.memmap(f / "frames.f16", np.float16, "r").reshape(-1, mels) for f in folders]
        self.tokens, self.pronunciations = tokens, pronunciations
        self.examples: list[Example] = []
        for number, folder in enumerate(folders):
            for start, frames, first, last, text in json.loads((folder / "index.json").read_text()):
                target = encode(text, tokens)
                # CTC needs a frame for each token and one more between equal neighbours; `dense` keeps all
                fits = dense or (target and frames // SUBSAMPLING >= len(target) * 1.05 + 2)
                if target and fits and frames <= longest * 100:
                    self.examples.append(Example(number, start, frames, first, last, text))

    def hours(self) -> float:
        """Hours of audio, repeats counted."""
        return sum(example.frames for example in self.examples) / 360000

    def batch(self, examples: list[Example], trim: float = 0.0) -> Batch:
        """Read a batch; a share `trim` of the utterances loses a random part of the silence at each end."""
        rows = [self._read(example, trim) for example in examples]
        return Batch(
            torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float(),
            torch.tensor([len(row) for row in rows]),
            [example.text for example in examples],
            [encode(example.text, self.tokens) or [] for example in examples],
            [self.pronunciations.encode(example.text) if self.pronunciations else [] for example in examples],
        )

    def _read(self, example: Example, trim: float) -> Tensor:
        cut = (torch.rand(2) * (torch.rand(()) < trim)).tolist()
        # Isolated words are often cut at the first sound: that must have been heard in training.
        first = round(example.first * cut[0])
        last = example.frames - round((example.frames - example.last) * cut[1])
        tokens = len(example.text)
        if (last - first) // SUBSAMPLING < tokens * 1.05 + 2:
            first, last = 0, example.frames
        return torch.from_numpy(self.stores[example.store][example.start + first : example.start + last].copy())

    def epoch(self, seed: int, seconds: float, longest: float) -> Iterator[list[Example]]:
        """Batches of similar lengths, at most `seconds` of audio each, in random order."""
        random = np.random.default_rng(seed)
        usable = [e for e in self.examples if e.frames <= longest * 100]
        usable.sort(key=lambda e: e.frames * random.uniform(0.9, 1.1))
        batches: list[list[Example]] = [[]]
        for example in usable:
            width = max([example.frames, *(e.frames for e in batches[-1])])
            if batches[-1] and width * (len(batches[-1]) + 1) > seconds * 100:
                batches.append([])
            batches[-1].append(example)
        for number in random.permutation(len(batches)):
            yield batches[number]
