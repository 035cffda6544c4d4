"""The encoder on a CPU in fp32, bf16 and int8 (dynamic quantisation of linear layers), at 1 thread and at all.

    python tools/bench/precision.py [--manifest M --where part=test] [--json OUT]

Without a manifest the demo recordings are used. Texts are compared with those of fp32.
"""

from __future__ import annotations

import argparse
import copy
import os
import warnings
from pathlib import Path

import torch
from measuring import Table, in_turn, ratio, write
from torch import nn

from asradapt.audio import load_audio
from asradapt.batching import length_batches, pad
from asradapt.cli.demo import demo_folder
from asradapt.decoding import greedy_decode
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.scoring import score, total

Batch = tuple[torch.Tensor, torch.Tensor]


def read_batches(manifest: Path, where: list[str], rate: int, most: int) -> tuple[list[Batch], list[str], float]:
    """Padded batches of 96 s, the texts in the same order, and the seconds of audio."""
    utterances = read_manifest(manifest, where=parse_where(where)).utterances[:most]
    waves = [load_audio(u.audio, rate).samples for u in utterances]
    batches, texts = [], []
    for numbers in length_batches([len(w) for w in waves], budget=96 * rate):
        padded, lengths = pad([waves[i] for i in numbers])
        batches.append((torch.from_numpy(padded), torch.tensor(lengths)))
        texts += [utterances[i].text or "" for i in numbers]
    return batches, texts, sum(map(len, waves)) / rate


def run(model: ConformerSource, batches: list[Batch], *, half: bool = False) -> list[str]:
    """Greedy texts of all batches."""
    texts: list[str] = []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        for waves, lengths in batches:
            features, frames = model.prepare(waves, lengths)
            logits, counts = model.encode(features, frames)
            texts += greedy_decode(logits.float(), counts, model.tokens)
    return texts


def quantised(model: ConformerSource) -> ConformerSource:
    """A copy whose linear layers compute in int8."""
    other = copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces another package
        other._network = torch.ao.quantization.quantize_dynamic(other.module, {nn.Linear}, dtype=torch.qint8)
    return other


def main() -> None:
    """A table per number of threads."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, default=demo_folder() / "manifest.jsonl")
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--most", type=int, default=120, help="utterances")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    batches, texts, audio = read_batches(args.manifest, args.where, model.sample_rate, args.most)
    small = quantised(model)
    ways = {
        "fp32": lambda: run(model, batches),
        "bf16 autocast": lambda: run(model, batches, half=True),
        "int8 linear layers": lambda: run(small, batches),
    }
    said = {name: way() for name, way in ways.items()}
    tables = []
    for threads in sorted({1, len(os.sched_getaffinity(0))}):
        torch.set_num_threads(threads)
        table = Table(
            f"Precision, {threads} threads, {len(texts)} utterances",
            ["", "audio s per s", "times fp32 takes", "texts that differ", "WER"],
        )
        seconds = in_turn(ways, args.rounds)
        for name, each in seconds.items():
            differ = sum(a != b for a, b in zip(said[name], said["fp32"], strict=True))
            wer = total([score(t, s) for t, s in zip(texts, said[name], strict=True)]).wer
            table.rows.append([name, audio / min(each), ratio(seconds, name, "fp32"), differ, wer])
        tables.append(table)
    write(tables, args.json)


if __name__ == "__main__":
    main()
