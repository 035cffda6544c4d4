"""Train the embedded source model: one command, resumable, stops by itself after `--minutes`.

    python recipes/source_en/train.py --work DIR --set NAME=MANIFEST[:KEY=VALUE] ... \
        --validation NAME=MANIFEST[:KEY=VALUE] ... [--minutes 30]

The work folder holds the extracted frames, `checkpoint.pt` (written every few minutes, atomically) and
`curve.csv`. Called again it continues; `--set` may then name more data.
"""

from __future__ import annotations

import argparse
import csv
import time
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.decoding import greedy_decode
from asradapt.features import normalise
from asradapt.models.conformer import Conformer, ConformerOptions
from asradapt.scoring import score, total
from augment import augment
from data import ALPHABET, Corpus, encode, extract

CHECKPOINT_SECONDS = 180.0


@dataclass
class State:
    """Everything that a continued run needs."""

    model: Conformer
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    epoch: int = 0
    losses: list[float] = field(default_factory=list)


def rate(step: int, options: dict[str, Any]) -> float:
    """Learning rate: linear warm-up, constant, linear fall to zero over the last share of the steps."""
    left = (options["steps"] - step) / (options["steps"] * options["decay"])
    return float(options["rate"]) * min(1.0, (step + 1) / options["warmup"], max(0.0, left))


def ctc_loss(logits: Tensor, lengths: Tensor, texts: list[str]) -> Tensor:
    """Mean CTC loss per token of a batch of logits (B, F, V)."""
    targets = [torch.tensor(encode(text)) for text in texts]
    sizes = torch.tensor([len(target) for target in targets])
    log_probs = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
    each = functional.ctc_loss(log_probs, torch.cat(targets), lengths, sizes, reduction="none", zero_infinity=True)
    return each.sum() / sizes.sum()


def start(config: dict[str, Any], checkpoint: Path) -> State:
    """A fresh state, or the one of the checkpoint."""
    torch.manual_seed(config["seed"])
    model = Conformer(ConformerOptions(tokens=len(ALPHABET), **config["model"]))
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    groups = [
        {"params": decayed, "weight_decay": config["optimiser"]["weight_decay"]},
        {"params": plain, "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config["optimiser"]["rate"], betas=(0.9, 0.98))
    state = State(model, {k: v.clone() for k, v in model.state_dict().items()}, optimiser)
    if checkpoint.exists():
        saved = torch.load(checkpoint, weights_only=True)
        model.load_state_dict(saved["model"])
        optimiser.load_state_dict(saved["optimiser"])
        state.average, state.step, state.epoch = saved["average"], saved["step"], saved["epoch"]
    return state


def save(state: State, checkpoint: Path) -> None:
    """Write the checkpoint so that a kill leaves the old one or the new one."""
    content = {
        "model": state.model.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
        "step": state.step,
        "epoch": state.epoch,
    }
    part = checkpoint.with_suffix(".part")
    torch.save(content, part)
    part.replace(checkpoint)


def train_step(state: State, batch: tuple[Tensor, Tensor, list[str]], config: dict[str, Any]) -> float:
    """One update of the weights and of their average; returns the loss of the final output."""
    options = config["optimiser"]
    x, lengths = augment(batch[0], batch[1], config["augment"])
    for group in state.optimiser.param_groups:
        group["lr"] = rate(state.step, options)
    with torch.autocast("cpu", torch.bfloat16):
        logits, frames, early = state.model(x, lengths, intermediate=options["intermediate"])
    assert early is not None
    final = ctc_loss(logits, frames, batch[2])
    weight = options["intermediate_weight"]
    loss = (1 - weight) * final + weight * ctc_loss(early, frames, batch[2])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), options["clip"])
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.step += 1
    keep = min(options["average"], (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.model.state_dict().items():
            state.average[name].lerp_(value, 1 - keep)
    return float(final.detach())


@torch.no_grad()
def validate(state: State, corpora: dict[str, Corpus], config: dict[str, Any]) -> dict[str, float]:
    """Greedy word error rate of the averaged weights on every validation set."""
    model = Conformer(ConformerOptions(tokens=len(ALPHABET), **config["model"])).eval()
    model.load_state_dict(state.average)
    rates = {}
    for name, corpus in corpora.items():
        counts = []
        for examples in corpus.epoch(0, 60.0, 30.0):
            x, lengths, texts = corpus.batch(examples)
            logits, frames, _ = model(normalise(x, lengths), lengths)
            counts += [score(t, h) for t, h in zip(texts, greedy_decode(logits, frames, ALPHABET), strict=True)]
        pooled = total(counts)
        rates[f"{name}_wer"], rates[f"{name}_cer"] = pooled.wer, pooled.cer
    return rates


def log(work: Path, row: dict[str, float]) -> None:
    """Append a row to curve.csv and print it."""
    path = work / "curve.csv"
    fresh = not path.exists()
    with path.open("a", newline="") as out:
        writer = csv.writer(out)
        if fresh:
            writer.writerow(row)
        writer.writerow([f"{value:.5g}" for value in row.values()])
    print(" ".join(f"{key}={value:.4g}" for key, value in row.items()), flush=True)


def open_set(text: str, work: Path) -> tuple[str, Path]:
    """`NAME=MANIFEST[:KEY=VALUE,...]` to the name and the folder of its extracted frames."""
    name, _, rest = text.partition("=")
    manifest, _, where = rest.partition(":")
    folder = work / "frames" / name
    extract(Path(manifest), tuple(filter(None, where.split(","))), folder)
    return name, folder


def run(state: State, corpus: Corpus, held_out: dict[str, Corpus], config: dict[str, Any], args: Any) -> None:
    """Train until the last step or the end of the time."""
    begun = saved = time.monotonic()
    batch_options = config["batch"]
    while state.step < config["optimiser"]["steps"]:
        state.epoch += 1
        torch.manual_seed(config["seed"] * 1000 + state.epoch)
        short = state.step < batch_options["short_steps"]
        longest = batch_options["short_seconds"] if short else batch_options["longest"]
        for examples in corpus.epoch(state.epoch, batch_options["seconds"], longest):
            state.losses.append(train_step(state, corpus.batch(examples), config))
            now = time.monotonic()
            if state.step % 50 == 0:
                mean = sum(state.losses) / len(state.losses)
                state.losses.clear()
                row = {"step": state.step, "minutes": (now - begun) / 60, "loss": mean}
                if state.step % args.every == 0:
                    log(args.work, row | validate(state, held_out, config))
                else:
                    print(" ".join(f"{key}={value:.4g}" for key, value in row.items()), flush=True)
            if now - saved > CHECKPOINT_SECONDS:
                save(state, args.work / "checkpoint.pt")
                saved = now
            over = now - begun > args.minutes * 60
            if over or state.step >= config["optimiser"]["steps"]:
                break
            if short and state.step >= batch_options["short_steps"]:
                break
        save(state, args.work / "checkpoint.pt")
        if time.monotonic() - begun > args.minutes * 60:
            break
    log(args.work, {"step": state.step, "minutes": 0, "loss": 0} | validate(state, held_out, config))


def main() -> None:
    """Read the options, extract what is not extracted yet, train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument("--set", action="append", required=True)
    parser.add_argument("--validation", action="append", default=[])
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--every", type=int, default=500, help="steps between validations")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    config = tomllib.loads(args.config.read_text())
    corpus = Corpus([open_set(text, args.work)[1] for text in args.set], config["batch"]["longest"])
    held_out = {
        name: Corpus([folder], dense=True) for name, folder in (open_set(t, args.work) for t in args.validation)
    }
    print(f"{len(corpus.examples)} utterances, {corpus.hours():.2f} hours", flush=True)
    run(start(config, args.work / "checkpoint.pt"), corpus, held_out, config, args)


if __name__ == "__main__":
    main()
