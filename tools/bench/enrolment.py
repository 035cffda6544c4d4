"""Speakers enrolled per minute, all in one job against one after the other, and whether both come to the same.

    python tools/bench/enrolment.py [--speakers 1 8 64] [--method lowrank] [--json OUT]
    python tools/bench/enrolment.py --manifest M --where part=enroll --speakers 16 [--utterances 10]

Without a manifest the demo recordings are dealt out to pretended speakers, four to each. Nothing is stored. For
every number of speakers both ways run in turn, `--rounds` times, after one person to warm up. With `--apart N`
only the first N are enrolled one after the other as well: their time is taken for that of all, their results are
compared.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from measuring import Table, write

from asradapt.cli.demo import demo_folder
from asradapt.enrolment import Enrolled, EnrolmentOptions, enroll
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.types import Utterance

People = Mapping[str, Sequence[Utterance]]
Results = dict[str, Enrolled]


def people_of(manifest: Path, where: Sequence[str], count: int, each: int) -> dict[str, list[Utterance]]:
    """The first `count` speakers of a manifest with their first `each` utterances."""
    people: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(manifest, where=parse_where(where)).utterances:
        people.setdefault(utterance.speaker or "nobody", []).append(utterance)
    return {name: found[:each] for name, found in list(people.items())[:count]}


def pretended(count: int, each: int) -> dict[str, list[Utterance]]:
    """The demo recordings dealt out to `count` pretended speakers, some to several."""
    found = read_manifest(demo_folder() / "manifest.jsonl", where=[("part", "enroll")]).utterances
    people: dict[str, list[Utterance]] = {}
    for number in range(count):
        chosen = [found[(number + each * i) % len(found)] for i in range(each)]
        people[f"s{number}"] = [replace(u, speaker=f"s{number}") for u in chosen]
    return people


def together(model: ConformerSource, people: People, options: EnrolmentOptions) -> tuple[float, Results]:
    """Seconds and results of one job."""
    began = time.perf_counter()
    result = enroll(model, people, options=replace(options, speakers_at_once=len(people)))
    return time.perf_counter() - began, {one.record.speaker: one for one in result.speakers}


def in_turn(model: ConformerSource, people: People, options: EnrolmentOptions) -> tuple[float, Results]:
    """Seconds and results of one job a person."""
    began, results = time.perf_counter(), {}
    for name, utterances in people.items():
        results[name] = enroll(model, {name: utterances}, options=options).speakers[0]
    return time.perf_counter() - began, results


def difference(one: Results, other: Results) -> tuple[int, int, float]:
    """How many decisions differ, how many people are adapted, and the largest difference of a tensor's value."""
    decisions = sum(one[name].record.decision != other[name].record.decision for name in one)
    adapted = sum(result.record.decision == "adapted" for result in one.values())
    worst = 0.0
    for name, result in one.items():
        for key in result.state.keys() & other[name].state.keys():
            worst = max(worst, float((result.state[key] - other[name].state[key]).abs().max()))
    return decisions, adapted, worst


def measure(
    model: ConformerSource, people: People, options: EnrolmentOptions, rounds: int, apart: int
) -> list[object]:
    """A row of the table; `apart` people are enrolled one after the other as well, 0 for all."""
    few = dict(list(people.items())[: apart or len(people)])
    ratios, speeds = [], []
    for _ in range(rounds):
        joint, results = together(model, people, options)
        alone, others = in_turn(model, few, options)
        ratios.append(alone / len(few) * len(people) / joint)
        speeds.append(60 * len(people) / joint)
    results = {name: results[name] for name in few}
    decisions, adapted, worst = difference(results, others)
    return [len(people), statistics.median(speeds), statistics.median(ratios), decisions, adapted, worst]


def main() -> None:
    """A row for every number of speakers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--speakers", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--utterances", type=int, default=4, help="of each speaker, at most")
    parser.add_argument("--method", default="lowrank")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--apart", type=int, default=0, help="most speakers enrolled one after the other; 0 all")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model, options = load_model(args.model, device=args.device), EnrolmentOptions(method=args.method)
    most = max(args.speakers)
    people: People = (
        people_of(args.manifest, args.where, most, args.utterances)
        if args.manifest
        else pretended(most, args.utterances)
    )
    together(model, dict(list(people.items())[:1]), options)
    columns = ["speakers", "per minute in one job", "times one after the other", "decisions that differ"]
    title = f"Enrolment by {args.method}, {args.utterances} recordings each"
    table = Table(title, [*columns, "adapted", "largest difference"])
    for count in args.speakers:
        table.rows.append(measure(model, dict(list(people.items())[:count]), options, args.rounds, args.apart))
    write([table], args.json)


if __name__ == "__main__":
    main()
