"""What many people in one batch cost on a Whisper: against the plain network, and against PEFT's mixed batch.

    OMP_NUM_THREADS=1 python tools/bench/whisper.py --rows 8 32 --rounds 3

The network has random weights (speed does not depend on them) and, by default, the size of whisper-tiny: 4 + 4
layers of width 384, windows of 30 s. Every row is another person. The decoder is given 24 tokens of each text.

PEFT puts LoRA of the rank of `lowrank` around the same linear layers of encoder and decoder, and is given the name
of an adapter for each row (`adapter_names`); the last line compares it with `lowrank`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from measuring import Table, in_turn, machine, ratio

from asradapt.adaptation import SpeakerBank, create
from asradapt.models.whisper.features import MelWindow
from asradapt.models.whisper.network import WhisperNetwork
from asradapt.models.whisper.source import WhisperSource

PEFT = "peft"
METHODS = ("affine", "lowrank", "affine+lowrank", "input", "bottleneck")
TOKENS = 24


def make_source(width: int, layers: int, device: str) -> WhisperSource:
    """A Whisper with random weights."""
    import transformers

    shape = {
        "d_model": width,
        **{f"{part}_layers": layers for part in ("encoder", "decoder")},
        **{f"{part}_attention_heads": width // 64 for part in ("encoder", "decoder")},
        **{f"{part}_ffn_dim": 4 * width for part in ("encoder", "decoder")},
    }
    torch.manual_seed(0)
    network = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**shape))
    extractor = transformers.WhisperFeatureExtractor()
    mel = MelWindow(16000, 400, 160, 3000, torch.from_numpy(extractor.mel_filters).float())
    return WhisperSource("random", WhisperNetwork(network), None, mel, (50257, 50362), {}, {}).to(device)


def random_bank(model: WhisperSource, method: str, people: int) -> SpeakerBank:
    """Adaptations that are no identity."""
    bank = SpeakerBank(model, create(method), speakers=people)
    for tensor in bank.tensors.values():
        tensor += 0.01 * torch.randn_like(tensor)
    return bank


def peft_model(args: Any, people: int) -> tuple[WhisperSource, Any]:
    """The same Whisper inside PEFT, with LoRA of as many people around the layers that `lowrank` takes."""
    import peft

    model = make_source(args.width, args.layers, args.device)
    (lowrank,) = create("lowrank")
    places = [site.name for site in lowrank.sites(model)]
    rank = lowrank.options()["rank"]
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=places, init_lora_weights=False)
    wrapped = peft.PeftModel(model.module, config, adapter_name="p0")
    for number in range(1, people):
        wrapped.add_adapter(f"p{number}", config)
    wrapped.eval()
    return model, wrapped


@torch.no_grad()
def main() -> None:
    """Measure and print a table for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 32])
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--no-peft", dest="peft", action="store_false")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    model = make_source(args.width, args.layers, args.device)
    print(machine())
    for rows in args.rows:
        print(measure(model, rows, args).markdown())


def measure(model: WhisperSource, rows: int, args: Any) -> Table:
    """The table of one number of rows, every row another person."""
    samples = round(args.seconds * 16000)
    waveforms = 0.1 * torch.randn(rows, samples, device=args.device)
    features, frames = model.prepare(waveforms, torch.full((rows,), samples, device=args.device))
    states, _ = model.encode(features, frames)
    target = torch.randint(1000, 50000, (TOKENS,))
    index = torch.arange(rows, device=args.device)
    banks = {"plain": None} | {name: random_bank(model, name, rows) for name in args.methods}

    def run(part: str, bank: SpeakerBank | None, model: WhisperSource = model) -> None:
        with nullcontext() if bank is None else bank.attach(model, index):
            if part == "encoder":
                model.encode(features, frames)
            else:
                model.logits(states, [target] * rows)

    rivals = {name: partial(run, bank=bank) for name, bank in banks.items()}
    if args.peft:
        inside, wrapped = peft_model(args, rows)
        names = [f"p{number}" for number in range(rows)]

        def with_peft(part: str) -> None:
            with wrapped.base_model._enable_peft_forward_hooks(adapter_names=names):
                run(part, None, inside)

        rivals[PEFT] = with_peft
    table = Table(
        f"{rows} people in one batch, width {args.width}, {args.layers} + {args.layers} layers, {args.device}",
        ("method", "encoder, s", "of plain", f"decoder, {TOKENS} tokens, s", "of plain ", "kB a person"),
    )
    # CPU seconds where that is what computes: others may use the machine
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    found = {
        part: in_turn({name: partial(work, part) for name, work in rivals.items()}, args.rounds, clock=clock)
        for part in ("encoder", "decoder")
    }
    for name in rivals:
        bank = banks.get(name)
        size = bank.bytes_a_speaker() / 1000 if bank else "-"
        cells = [
            cell
            for part in ("encoder", "decoder")
            for cell in (statistics.median(found[part][name]), ratio(found[part], name, "plain"))
        ]
        table.rows.append((name, *cells, size))
    if args.peft and "lowrank" in rivals:
        shares = [ratio(found[part], PEFT, "lowrank") for part in ("encoder", "decoder")]
        table.notes.append(f"Times PEFT takes of `lowrank`: encoder {shares[0]:.2f}, decoder {shares[1]:.2f}.")
    return table


if __name__ == "__main__":
    main()
