"""An update of an enrolment, and the encoder, in bf16 and in fp32.

    OMP_NUM_THREADS=1 python tools/bench/bf16.py [--updates 8]

Three rows of a bank learn from ten of the demo speaker's recordings, as in a cross-validation of three folds; the
encoder hears all of the demo's recordings in one batch. Processor seconds, by turns, the least of three; and how
far an adaptation made in the company of others lies from the same made alone, as a share of its length.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.audio import load_audio
from asradapt.batching import pad
from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import SourceModel

MANIFEST = Path(__file__).parents[2] / "data" / "demo" / "manifest.jsonl"
METHODS = ("lowrank", "affine+lowrank", "encoder")


def spent(work: Callable[[], object]) -> float:
    """Processor seconds."""
    began = time.process_time()
    work()
    return time.process_time() - began


def update(model: SourceModel, method: str, examples: tuple[Example, ...], bf16: bool, updates: int) -> float:
    """Seconds of one update."""
    bank = SpeakerBank(model, create(method), speakers=3)
    tasks = [Task(examples[row:], 1.0, row) for row in range(3)]
    trainer = Trainer(model, bank, tasks, replace(EnrolmentOptions().training, bf16=bf16))
    trainer.step(0, [0, 1, 2])
    return spent(lambda: [trainer.step(1 + number, [0, 1, 2]) for number in range(updates)]) / updates


def adapted(model: SourceModel, tasks: list[Task], options: TrainingOptions) -> Tensor:
    """The last row of a bank after six updates, as one vector."""
    bank = SpeakerBank(model, create("lowrank"), speakers=len(tasks))
    starts = torch.cat([tensor[-1].flatten().clone() for tensor in bank.tensors.values()])
    train(Trainer(model, bank, tasks, options), [6] * len(tasks))
    return torch.cat([tensor[-1].detach().flatten() for tensor in bank.tensors.values()]) - starts


def company(model: SourceModel, examples: tuple[Example, ...], bf16: bool) -> float:
    """How much the company of two others changes an adaptation."""
    options = replace(EnrolmentOptions().training, bf16=bf16)
    mine = Task(examples[2:], 1.0, 2)
    alone = adapted(model, [mine], options)
    among = adapted(model, [Task(examples, 1.0, 0), Task(examples[1:], 1.0, 1), mine], options)
    return float((alone - among).norm() / alone.norm())


@torch.inference_mode()
def encode(model: SourceModel, samples: Tensor, lengths: Tensor) -> float:
    """Seconds of the encoder."""
    inputs = model.prepare(samples, lengths)
    return spent(lambda: model.encode(*inputs))


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--updates", type=int, default=8)
    args = parser.parse_args()
    models = [load_model("source_en", device="cpu", options=ModelOptions(precision=p)) for p in ("fp32", "bf16")]
    found = read_manifest(MANIFEST, where=parse_where(["part=enroll"])).utterances
    examples = prepare_examples(models[0], found[:10]).usable
    print("| what | fp32 | bf16 | share |\n|---|--:|--:|--:|")
    for method in METHODS:
        turns = [
            [update(models[0], method, examples, half, args.updates) for half in (False, True)] for _ in range(3)
        ]
        full, half = map(min, zip(*turns, strict=True))
        print(f"| update, `{method}` | {full:.3f} s | {half:.3f} s | {half / full:.2f} |", flush=True)
    audio = [load_audio(one.audio, models[0].sample_rate).samples for one in found]
    samples, lengths = pad(audio)
    inputs = torch.from_numpy(samples), torch.tensor(lengths)
    turns = [[encode(model, *inputs) for model in models] for _ in range(3)]
    full, half = map(min, zip(*turns, strict=True))
    print(f"| encoder | {full:.3f} s | {half:.3f} s | {half / full:.2f} |")
    apart = [company(models[0], examples, half) for half in (False, True)]
    print(f"| changed by company | {apart[0]:.1e} | {apart[1]:.1e} | |")


if __name__ == "__main__":
    main()
