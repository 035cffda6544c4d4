"""Memory and time of one update of a large model: weights in fp32 and bf16, activations kept or computed twice.

    python tools/bench/training_memory.py [--model NAME] [--device cpu] [--seconds 24] [--precisions fp32,bf16]

Without a model a transformers wav2vec2 of the shape of wav2vec2-base (12 blocks of 768, random weights) is made.
Every setting runs in a process of its own. The peak is what an update needs above the loaded model and the
features: on a CPU the resident memory of the process, looked at every 5 ms, on CUDA what torch has allocated.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.examples import Example
from asradapt.enrolment.updates import TrainingOptions, train_step
from asradapt.models import ModelOptions, load_model
from asradapt.types import Utterance

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
METHOD = "affine+lowrank"
PROMPT = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "262144"}
"""Lets glibc give memory back as soon as it is free; otherwise what was needed once stays resident."""


def make_base(folder: Path) -> Path:
    """A folder with a wav2vec2 of the shape of wav2vec2-base, with norms of layers, and random weights."""
    import transformers

    torch.manual_seed(0)
    shape = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True, "pad_token_id": 0}
    config = transformers.Wav2Vec2Config(vocab_size=len(LETTERS), **shape)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({letter: number for number, letter in enumerate(LETTERS)}))
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder


def resident() -> int:
    """Bytes of this process that lie in memory (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@contextmanager
def peak(device: str) -> Iterator[list[int]]:
    """A list that gets the most memory that was used inside the context, in bytes, above that at its beginning."""
    found: list[int] = []
    if device == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        yield found
        found.append(torch.cuda.max_memory_allocated() - before)
        return
    before, seen, over = resident(), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.005):
            seen[0] = max(seen[0], resident() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    yield found
    over.set()
    thread.join()
    found.append(seen[0])


def measure(arguments: argparse.Namespace) -> None:
    """One update in this process; prints a JSON object."""
    options = ModelOptions(precision=arguments.precision)
    model = load_model(arguments.model, device=arguments.device, options=options)
    waves = 0.1 * torch.randn(2, round(arguments.seconds / 2 * model.sample_rate))
    with torch.no_grad():
        rows = [
            model.prepare(w[None].to(model.device), torch.tensor([len(w)], device=model.device)) for w in waves
        ]
    target = torch.arange(60) % 20 + 5
    data = [Example(Utterance(Path("a"), ""), f[0], "", target, arguments.seconds / 2) for f, _ in rows]
    bank = SpeakerBank(model, create(METHOD)).requires_grad()
    weights = sum(p.numel() * p.element_size() for p in model.module.parameters())
    began = time.monotonic()
    with peak(arguments.device) as found:
        train_step(model, bank, {0: data}, TrainingOptions(recompute=arguments.twice, batch_seconds=1000.0))
    print(json.dumps({"weights": weights, "above": found[0], "seconds": time.monotonic() - began}))


def main() -> None:
    """All settings, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float, default=24.0)
    parser.add_argument("--precisions", default="fp32,bf16")
    parser.add_argument("--precision", help=argparse.SUPPRESS)
    parser.add_argument("--twice", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.precision:
        measure(arguments)
        return
    with tempfile.TemporaryDirectory() as folder:
        name = arguments.model or str(make_base(Path(folder)))
        print("weights     activations   weights MB   above them MB   s an update")
        for precision in arguments.precisions.split(","):
            for twice in (False, True):
                command = [sys.executable, __file__, "--model", name, "--device", arguments.device]
                command += ["--seconds", str(arguments.seconds), "--precision", precision]
                command += ["--twice"] if twice else []
                done = subprocess.run(command, capture_output=True, text=True, env=os.environ | PROMPT)
                if done.returncode:
                    sys.exit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                row = [found["weights"] / 1e6, found["above"] / 1e6, found["seconds"]]
                kept = "twice" if twice else "kept"
                print(f"{precision:12}{kept:14}{row[0]:<13.0f}{row[1]:<16.0f}{row[2]:.1f}", flush=True)


if __name__ == "__main__":
    main()
