"""Train the embedded source model: one command, resumable, stops by itself after `--minutes`.

    python recipes/source_en/train.py --root speech=SPEECH --root text=TEXT --root sim=SIM --work WORK --minutes 30

The configuration names the sets; the work folder holds their frames, `checkpoint.pt` (written every few minutes,
atomically) and `curve.csv`. Called again it continues where it was: every update is seeded by its number, so a
run that was killed gives the weights of one that was not. Several processes (or GPUs) share the work by

    torchrun --nproc-per-node 2 recipes/source_en/train.py ...

Each takes batches of its own; gradients are averaged.
"""

from __future__ import annotations

import argparse
import csv
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed
from torch.nn import functional

from asradapt.decoding import greedy_decode
from asradapt.errors import AsradaptError
from asradapt.features import normalise
from asradapt.models import resolve_device
from asradapt.scoring import score, total
from augment import augment
from configuration import check, read_config, read_roots
from data import Batch, Corpus, Example
from sets import extract
from state import State, build, save, start
from tokens import Pronunciations, tokens_of

CHECKPOINT_SECONDS = 180.0
REPORT_STEPS = 50
ASKED_TO_STOP: list[int] = []  # signals that came; the update at hand is finished and the checkpoint written


@dataclass(frozen=True)
class Job:
    """One process of a training run."""

    config: dict[str, Any]
    work: Path
    minutes: float
    every: int
    device: torch.device
    rank: int = 0
    ranks: int = 1
    init: Path | None = None


def rate(step: int, options: dict[str, Any]) -> float:
    """Learning rate: linear warm-up, constant, linear fall to zero over the last share of the steps."""
    left = (options["steps"] - step) / (options["steps"] * options["decay"])
    return float(options["rate"]) * min(1.0, (step + 1) / options["warmup"], max(0.0, left))


def ctc_loss(logits: Tensor, lengths: Tensor, targets: list[list[int]]) -> Tensor:
    """Mean CTC loss per token of logits (B, F, V); rows without a target do not count."""
    known = [row for row, target in enumerate(targets) if target]
    sizes = torch.tensor([len(targets[row]) for row in known])
    flat = torch.tensor([token for row in known for token in targets[row]])
    log_probs = functional.log_softmax(logits[known].float(), dim=-1).transpose(0, 1)
    if not known:
        return log_probs.sum()
    flat, lengths, sizes = flat.to(logits.device), lengths[known].to(logits.device), sizes.to(logits.device)
    each = functional.ctc_loss(log_probs, flat, lengths, sizes, reduction="none", zero_infinity=True)
    return each.sum() / sizes.sum()


def losses(state: State, batch: Batch, job: Job) -> tuple[Tensor, Tensor]:
    """The loss to minimise and, for the curve, the one of the final output."""
    x, lengths = augment(batch.x.to(job.device), batch.lengths.to(job.device), job.config["augment"])
    half = job.config.get("bfloat16", job.device.type == "cuda")
    with torch.autocast(job.device.type, torch.bfloat16, enabled=half):
        logits, frames, inner = state.model(x, lengths)
    final = ctc_loss(logits, frames, batch.tokens)
    if not inner:
        return final, final.detach()
    targets = batch.phones if state.model.options.phones else batch.tokens
    helped = torch.stack([ctc_loss(each, frames, targets) for each in inner]).mean()
    weight = job.config["optimiser"]["inner_weight"]
    return (1 - weight) * final + weight * helped, final.detach()


def average_gradients(state: State, ranks: int) -> None:
    """Mean of the gradients over the processes, in one message."""
    gradients = []
    for p in state.model.parameters():
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad  # a dropped layer has none in this process
        gradients.append(p.grad)
    flat = torch.cat([g.flatten() for g in gradients])
    distributed.all_reduce(flat)
    flat /= ranks
    for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def train_step(state: State, batch: Batch, job: Job) -> float:
    """One update of the weights and of their average; returns the loss of the final output."""
    options = job.config["optimiser"]
    for group in state.optimiser.param_groups:
        group["lr"] = rate(state.step, options)
    loss, final = losses(state, batch, job)
    loss.backward()
    if job.ranks > 1:
        average_gradients(state, job.ranks)
    torch.nn.utils.clip_grad_norm_(state.model.parameters(), options["clip"])
    state.optimiser.step()
    state.optimiser.zero_grad(set_to_none=True)
    state.step += 1
    keep = min(options["average"], (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        torch._foreach_lerp_(list(state.average.values()), list(state.model.state_dict().values()), 1 - keep)
    return float(final)


@torch.no_grad()
def validate(weights: dict[str, Tensor], corpora: dict[str, Corpus], job: Job) -> dict[str, float]:
    """Greedy word and character error rates of weights on every validation set."""
    model = build(job.config).to(job.device).eval()
    model.load_state_dict(weights)
    rates = {}
    for name, corpus in corpora.items():
        counts = []
        for examples in corpus.epoch(0, 60.0, 30.0):
            batch = corpus.batch(examples)
            lengths = batch.lengths.to(job.device)
            logits, frames, _ = model(normalise(batch.x.to(job.device), lengths), lengths)
            heard = greedy_decode(logits, frames, corpus.tokens)
            counts += [score(text, said) for text, said in zip(batch.texts, heard, strict=True)]
        pooled = total(counts)
        rates[f"{name}_wer"], rates[f"{name}_cer"] = pooled.wer, pooled.cer
    return rates


def log(path: Path, row: dict[str, float]) -> None:
    """Append a row to a CSV file and print it."""
    fresh = not path.exists()
    with path.open("a", newline="") as out:
        writer = csv.writer(out)
        if fresh:
            writer.writerow(row)
        writer.writerow([f"{value:.5g}" for value in row.values()])
    print(" ".join(f"{key}={value:.4g}" for key, value in row.items()), flush=True)


def forget_after(path: Path, step: int) -> None:
    """Drop the rows of updates after the checkpoint: a run that was killed does them again."""
    if path.exists():
        head, *rows = path.read_text().splitlines()
        kept = [row for row in rows if float(row.split(",")[0]) <= step]
        path.write_text("\n".join([head, *kept]) + "\n")


def batches(state: State, corpus: Corpus, job: Job) -> Iterator[list[Example]]:
    """The batches of one process from the state's position on, over as many epochs as it takes."""
    options = job.config["batch"]
    while True:
        short = state.step < options["short_steps"]
        longest = options["short_seconds"] if short else options["longest"]
        epoch = list(corpus.epoch(job.config["seed"] * 1000 + state.epoch, options["seconds"], longest))
        while state.batch + job.ranks <= len(epoch):
            mine = epoch[state.batch + job.rank]
            state.batch += job.ranks
            over = short and state.step + 1 >= options["short_steps"]
            if over:  # moved on before the update, so that a run resumed after it goes the same way
                state.epoch, state.batch = state.epoch + 1, 0
            yield mine
            if over:
                break
        else:
            state.epoch, state.batch = state.epoch + 1, 0


def run(state: State, corpus: Corpus, held_out: dict[str, Corpus], job: Job) -> None:
    """Train until the last step or the end of the time."""
    begun = saved = time.monotonic()
    earlier = state.minutes
    for examples in batches(state, corpus, job):
        # Seeded by its number, an update is the same whether or not the run was interrupted before it.
        torch.manual_seed((job.config["seed"] * 1_000_000 + state.step) * 64 + job.rank)
        batch = corpus.batch(examples, job.config["batch"]["trim"])
        state.losses.append(train_step(state, batch, job))
        state.hours += float(batch.lengths.sum()) * job.ranks / 360000
        state.minutes = earlier + (time.monotonic() - begun) / 60
        if state.step % REPORT_STEPS == 0 or state.step % job.every == 0:
            report(state, held_out, job)
        over = stop(state, job, begun)
        if job.rank == 0 and (over or time.monotonic() - saved > CHECKPOINT_SECONDS):
            save(state, job.work / "checkpoint.pt")
            saved = time.monotonic()
        if over:
            break
    if job.rank == 0:
        for kind, weights in (("average", state.average), ("model", state.model.state_dict())):
            rates = validate(weights, held_out, job)
            print(kind, " ".join(f"{key}={value:.4f}" for key, value in rates.items()), flush=True)


def report(state: State, held_out: dict[str, Corpus], job: Job) -> None:
    """The loss since the last report; every `--every` updates the validation error of the averaged weights."""
    mean = sum(state.losses) / len(state.losses)
    state.losses.clear()
    if job.rank:
        return
    row = {"step": state.step, "minutes": state.minutes, "hours": state.hours, "loss": mean}
    log(job.work / "loss.csv", row)
    if state.step % job.every == 0:
        rates = validate(state.average, held_out, job)
        log(job.work / "curve.csv", row | rates)
        keep_best(state, [rate for name, rate in rates.items() if name.endswith("_cer")], job.work / "best.pt")


def keep_best(state: State, errors: list[float], path: Path) -> None:
    """Write the averaged weights where their mean character error over the validation sets is the least so far."""
    mean = sum(errors) / max(len(errors), 1)
    if errors and mean <= state.best:
        state.best = mean
        torch.save({"average": state.average, "step": state.step, "hours": state.hours}, path)


def stop(state: State, job: Job, begun: float) -> bool:
    """Whether this was the last update; all processes agree on it."""
    late = time.monotonic() - begun > job.minutes * 60
    over = state.step >= job.config["optimiser"]["steps"] or late or bool(ASKED_TO_STOP)
    if job.ranks == 1:
        return over
    flag = torch.tensor([float(over)], device=job.device)
    distributed.broadcast(flag, 0)
    return bool(flag.item())


def open_corpora(job: Job, roots: dict[str, str]) -> tuple[Corpus, dict[str, Corpus]]:
    """Extract what is not extracted yet; the training corpus and the validation sets."""
    config = job.config
    for options in (*config["sets"], *config.get("validation", ())):
        if job.rank == 0:
            extract(options, roots, job.work / "frames" / options["name"])
    if job.ranks > 1:
        distributed.barrier()
    folders = [job.work / "frames" / o["name"] for o in config["sets"] for _ in range(o.get("repeat", 1))]
    words = Pronunciations(Path(config["dictionary"].format(**roots))) if config.get("dictionary") else None
    tokens = tokens_of(config)
    corpus = Corpus(folders, config["batch"]["longest"], tokens=tokens, pronunciations=words)
    held_out = {}
    for options in config.get("validation", ()):
        held_out[options["name"]] = Corpus([job.work / "frames" / options["name"]], tokens=tokens, dense=True)
    return corpus, held_out


def parse() -> tuple[Job, dict[str, str]]:
    """The job of this process and the folders for the configuration's names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--work", type=Path, required=True, help="frames, checkpoint and curves; continued if there"
    )
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument(
        "--root", action="append", default=[], metavar="NAME=FOLDER", help="{NAME} in the configuration"
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this long; call again to continue")
    parser.add_argument("--every", type=int, default=500, help="updates between validations")
    parser.add_argument(
        "--init", type=Path, metavar="FILE", help=".safetensors to begin with; a checkpoint goes first"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    config, roots = read_config(args.config), read_roots(args.root)
    check(config, roots, args.init)
    args.work.mkdir(parents=True, exist_ok=True)
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    device = torch.device(resolve_device(args.device))
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return Job(config, args.work, args.minutes, args.every, device, rank, ranks, args.init), roots


def main() -> None:
    """Read the options, extract what is not extracted yet, train."""
    try:
        train(*parse())
    except (AsradaptError, OSError) as error:
        raise SystemExit(f"error: {error}") from error


def train(job: Job, roots: dict[str, str]) -> None:
    """The whole run of one process."""
    torch.set_flush_denormal(True)  # decayed optimiser moments of 1e-40 are slow on CPUs
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _: ASKED_TO_STOP.append(got))
    if job.ranks > 1:
        backend = "nccl" if job.device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timedelta(days=2))  # the first process extracts for hours
    corpus, held_out = open_corpora(job, roots)
    state = start(job.config, job.work / "checkpoint.pt", job.device, job.init)
    sets = repr([(o["name"], o.get("repeat", 1)) for o in job.config["sets"]])
    if state.sets != sets:  # other data: the position in the epoch means nothing any more
        state.sets, state.batch = sets, 0
    if job.rank == 0:
        for name in ("loss.csv", "curve.csv"):
            forget_after(job.work / name, state.step)
        size = sum(p.numel() for p in state.model.parameters()) / 1e6
        print(
            f"{len(corpus.examples)} utterances, {corpus.hours():.2f} hours, {size:.2f} M parameters", flush=True
        )
    run(state, corpus, held_out, job)
    if job.ranks > 1:
        leave()


def leave() -> None:
    """End one of several processes when all are done.

    Everything is written by now; gloo's threads can outlive the interpreter's own shutdown and then abort a
    process that has succeeded, so it is left without one.
    """
    distributed.barrier()
    distributed.destroy_process_group()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
