"""Held-out error of methods and learning rates over the number of updates, pooled over speakers.

    python tools/tune_methods.py --manifest M --where part=enroll --every 8 affine:1 affine:3 affine+lowrank:1

Each argument is METHOD:RATE, the rate a factor on the method's own. Cross-validation on the given part only, as in
enrolment; the table shows pooled character and word error of the held-out folds at each checkpoint.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

from asradapt.enrolment import EnrolmentOptions, Setting
from asradapt.enrolment import selection as selection_module
from asradapt.enrolment.enroll import make_person, source_counts
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.selection import Person, Trial, run_method
from asradapt.enrolment.training import Trainer, evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.scoring import ErrorCounts, total
from asradapt.types import Utterance

Curve = dict[int, list[ErrorCounts]]


def load_people(
    model: ConformerSource, manifest: Path, where: list[str], every: int, options: EnrolmentOptions
) -> list[Person]:
    """Every n-th speaker of the manifest."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(manifest, where=parse_where(where)).utterances:
        by_name.setdefault(utterance.speaker or "nobody", []).append(utterance)
    names = list(by_name)[::every]
    return [make_person(n, prepare_examples(model, by_name[n]).usable, options) for n in names]


def record_marks(curve: Curve) -> None:
    """Make selection note the counts of every checkpoint, and end nothing early."""

    def look(trainer: Trainer, trials: list[Trial], steps: int, patience: int) -> None:
        pairs = [pair for trial in trials for pair in trial.pairs()]
        scores = evaluate_pairs(trainer.model, trainer.bank, pairs, trainer.options)
        for trial in trials:
            choice = trial.choice(scores, steps, 1.0)
            curve.setdefault(steps, []).extend(choice.counts)
            trial.best, trial.done = choice, steps >= trial.marks[-1]

    selection_module.look = look  # type: ignore[assignment]


def main() -> None:
    """Run the candidates one after the other and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("settings", nargs="+")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--checkpoints", type=int, default=8)
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    options = EnrolmentOptions(
        least_steps=args.steps, checkpoints=args.checkpoints, strengths=(1.0,), passes=args.steps
    )
    people = load_people(model, args.manifest, args.where, args.every, options)
    source = total([c for counts in source_counts(model, people, options) for c in counts])
    print(f"{len(people)} speakers, source: CER {source.cer:.1%}, WER {source.wer:.1%}", flush=True)
    for text in args.settings:
        method, _, rate = text.partition(":")
        began = time.monotonic()
        curve: Curve = {}
        record_marks(curve)
        setting = Setting(method, float(rate or 1))
        run_method(model, [replace(p, settings=(setting,)) for p in people], method, options, lambda share: None)
        cells = [f"{s}: {total(c).cer:.1%} {total(c).wer:.1%}" for s, c in sorted(curve.items())]
        print(f"{text:24} {time.monotonic() - began:5.0f} s  " + " | ".join(cells), flush=True)


if __name__ == "__main__":
    main()
