"""Speakers enrolled per minute: all in one job against one after the other, at several numbers of speakers.

    python tools/bench/enrolment_throughput.py [--speakers 1 8 64] [--method lowrank] [--json OUT]

Pretended speakers: the demo recordings dealt out, four to each; `enroll` without a store, so both ways do the same
work and must come to the same decisions.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from measuring import Table, write

from asradapt.cli.demo import demo_folder
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.manifests import read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.types import Utterance

Crowd = dict[str, list[Utterance]]


def crowd(count: int, each: int) -> Crowd:
    """`count` pretended speakers with `each` of the demo recordings."""
    found = read_manifest(demo_folder() / "manifest.jsonl", where=[("part", "enroll")]).utterances
    people: Crowd = {}
    for number in range(count):
        chosen = [found[(number + each * i) % len(found)] for i in range(each)]
        people[f"s{number}"] = [replace(u, speaker=f"s{number}") for u in chosen]
    return people


def timed(model: ConformerSource, people: Crowd, options: EnrolmentOptions) -> tuple[float, dict[str, str]]:
    """Seconds of one call and what was decided for whom."""
    began = time.perf_counter()
    result = enroll(model, people, options=replace(options, speakers_at_once=len(people)))
    return time.perf_counter() - began, {one.record.speaker: one.record.decision for one in result.speakers}


def main() -> None:
    """A row for every number of speakers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--utterances", type=int, default=4)
    parser.add_argument("--alone", type=int, default=4, help="speakers that are timed one after the other")
    parser.add_argument("--method", default="lowrank")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model, options = load_model(args.model, device=args.device), EnrolmentOptions(method=args.method)
    people = crowd(max(args.speakers), args.utterances)
    timed(model, dict(list(people.items())[:1]), options)  # warm
    single = [timed(model, {name: people[name]}, options) for name in list(people)[: args.alone]]
    alone = 60 * len(single) / sum(seconds for seconds, _ in single)
    decisions = {name: made for _, found in single for name, made in found.items()}
    columns = ["speakers in one job", "speakers per minute", "times one after the other", "decisions that differ"]
    table = Table(f"Enrolment by {args.method}, {args.utterances} recordings each", columns)
    table.notes.append(f"One after the other: {alone:.3g} speakers per minute ({len(single)} speakers).")
    for count in args.speakers:
        seconds, made = timed(model, dict(list(people.items())[:count]), options)
        differ = sum(made[name] != decision for name, decision in decisions.items() if name in made)
        table.rows.append([count, 60 * count / seconds, 60 * count / seconds / alone, differ])
    write([table], args.json)


if __name__ == "__main__":
    main()
