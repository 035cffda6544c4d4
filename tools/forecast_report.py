"""How good the forecasts of enrolment are: foretold from few minutes, measured by the folds of twice as many.

    python tools/forecast_report.py MANIFEST [--where part=enroll] [--speaker NAME] [--minutes 2,4] [--repeats 3]

For each draw of so many minutes of a person's recordings the setting is cross-validated, a part of the speech is
trained on as enrolment does, and the error of twice as much speech is foretold. Then twice as much is
cross-validated; its error counts on the recordings of the first draw only, so that both are about the same words.
The forecast is made whether or not the gate accepts. The exponent is the measured one between the two, in brackets
that of the forecast.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from asradapt.curve import draw
from asradapt.enrolment import EnrolmentOptions
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.folds import speaker_seed
from asradapt.enrolment.forecast import Accepted, Curve, curves, fold_seconds, make_forecast
from asradapt.enrolment.judging import judge
from asradapt.enrolment.people import Person, make_person
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.scoring import ErrorCounts, total
from asradapt.types import Utterance

Result = tuple[Person, dict[int, ErrorCounts], ErrorCounts, list[tuple[Accepted, Curve]]]


class Known:
    """Cross-validations that were made, by draw."""

    def __init__(self, model: ConformerSource, options: EnrolmentOptions, everything: list[Utterance]) -> None:
        self.model, self.options = model, options
        self.examples = {id(u): self._example(u) for u in everything}
        self.found: dict[tuple[str, float, int], Result] = {}

    def _example(self, utterance: Utterance) -> Example | None:
        return next(iter(prepare_examples(self.model, [utterance]).usable), None)

    def get(self, name: str, rows: list[Utterance], minutes: float, repeat: int, *, curve: bool) -> Result:
        """Folds of one draw, and the forecast's curve if asked for."""
        key = (name, minutes, repeat)
        drawn = draw(rows, minutes, speaker_seed(self.options.seed + repeat, name))
        if key not in self.found:
            examples = [e for u in drawn if (e := self.examples[id(u)])]
            person = make_person(f"{name}-{minutes:g}-{repeat}", examples, self.options)
            (judged,) = judge(self.model, [person], self.options, Clock(), lambda share: None)
            assert judged.choice
            accepted = [Accepted(person, judged.choice, judged.after)]
            fitted = curves(self.model, accepted, self.options) if curve else []
            counts = {id(e.utterance): c for e, c in zip(person.examples, judged.after, strict=True)}
            self.found[key] = (person, counts, total(judged.before), fitted)
        return self.found[key]


@dataclass
class Tally:
    """How far forecasts, and the guess that nothing changes, are from what was measured."""

    misses: list[float] = field(default_factory=list)
    still: list[float] = field(default_factory=list)
    exponents: list[float] = field(default_factory=list)
    inside: int = 0

    def line(
        self,
        start: float,
        few: ErrorCounts,
        more: ErrorCounts,
        fitted: list[tuple[Accepted, Curve]],
    ) -> str:
        """The last columns of the table for one draw; nothing is foretold from too little speech."""
        before, after = few.wer, more.wer
        self.exponents.append(math.log((few.errors + 0.5) / (more.errors + 0.5)) / math.log(2))
        if not fitted:
            return f"{before:.1%} | | | {after:.1%} | {self.exponents[-1]:.2f} |"
        curve = fitted[0][1]
        told = make_forecast(curve, start, start)
        self.misses.append(told.then - after)
        self.still.append(before - after)
        self.inside += told.low <= before - after <= told.high
        return (
            f"{before:.1%} | {told.then:.1%} | {told.low:.1%} to {told.high:.1%} | {after:.1%} | "
            f"{self.exponents[-1]:.2f} ({curve.exponent:.2f}) |"
        )

    def summary(self) -> str:
        """All draws together."""
        text = f"measured exponents: mean {np.mean(self.exponents):.2f}, deviation {np.std(self.exponents):.2f}"
        if self.misses:
            text += (
                f"; forecasts miss by {np.mean(np.abs(self.misses)):.1%} (bias {np.mean(self.misses):+.1%}), "
                f"saying no change by {np.mean(np.abs(self.still)):.1%}; "
                f"{self.inside} of {len(self.misses)} inside"
            )
        return text


def main() -> None:
    """Draw, cross-validate, foretell, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--speaker")
    parser.add_argument("--minutes", default="2,4")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--method", default="lowrank")
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    people: dict[str, list[Utterance]] = {}
    for row in read_manifest(args.manifest, where=parse_where(args.where)).utterances:
        if args.speaker in (None, row.speaker):
            people.setdefault(row.speaker or "nobody", []).append(row)
    options = EnrolmentOptions(method=args.method)
    known = Known(load_model(args.model, device="cpu"), options, [u for rows in people.values() for u in rows])
    minutes = [float(part) for part in args.minutes.split(",")]
    print("| speaker | minutes | repeat | source | WER | foretold | fall, 80% interval | measured | exponent |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|", flush=True)
    tally = Tally()
    for name, repeat, length in product(people, range(1, args.repeats + 1), minutes):
        person, counts, source, fitted = known.get(name, people[name], length, repeat, curve=True)
        _, more, _, _ = known.get(name, people[name], 2 * length, repeat, curve=2 * length in minutes)
        columns = tally.line(
            fold_seconds(person), total(counts.values()), total(more[key] for key in counts), fitted
        )
        print(f"| {name} | {length:g} | {repeat} | {source.wer:.1%} | {columns}", flush=True)
    print(tally.summary())


if __name__ == "__main__":
    main()
