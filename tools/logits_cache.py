"""Logits of whole corpora, computed once per source model and kept in a folder for tuning and measuring.

With those of the first inner output over phones, of models that have one.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asradapt.audio import load_audio
from asradapt.batching import length_batches, pad
from asradapt.manifests import parse_where, read_manifest
from asradapt.models.base import SourceModel, encode_all
from asradapt.pace import STEP, prepare
from asradapt.test_time import EachOptions, adapted_outputs
from asradapt.types import Utterance

BATCH_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class LogitSet:
    """The utterances of one part of a corpus with the logits (F, V) of each, and the seconds of audio.

    `inner` holds the logits (F, P) of the first inner output, or nothing where the model has none. Fast speech is
    slowed down, so that times from them are not those of the recordings.
    """

    name: str
    utterances: tuple[Utterance, ...]
    logits: list[Tensor]
    seconds: float
    inner: Sequence[Tensor] = ()

    def inner_of(self, numbers: Sequence[int]) -> list[Tensor]:
        """Padded logits (B, F, P) of the first inner output, for the utterances of a batch; none without one."""
        rows = [self.inner[number] for number in numbers] if self.inner else []
        return [torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)] if rows else []

    def batches(self, size: int = 32) -> list[tuple[list[int], Tensor, Tensor]]:
        """Numbers of the utterances, padded logits (B, F, V) and frame counts (B,), longest first."""
        order = sorted(range(len(self.logits)), key=lambda i: -len(self.logits[i]))
        found = []
        for first in range(0, len(order), size):
            numbers = order[first : first + size]
            rows = [self.logits[number] for number in numbers]
            padded = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
            found.append((numbers, padded, torch.tensor([len(row) for row in rows])))
        return found


Hear = Callable[[Tensor, Tensor], tuple[Tensor, Tensor, list[Tensor]]]
"""From waveforms (B, T) and lengths (B,) to logits (B, F, V), frame counts (B,) and inner outputs (B, F, P)."""


@torch.no_grad()
def compute(
    model: SourceModel, utterances: Sequence[Utterance], way: str = ""
) -> tuple[list[Tensor], list[Tensor], float]:
    """Logits (F, V) and inner logits (F, P or 0) of every utterance, seconds of audio; `way` is one of `WAYS`."""
    hear, seconds = WAYS[way](model)
    audio = [load_audio(one.audio, model.sample_rate).samples for one in utterances]
    logits: list[Tensor] = [torch.empty(0)] * len(audio)
    sounds = list(logits)
    budget = round(seconds * model.sample_rate)
    for batch in length_batches([len(one) for one in audio], budget=budget):
        padded, lengths = pad([audio[number] for number in batch])
        rows, frames, inner = hear(torch.from_numpy(padded), torch.tensor(lengths))
        first = inner[0] if inner else rows[..., :0]
        for place, (number, count) in enumerate(zip(batch, frames.tolist(), strict=True)):
            logits[number], sounds[number] = rows[place, :count].clone(), first[place, :count].clone()
    return logits, sounds, sum(map(len, audio)) / model.sample_rate


def _plain(model: SourceModel) -> tuple[Hear, float]:
    """Hears as `transcribe`; with the seconds of a batch."""

    def hear(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        made = prepare(model, waveforms, lengths)
        return encode_all(model, made.features, made.frames)

    return hear, BATCH_SECONDS


def _each(model: SourceModel, search: bool) -> tuple[Hear, float]:
    """Hears as with `--adapt-each`, for a search or greedily; with the seconds of a batch."""
    options = EachOptions()

    def hear(waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        made = prepare(model, waveforms, lengths)
        return adapted_outputs(model, made.features, made.frames, options, search=search)

    return hear, options.batch_seconds


WAYS: dict[str, Callable[[SourceModel], tuple[Hear, float]]] = {
    "": _plain,
    "each-greedy": lambda model: _each(model, search=False),
    "each-search": lambda model: _each(model, search=True),
}


def load(speech: Path, corpus: str, part: str, model: SourceModel, work: Path, way: str = "") -> LogitSet:
    """The logits of a part of a corpus, heard in one of `WAYS`; from the folder `work` if they are there."""
    manifest = read_manifest(speech / corpus / "manifest.jsonl", where=parse_where((f"part={part}",)))
    settings = f"{EachOptions() if way else ''} {model.card.get('pace')} {STEP}"
    kind = f"-{way or 'plain'}-{zlib.crc32(settings.encode()):x}"
    file = work / model.fingerprint[:16] / f"{corpus}-{part}{kind}.npz"
    if not file.is_file():
        logits, sounds, seconds = compute(model, manifest.utterances, way)
        file.parent.mkdir(parents=True, exist_ok=True)
        lengths = np.array([len(row) for row in logits])
        both = {"logits": torch.cat(logits).numpy(), "inner": torch.cat(sounds).numpy()}
        np.savez(file, **both, lengths=lengths, seconds=seconds)  # type: ignore[arg-type]
    with np.load(file, allow_pickle=False) as stored:
        lengths = stored["lengths"].tolist()
        rows = list(torch.from_numpy(stored["logits"]).split(lengths))
        inner = list(torch.from_numpy(stored["inner"]).split(lengths)) if stored["inner"].shape[-1] else []
        return LogitSet(f"{corpus} {part}", manifest.utterances, rows, float(stored["seconds"]), inner)
