"""An update of an enrolment with its passes side by side, a thread each, and one after the other on all threads.

    python tools/bench/lanes.py [--people 1 4 16] [--busy 0] [--rounds 7] [--json OUT]

Wall time, so it takes quiet cores; with `--busy N` so many other programs compute beside it. Pretended people
learn from ten of the demo speaker's recordings each, in three folds, by `lowrank`, as in a cross-validation.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from crowded import company
from measuring import Table, in_turn, ratio, write

from asradapt.adaptation import SpeakerBank, create
from asradapt.cli.demo import demo_folder
from asradapt.enrolment import EnrolmentOptions, lanes
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.training import Task, Trainer
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel

FOLDS, RECORDINGS = 3, 10


@contextmanager
def alone() -> Iterator[None]:
    """One pass at a time, on all threads."""
    usual = lanes.lanes_for
    lanes.lanes_for = lambda model: 1
    try:
        yield
    finally:
        lanes.lanes_for = usual


def tasks_of(examples: tuple[Example, ...], people: int) -> list[Task]:
    """The folds of people who have ten of the recordings each."""
    tasks = []
    for person in range(people):
        own = [examples[(person + place) % len(examples)] for place in range(RECORDINGS)]
        folds = [tuple(one for place, one in enumerate(own) if place % FOLDS != fold) for fold in range(FOLDS)]
        tasks += [Task(kept, 1.0, len(tasks) + fold) for fold, kept in enumerate(folds)]
    return tasks


def measure(model: SourceModel, examples: tuple[Example, ...], people: int, rounds: int) -> list[object]:
    """A row of the table."""
    tasks = tasks_of(examples, people)
    bank = SpeakerBank(model, create("lowrank", {"lowrank": {"rank": 4}}), speakers=len(tasks))
    trainer = Trainer(model, bank, tasks, EnrolmentOptions().training)
    rows = range(len(tasks))

    def one_by_one() -> None:
        with alone():
            trainer.step(0, rows)

    seconds = in_turn({"side by side": lambda: trainer.step(0, rows), "alone": one_by_one}, rounds)
    cells = [min(seconds["alone"]), min(seconds["side by side"]), ratio(seconds, "alone", "side by side")]
    return [people, len(tasks), *cells]


def main() -> None:
    """A row for every number of people."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--people", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--busy", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = load_model("source_en", device="cpu")
    found = read_manifest(demo_folder() / "manifest.jsonl", where=parse_where(["part=enroll"])).utterances
    examples = prepare_examples(model, found).usable
    columns = ["people", "rows", "one after the other, s", "side by side, s", "times as long one after the other"]
    beside = f" beside {args.busy} other programs" if args.busy else ""
    table = Table(f"An update on {torch.get_num_threads()} threads{beside}", columns)
    with company(args.busy):
        for people in args.people:
            table.rows.append(measure(model, examples, people, args.rounds))
    write([table], args.json)


if __name__ == "__main__":
    main()
