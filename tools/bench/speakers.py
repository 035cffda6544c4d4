"""One batch with many different speakers against the plain model, the loop over speakers, and PEFT's mixed batch.

    python tools/bench/speakers.py [--speakers 1 2 8 32 128] [--method affine+lowrank] [--rank 8] [--json OUT]
    python tools/bench/speakers.py --random-wav2vec2 768x4 --method lowrank --seconds 2

A batch of 32 (128 for 128 speakers) clips of 4 s: features once; encoder and greedy decoding, which are timed.
PEFT puts its LoRA of the same rank around the same linear layers of the same encoder and is given a speaker's
name per row. `--random-wav2vec2 WIDTHxLAYERS` makes a transformers network with random weights, of the shape of
wav2vec2-base but for what is given.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from measuring import Table, Work, in_turn, ratio, write
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import Member, MixedBank
from asradapt.decoding import greedy_decode
from asradapt.models import load_model
from asradapt.models.base import SourceModel


def make_members(model: SourceModel, method: str, rank: int, count: int) -> list[Member]:
    """Speakers with random small adaptations."""
    options = {name: {"rank": rank} for name in method.split("+") if name == "lowrank"}
    members = []
    for seed in range(count):
        torch.manual_seed(seed)
        bank = SpeakerBank(model, create(method, options))
        for tensor in bank.tensors.values():
            tensor += 0.01 * torch.randn_like(tensor)
        members.append(Member(method, options, bank.state(0)))
    return members


def plain(model: SourceModel, features: Tensor, frames: Tensor) -> list[str]:
    """Texts of the source model."""
    return greedy_decode(*model.encode(features, frames), model.tokens)


def mixed(
    model: SourceModel, bank: MixedBank, features: Tensor, frames: Tensor, rows: Sequence[Member]
) -> list[str]:
    """Texts of a batch of different speakers."""
    with bank.attach(model, rows):
        return plain(model, features, frames)


def one_by_one(
    model: SourceModel, bank: MixedBank, features: Tensor, frames: Tensor, rows: Sequence[Member]
) -> list[str]:
    """The same, one forward pass a speaker."""
    texts = [""] * len(rows)
    for member in dict.fromkeys(rows):
        mine = [i for i, other in enumerate(rows) if other is member]
        for i, text in zip(
            mine, mixed(model, bank, features[mine], frames[mine], [member] * len(mine)), strict=True
        ):
            texts[i] = text
    return texts


def with_peft(
    model_name: str, device: str, rank: int, features: Tensor, frames: Tensor, names: Sequence[str]
) -> Work:
    """PEFT's batch of mixed adapters (`adapter_names`) around the linear layers that `lowrank` takes."""
    import peft

    model = load_model(model_name, device=device)
    sites = [site.name for site in model.sites if site.kind in {"feed_forward", "attention"}]
    config = peft.LoraConfig(r=rank, lora_alpha=rank, target_modules=sites, init_lora_weights=False)
    wrapped = None
    for name in dict.fromkeys(names):
        if wrapped is None:
            wrapped = peft.PeftModel(model.module, config, adapter_name=name)
        else:
            wrapped.add_adapter(name, config)
    assert wrapped is not None
    wrapped.eval()

    def work() -> None:
        # PEFT hands `adapter_names` to the layers by pre-forward hooks
        with wrapped.base_model._enable_peft_forward_hooks(adapter_names=list(names)):
            plain(model, features, frames)

    return work


def random_wav2vec2(shape: str, folder: Path) -> Path:
    """A folder with a wav2vec 2.0 of random weights, `WIDTHxLAYERS`."""
    import json

    import transformers

    width, layers = (int(number) for number in shape.split("x"))
    letters = ["<pad>", "|", *"etaonihsrdlumwcfgypbvk'xjqz"]
    config = transformers.Wav2Vec2Config(
        hidden_size=width,
        num_hidden_layers=layers,
        intermediate_size=4 * width,
        vocab_size=len(letters),
        num_attention_heads=width // 64,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps({letter: number for number, letter in enumerate(letters)}))
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return folder


def measure(args: argparse.Namespace, count: int) -> tuple[list[object], list[str]]:
    """A row of the table: one number of speakers."""
    model, notes = load_model(args.model, device=args.device), []
    rows = max(args.rows, count)
    torch.manual_seed(0)
    waves = torch.randn(rows, round(16000 * args.seconds), device=args.device) * 0.1
    lengths = torch.full((rows,), waves.shape[1], device=args.device)
    features, frames = model.prepare(waves, lengths)
    members = make_members(model, args.method, args.rank, count)
    people, bank = [members[i % count] for i in range(rows)], MixedBank(model)
    differ = sum(
        a != b
        for a, b in zip(
            mixed(model, bank, features, frames, people),
            one_by_one(model, bank, features, frames, people),
            strict=True,
        )
    )
    rivals: dict[str, Work] = {
        "plain": lambda: plain(model, features, frames),
        "mixed": lambda: mixed(model, bank, features, frames, people),
        "loop": lambda: one_by_one(model, bank, features, frames, people),
    }
    if args.peft:
        try:
            names = [f"s{i % count}" for i in range(rows)]
            rivals["peft"] = with_peft(args.model, args.device, args.rank, features, frames, names)
        except ImportError as error:
            notes.append(f"PEFT: not measured ({error}).")
    clock = time.process_time if args.device == "cpu" else time.perf_counter
    seconds = in_turn(rivals, args.rounds, clock=clock)
    speed = rows * args.seconds / min(seconds["mixed"])
    cells = [count, rows, speed, ratio(seconds, "plain", "mixed"), ratio(seconds, "loop", "mixed")]
    return [*cells, ratio(seconds, "peft", "mixed") if "peft" in rivals else "-", differ], notes


def main() -> None:
    """A row for every number of speakers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 2, 8, 32, 128])
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--method", default="affine+lowrank")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--random-wav2vec2", metavar="WIDTHxLAYERS")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--no-peft", dest="peft", action="store_false")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    columns = ["speakers", "rows", "audio s per s", "share of the plain speed", "times the loop takes"]
    table = Table(
        f"Mixed batches, {args.method} (rank {args.rank})", [*columns, "times PEFT takes", "texts that differ"]
    )
    if args.random_wav2vec2:
        args.model = str(random_wav2vec2(args.random_wav2vec2, Path(tempfile.mkdtemp()) / "wav2vec2"))
    with torch.no_grad():
        for count in args.speakers:
            row, notes = measure(args, count)
            table.rows.append(row)
            table.notes += [note for note in notes if note not in table.notes]
    write([table], args.json, "processor" if args.device == "cpu" else "wall")


if __name__ == "__main__":
    main()
