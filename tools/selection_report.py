"""By what to choose among an enrolment's candidates: nested held-out errors of several rules.

    python tools/selection_report.py --manifest M --where part=enroll [--recordings 10] [--every 3] [--seed 0]

Everybody is cross-validated once, as `enroll --method auto` does it but for the checks of recordings and with
more patience (--patience 6); then every rule chooses among the same checkpoints and strengths, for each fold by
the other folds. The first line is the source. With --recordings everybody's recordings are taken in groups of
so many, each a person of its own. Of a single person every candidate is printed too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.people import Person, make_person
from asradapt.enrolment.selection import Choice, prefer, run_method, select
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import total
from asradapt.types import Utterance

TOGETHER = 4  # people in a job
Cost = Callable[[Choice, int], float]
RULES: dict[str, Cost] = {
    "loss + wrong characters": lambda choice, index: choice.cost([index]),
    "loss": lambda choice, index: choice.losses[index],
    "wrong characters": lambda choice, index: choice.counts[index].character_errors + 1e-6 * choice.losses[index],
    "wrong words": lambda choice, index: choice.counts[index].errors + 1e-6 * choice.losses[index],
    "loss + 3 x wrong characters": lambda choice, index: (
        choice.losses[index] + 3 * choice.counts[index].character_errors
    ),
}


def rule(cost: Cost) -> Callable[[Sequence[Choice], Sequence[int]], Choice]:
    """The choice with the least cost on some utterances."""
    return lambda seen, indices: min(seen, key=lambda choice: sum(cost(choice, index) for index in indices))


def load_people(model: SourceModel, args: argparse.Namespace, options: EnrolmentOptions) -> list[Person]:
    """Every n-th speaker, or the groups of recordings of each."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(args.manifest, where=parse_where(args.where)).utterances:
        by_name.setdefault(utterance.speaker or "nobody", []).append(utterance)
    found = []
    for name in list(by_name)[:: args.every]:
        size = args.recordings or len(by_name[name])
        for start in range(0, len(by_name[name]) - size + 1, size):
            examples = prepare_examples(model, by_name[name][start : start + size]).usable
            found.append(make_person(f"{name}_{start // size}", examples, options))
    return found


def candidates(
    model: SourceModel, people: Sequence[Person], options: EnrolmentOptions
) -> list[tuple[Person, list[Choice]]]:
    """Everything that was seen of everybody."""
    seen: dict[str, list[Choice]] = {person.name: [] for person in people}
    for start in range(0, len(people), TOGETHER):
        group = people[start : start + TOGETHER]
        tried = (setting.methods(options.method_options) for person in group for setting in person.settings)
        for methods in dict.fromkeys(tried):
            for trial in run_method(model, group, methods, options, Clock(), lambda share: None):
                seen[trial.person.name] += trial.seen
    return [(person, seen[person.name]) for person in people]


def every(seen: Sequence[Choice]) -> list[str]:
    """All candidates of a person in Markdown."""
    lines = ["| updates | strength | CER | WER | loss a character |", "|--:|--:|--:|--:|--:|"]
    for choice in seen:
        counts = total(choice.counts)
        loss = sum(choice.losses) / max(1, counts.characters)
        lines.append(f"| {choice.steps} | {choice.strength} | {counts.cer:.1%} | {counts.wer:.1%} | {loss:.3f} |")
    return lines


def main() -> None:
    """Print a line in Markdown for every rule."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--recordings", type=int, default=0)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--patience", type=int, default=6)
    parser.add_argument("--checkpoints", type=int, default=EnrolmentOptions.checkpoints)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = load_model(args.model, device="cpu")
    options = EnrolmentOptions(patience=args.patience, checkpoints=args.checkpoints, seed=args.seed)
    people = load_people(model, args, options)
    found = candidates(model, people, options)
    if len(found) == 1:
        print("\n".join([*every(found[0][1]), ""]))
    print(f"| {len(found)} people | CER | WER | updates | strength |\n|---|--:|--:|--:|--:|")
    pairs = [(0, example) for person in people for example in person.examples]
    source = total(evaluate_pairs(model, None, pairs, options.training)[0].counts.values())
    print(f"| source | {source.cer:.1%} | {source.wer:.1%} | 0 | |")
    rules = {"the longest that is level (used)": prefer} | {name: rule(cost) for name, cost in RULES.items()}
    for name, preferred in rules.items():
        selected = [select(person, seen, preferred) for person, seen in found]
        counts = total(one for each in selected for one in each.counts)
        updates = sum(each.choice.steps for each in selected) / len(selected)
        strength = sum(each.choice.strength for each in selected) / len(selected)
        print(f"| {name} | {counts.cer:.1%} | {counts.wer:.1%} | {updates:.0f} | {strength:.2f} |")


if __name__ == "__main__":
    main()
