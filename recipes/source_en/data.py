"""Training data as one file of log-mel frames per set, read once from audio and then mapped into memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from asradapt.features import FeatureOptions, log_mel

ALPHABET = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")  # index 0 is the CTC blank


@dataclass(frozen=True)
class Example:
    """One utterance: where its frames lie in the set's file, and what it says."""

    store: int
    start: int
    frames: int
    text: str


def encode(text: str) -> list[int] | None:
    """Token indices of a text, or None where it holds anything but letters, spaces and apostrophes."""
    text = " ".join(text.lower().split())
    if not text or set(text) - set(ALPHABET[1:]):
        return None
    return [ALPHABET.index(letter) for letter in text]


def extract(manifest: Path, where: tuple[str, ...], folder: Path) -> None:
    """Write frames.f16 and index.json of a manifest's utterances, once; a later call finds them."""
    if (folder / "index.json").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    from asradapt.audio import load_audio
    from asradapt.errors import AudioError
    from asradapt.manifests import parse_where, read_manifest

    options, rows, position = FeatureOptions(), [], 0
    with (folder / "frames.f16").open("wb") as out:
        for utterance in read_manifest(manifest, where=parse_where(where)).utterances:
            if encode(utterance.text or "") is None:
                continue
            try:
                samples = torch.from_numpy(load_audio(utterance.audio).samples)[None]
            except AudioError as error:
                print(f"left out: {error}", flush=True)
                continue
            frames = log_mel(samples, torch.tensor([samples.shape[1]]), options)[0][0]
            out.write(frames.to(torch.float16).numpy().tobytes())
            rows.append([position, frames.shape[0], utterance.text])
            position += frames.shape[0]
    (folder / "index.json").write_text(json.dumps(rows))


class Corpus:
    """All sets together, with batches by length; reproducible by seed and epoch."""

    def __init__(self, folders: list[Path], longest: float = 1e9, *, dense: bool = False) -> None:
        mels = FeatureOptions().mels
        self.stores = [np.memmap(f / "frames.f16", np.float16, "r").reshape(-1, mels) for f in folders]
        self.examples: list[Example] = []
        for number, folder in enumerate(folders):
            for start, frames, text in json.loads((folder / "index.json").read_text()):
                tokens = encode(text)
                # CTC needs a frame for each token and one more between equal neighbours; `dense` keeps all
                fits = dense or (tokens and frames // 4 >= len(tokens) * 1.05 + 2)
                if tokens and fits and frames <= longest * 100:
                    self.examples.append(Example(number, start, frames, text))

    def hours(self) -> float:
        """Hours of audio."""
        return sum(example.frames for example in self.examples) / 360000

    def batch(self, examples: list[Example]) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
        """Log-mel (B, F, M), frame counts (B,), texts."""
        rows = [torch.from_numpy(self.stores[e.store][e.start : e.start + e.frames].copy()) for e in examples]
        lengths = torch.tensor([e.frames for e in examples])
        return (
            torch.nn.utils.rnn.pad_sequence(rows, batch_first=True).float(),
            lengths,
            [e.text for e in examples],
        )

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
