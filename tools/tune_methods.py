"""Held-out error of methods and training settings over the number of updates, pooled over speakers.

    python tools/tune_methods.py --manifest M --where part=enroll --every 3 lowrank lowrank:0.3 \
        affine+lowrank,rank=8,augment=1 lowrank,augment=1,anchor=0.5

Each argument is METHOD[:RATE][,KEY=VALUE...]: the rate is a factor on the method's own, augment is 0 or 1,
anchor, inner and decay are those of `TrainingOptions`, rank that of `lowrank`, sites a regular expression that
site names must match, prior=1 starts at the mean of --prior instead of the identity; with augment=1, splices is
the share of recordings that are made of words of all of them; average=0 takes the end of the path; step is
the most seconds of an update; mix is the share of recordings in whose place one of --others is heard. Folds as
in enrolment. The table shows pooled character error, word error and CTC loss per token of the held-out
utterances, at each of the --strengths. --fit FILE trains on everything instead, and keeps the mean of the
tensors.
"""

from __future__ import annotations

import argparse
import random
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.method import Method
from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.objective import Pair
from asradapt.enrolment.people import Person, make_person
from asradapt.enrolment.training import Task, Trainer
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import total
from asradapt.types import Utterance

NUMBERS = {
    "rate": 1.0,
    "augment": 0.0,
    "anchor": 0.0,
    "inner": TrainingOptions.inner,
    "decay": 0.05,
    "rank": 4.0,
    "prior": 0.0,
    "splices": -1.0,
    "average": 1.0,
    "step": TrainingOptions.step_seconds,
    "mix": 0.0,
}


@dataclass(frozen=True)
class Candidate:
    """One argument of the command line."""

    text: str
    method: str
    numbers: Mapping[str, float]
    sites: str = ""

    def methods(self) -> tuple[Method, ...]:
        """The methods, at the wanted sites only."""
        ranked = {"lowrank": {"rank": int(self.numbers["rank"])}} if "lowrank" in self.method.split("+") else {}
        found = create(self.method, ranked)
        return tuple(_limited(method, self.sites) for method in found) if self.sites else found

    def training(self) -> TrainingOptions:
        """How it is trained."""
        changes = Augmentation() if self.numbers["augment"] else NO_AUGMENTATION
        if self.numbers["splices"] >= 0:
            changes = replace(changes, splices=self.numbers["splices"])
        same = {name: self.numbers[name] for name in ("decay", "anchor", "inner")}
        step, average = self.numbers["step"], bool(self.numbers["average"])
        return TrainingOptions(step, **same, augmentation=changes, average=average)


def _limited(method: Method, pattern: str) -> Method:
    """The method at the sites whose names match only."""
    every = method.sites
    wanted = re.compile(pattern)
    # the dataclass is frozen against accidents; this copy belongs to the candidate alone
    object.__setattr__(method, "sites", lambda model: [s for s in every(model) if wanted.search(s.name)])
    return method


def parse(text: str) -> Candidate:
    """`lowrank:0.3,augment=1` and so on."""
    head, *pairs = text.split(",")
    method, _, rate = head.partition(":")
    given = dict(pair.split("=", 1) for pair in pairs)
    sites = given.pop("sites", "")
    if unknown := given.keys() - NUMBERS.keys():
        raise SystemExit(f"{text}: unknown {', '.join(sorted(unknown))}; known: sites, {', '.join(NUMBERS)}")
    numbers = NUMBERS | {"rate": float(rate or 1)} | {key: float(value) for key, value in given.items()}
    return Candidate(text, method, numbers, sites)


class MixingTrainer(Trainer):
    """Takes recordings of other voices in the place of some of a person's own, in every update."""

    others: Sequence[Example] = ()
    mix = 0.0

    def _spliced(self, example: Example, row: int, chance: random.Random) -> Example:
        if self.mix and chance.random() < self.mix:
            return chance.choice(self.others)
        return super()._spliced(example, row, chance)


def load_people(model: SourceModel, args: argparse.Namespace, options: EnrolmentOptions) -> list[Person]:
    """Every n-th speaker of the manifest, with the first recordings of each."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(args.manifest, where=parse_where(args.where)).utterances:
        by_name.setdefault(utterance.speaker or "nobody", []).append(utterance)
    names = list(by_name)[:: args.every]
    first = slice(args.utterances or None)
    return [make_person(n, prepare_examples(model, by_name[n][first]).usable, options) for n in names]


def plan(people: list[Person], rate: float, fit: bool) -> tuple[list[Task], list[Pair]]:
    """One row a person and fold, with the utterances it is judged on; with `fit`, one row a person."""
    tasks: list[Task] = []
    pairs: list[Pair] = []
    for person in people:
        for fold in [()] if fit else person.folds:
            held_out = {index: (len(tasks), person.examples[index]) for index in fold or range(2)}
            kept = tuple(e for index, e in enumerate(person.examples) if fit or index not in held_out)
            pairs += held_out.values()
            tasks.append(Task(kept, rate, person.seed))
    return tasks, pairs


def judge(trainer: Trainer, bank: SpeakerBank | None, pairs: list[Pair]) -> str:
    """A cell of the table."""
    scores = evaluate_pairs(trainer.model, bank, pairs, trainer.options)
    counts = total([scores[row].counts[id(example)] for row, example in pairs])
    loss = sum(scores[row].losses[id(e)] for row, e in pairs) / sum(len(e.target) for _, e in pairs)
    return f"{counts.cer:.1%} {counts.wer:.1%} {loss:.3f}"


def run(model: SourceModel, people: list[Person], candidate: Candidate, args: argparse.Namespace) -> SpeakerBank:
    """Trains one candidate and prints its line."""
    began = time.monotonic()
    tasks, pairs = plan(people, candidate.numbers["rate"], args.fit is not None)
    bank = SpeakerBank(model, candidate.methods(), speakers=len(tasks))
    if candidate.numbers["prior"]:
        start(bank, load_file(args.prior))
    trainer = MixingTrainer(model, bank, tasks, candidate.training())
    trainer.others, trainer.mix = args.others, candidate.numbers["mix"]
    cells = [f"0: {judge(trainer, bank, pairs)}"]
    for number in range(args.steps):
        trainer.step(number, range(len(tasks)))
        if (number + 1) % args.look == 0:
            banks = [trainer.result.scaled(torch.full((len(tasks),), one)) for one in args.strengths]
            cells.append(f"{number + 1}: {' / '.join(judge(trainer, one, pairs) for one in banks)}")
    trainer.settle()
    bank.requires_grad(False)
    print(f"{candidate.text:40} {time.monotonic() - began:5.0f} s  " + " | ".join(cells), flush=True)
    return bank


@torch.no_grad()
def start(bank: SpeakerBank, mean: Mapping[str, Tensor]) -> None:
    """Every row at the mean of the training speakers."""
    for name, tensor in bank.tensors.items():
        tensor.copy_(mean[name].expand_as(tensor))


def keep(bank: SpeakerBank, path: Path) -> None:
    """Writes the mean of the rows, and says how much the rows have in common."""
    flat = torch.cat([v.flatten(1) for k, v in bank.tensors.items() if bank.specs[k].scaled], dim=1)
    mean, half = flat.mean(0), bank.speakers // 2
    parts = torch.linalg.svdvals(flat - mean).square()
    alike = torch.cosine_similarity(flat[:half].mean(0), flat[half:].mean(0), dim=0)
    apart = (flat - mean).norm(dim=1).mean()
    print(
        f"length of the mean {mean.norm():.2f}, of a speaker's distance from it {apart:.2f}; "
        f"cosine of the means of two halves {alike:.2f}; share of the first 10 directions "
        f"{parts[:10].sum() / parts.sum():.1%}"
    )
    save_file({name: tensor.mean(0, keepdim=True) for name, tensor in bank.tensors.items()}, path)


def main() -> None:
    """Run the candidates one after the other and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("candidates", nargs="+", type=parse)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--others", type=Path, help="manifest of the recordings for mix")
    parser.add_argument("--every", type=int, default=1, help="take every n-th speaker")
    parser.add_argument("--utterances", type=int, default=0, help="of each speaker; 0 for all")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--look", type=int, default=4, help="judge at every n-th update")
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0])
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--fit", type=Path)
    args = parser.parse_args()
    if not args.others and any(candidate.numbers["mix"] for candidate in args.candidates):
        parser.error("mix takes the recordings of --others")
    if args.fit and len(args.candidates) > 1:
        parser.error("--fit keeps the tensors of one candidate")
    model = load_model(args.model, device="cpu")
    options = replace(EnrolmentOptions(), folds=args.folds)
    people = load_people(model, args, options)
    others = read_manifest(args.others).utterances if args.others else ()
    args.others = prepare_examples(model, others).usable
    print(f"{len(people)} speakers; updates: held-out CER WER loss", flush=True)
    for candidate in args.candidates:
        bank = run(model, people, candidate, args)
        if args.fit:
            keep(bank, args.fit)


if __name__ == "__main__":
    main()
