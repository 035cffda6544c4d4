"""What the mean of several trainings is worth: errors on a person's other recordings.

    python tools/fits_report.py --manifest M --where part=enroll --recordings 10 [--groups 5] [--fits 1 2 4]
        [--steps 40 80] [--strengths 1 0.7 0.5] [--folds] [--seed 0]

The recordings of every speaker are taken in groups of so many, each a person of its own, who learns from all of
them by the setting that `enroll --method auto` takes for the first of them, once for every seed; at every number
of updates the means of the first trainings are judged on recordings of the same speaker that are in another
group (30 at most). With --folds also the means of the trainings of the cross-validation, each on two thirds of the
recordings, alone and together with trainings on all of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from asradapt.adaptation import SpeakerBank
from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.people import Person, make_person
from asradapt.enrolment.training import APART, Task, Trainer
from asradapt.enrolment.updates import Scores, evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import total
from asradapt.types import Utterance

JUDGES = 30  # other recordings of the speaker, at most
Judged = tuple[Person, tuple[Example, ...]]  # who learns, and what judges


def load_people(model: SourceModel, args: argparse.Namespace, options: EnrolmentOptions) -> Iterator[Judged]:
    """Groups of recordings of every speaker, each with others that judge it."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(args.manifest, where=parse_where(args.where)).utterances:
        by_name.setdefault(utterance.speaker or "nobody", []).append(utterance)
    for name, utterances in by_name.items():
        examples = prepare_examples(model, utterances).usable
        for group in range(min(args.groups, len(examples) // args.recordings)):
            own = examples[group * args.recordings : (group + 1) * args.recordings]
            others = [example for example in examples if example not in own]
            judges = tuple(others[group % 3 :: 3][:JUDGES])
            yield make_person(f"{name}_{group}", own, options), judges


def line(scores: dict[int, Scores], cells: Sequence[object]) -> str:
    """A row of the table: pooled errors, and loss in nats a character."""
    counts = total(count for one in scores.values() for count in one.counts.values())
    loss = sum(value for one in scores.values() for value in one.losses.values()) / max(1, counts.characters)
    return "| " + " | ".join([*map(str, cells), f"{counts.cer:.2%}", f"{counts.wer:.1%}", f"{loss:.3f}"]) + " |"


def trainings(person: Person, fits: int, folds: int) -> list[Task]:
    """One training without each fold, and behind them so many on everything, all with seeds of their own."""
    rate = person.settings[0].rate
    held_out = [set(fold) for fold in person.folds[:folds]] + [set()] * fits
    if len(held_out) != folds + fits:
        raise SystemExit(f"{person.name} has {len(person.folds)} folds: too few different sentences")
    return [
        Task(tuple(e for i, e in enumerate(person.examples) if i not in fold), rate, person.seed + APART * number)
        for number, fold in enumerate(held_out)
    ]


def mixtures(fits: Sequence[int], folds: int) -> Iterator[tuple[str, list[int]]]:
    """What is averaged, in words and as numbers of a person's trainings."""
    for count in fits:
        yield str(count), list(range(folds, folds + count))
    if folds:
        yield "folds", list(range(folds))
        yield from ((f"folds + {count}", list(range(folds + count))) for count in fits)


def report(model: SourceModel, people: Sequence[Judged], args: argparse.Namespace) -> Iterator[str]:
    """The lines of the table, as training goes on."""
    options = EnrolmentOptions(seed=args.seed)
    setting, most = people[0][0].settings[0], max(args.fits)
    methods = setting.methods({})
    pairs = [(row, example) for row, (_, judges) in enumerate(people) for example in judges]
    yield line(evaluate_pairs(model, None, pairs, options.training), ["source", "", ""])
    folds = options.folds if args.folds else 0
    tasks = [task for p, _ in people for task in trainings(p, most, folds)]
    each = most + folds  # trainings of a person
    bank = SpeakerBank(model, methods, speakers=len(tasks), seed=args.seed)
    trainer = Trainer(model, bank, tasks, options.training)
    for number in range(max(args.steps)):
        trainer.step(number, range(len(tasks)))
        for name, own in mixtures(args.fits, folds) if number + 1 in args.steps else ():
            means = trainer.result.averaged([[each * row + one for one in own] for row in range(len(people))])
            for strength in args.strengths:
                scaled = means.scaled(torch.full((len(people),), strength))
                scores = evaluate_pairs(model, scaled, pairs, options.training)
                yield line(scores, [number + 1, name, strength])


def main() -> None:
    """Print the table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--recordings", type=int, required=True)
    parser.add_argument("--groups", type=int, default=5)
    parser.add_argument("--fits", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, nargs="+", default=[40, 80])
    parser.add_argument("--strengths", type=float, nargs="+", default=[1.0, 0.7, 0.5])
    parser.add_argument("--folds", action="store_true", help="also the trainings of the cross-validation")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = load_model(args.model, device="cpu")
    people = list(load_people(model, args, EnrolmentOptions(seed=args.seed)))
    seconds = sum(person.seconds for person, _ in people) / len(people)
    print(f"{len(people)} people, {seconds:.0f} s each, {people[0][0].settings[0]}\n")
    print("| updates | fits | strength | CER | WER | loss a character |\n|--:|--:|--:|--:|--:|--:|")
    for text in report(model, people, args):
        print(text, flush=True)


if __name__ == "__main__":
    main()
