"""Enrol many speakers in one job against one after the other: time, and whether the results agree.

    python tools/bench/enrolment.py --manifest M [--where part=enroll] [--speakers 16] [--method affine]

Without a manifest the demo recordings are used, dealt out to 6 pretended speakers. Both ways run in this
process, in turn, `--repeats` times; the table and `--json` give medians.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from asradapt.cli.demo import demo_folder
from asradapt.enrolment import Enrolled, EnrolmentOptions, enroll
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.types import Utterance

People = Mapping[str, Sequence[Utterance]]


def people_of(manifest: Path, where: Sequence[str], count: int, each: int) -> dict[str, list[Utterance]]:
    """The first `count` speakers of a manifest with their first `each` utterances."""
    people: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(manifest, where=parse_where(where)).utterances:
        people.setdefault(utterance.speaker or "nobody", []).append(utterance)
    return {name: found[:each] for name, found in list(people.items())[:count]}


def pretended(count: int = 6) -> dict[str, list[Utterance]]:
    """The demo recordings dealt out to `count` pretended speakers."""
    found = read_manifest(demo_folder() / "manifest.jsonl", where=[("part", "enroll")]).utterances
    return {f"demo{i}": [replace(u, speaker=f"demo{i}") for u in found[i::count]] for i in range(count)}


def together(
    model: ConformerSource, people: People, options: EnrolmentOptions
) -> tuple[float, dict[str, Enrolled]]:
    """Seconds and results of one job."""
    began = time.perf_counter()
    result = enroll(model, people, options=replace(options, speakers_at_once=len(people)))
    return time.perf_counter() - began, {one.record.speaker: one for one in result.speakers}


def in_turn(
    model: ConformerSource, people: People, options: EnrolmentOptions
) -> tuple[float, dict[str, Enrolled]]:
    """Seconds and results of one call a speaker."""
    began, results = time.perf_counter(), {}
    for name, utterances in people.items():
        results[name] = enroll(model, {name: utterances}, options=options).speakers[0]
    return time.perf_counter() - began, results


def agreement(one: Mapping[str, Enrolled], other: Mapping[str, Enrolled]) -> dict[str, Any]:
    """How far two sets of results are from each other."""
    same = sum(one[n].record.decision == other[n].record.decision for n in one)
    worst = largest = 0.0
    for name, result in one.items():
        if result.state.keys() != other[name].state.keys():
            continue
        for key, tensor in result.state.items():
            worst = max(worst, float((tensor - other[name].state[key]).abs().max()))
            largest = max(largest, float(tensor.abs().max()))
    chosen = sum(one[n].record.gate["tried"] == other[n].record.gate["tried"] for n in one)
    adapted = sum(one[n].record.decision == "adapted" for n in one)
    return {
        "speakers": len(one),
        "adapted": adapted,
        "same_decision": same,
        "same_setting": chosen,
        "largest_difference": worst,
        "largest_value": largest,
    }


def main() -> None:
    """Run both ways and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--speakers", type=int, default=16)
    parser.add_argument("--utterances", type=int, default=1000, help="of each speaker, at most")
    parser.add_argument("--method", default="affine")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    model = load_model(args.model, device=args.device)
    people: People = (
        people_of(args.manifest, args.where, args.speakers, args.utterances) if args.manifest else pretended()
    )
    options = EnrolmentOptions(method=args.method)
    times: dict[str, list[float]] = {"together": [], "in_turn": []}
    for _ in range(args.repeats):
        joint_seconds, joint = together(model, people, options)
        turn_seconds, turn = in_turn(model, people, options)
        times["together"].append(joint_seconds)
        times["in_turn"].append(turn_seconds)
    ratios = [b / a for a, b in zip(times["together"], times["in_turn"], strict=True)]
    result = {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "method": args.method,
        "seconds_together": statistics.median(times["together"]),
        "seconds_in_turn": statistics.median(times["in_turn"]),
        "ratio": statistics.median(ratios),
        "ratios": ratios,
    } | agreement(joint, turn)
    for key, value in result.items():
        print(f"{key:20} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
