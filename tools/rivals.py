r"""Word error rate on `test` of other ways to adapt, each tuned on the folds of `enroll`, next to ours.

    python tools/rivals.py SPEECH/fsdd/manifest.jsonl auto affine lowrank encoder \
        peers:fmllr peers:lhuc peers:lora peers:full

METHOD is enrolled as `asradapt enroll --method METHOD` does it, gate included. `peers:NAME` is what one would do
with the usual tools: one method, learning rate and number of updates (up to 60, or 24 passes) chosen by the same
three folds for every person, no augmentation, no strengths, no gate; with the average of the path of training, as
ours. `peers+:NAME` has our augmentation as well. Same source model, same recordings.

    fmllr  affine transform of the features alone (Gales 1998)
    lhuc   amplitudes 2 sigmoid(a) of hidden units alone (Swietojanski et al. 2016)
    lora   low-rank changes with PEFT's defaults (rank 8, alpha 8, Kaiming start), all linear layers of the encoder
    full   all weights of the encoder, with early stopping

Prints a line a method: WER and CER pooled over the test recordings of everybody, and of each person.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.encoder import Encoder
from asradapt.adaptation.lowrank import LowRank
from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.augmentation import NO_AUGMENTATION
from asradapt.enrolment.clock import Clock
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.people import Person, make_person
from asradapt.enrolment.planning import portions
from asradapt.enrolment.screening import screen
from asradapt.enrolment.selection import Choice, cross_validate
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import Site, SourceModel
from asradapt.scoring import ErrorCounts, total
from asradapt.types import Utterance

State = Mapping[str, Tensor]
Adapted = tuple[tuple[Method, ...], State]


@register
@dataclass(frozen=True)
class Lhuc(Method):
    """`2 sigmoid(a) y` at the outputs of blocks, with nothing else."""

    name = "peer_lhuc"
    summary = "learning hidden unit contributions"
    kinds = frozenset({"norm", "block"})
    rate = 3e-2

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`amplitude` (D,)."""
        return {"amplitude": TensorSpec((site.width,))}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Scale `y` (B, F, D)."""
        return y * (2 * torch.sigmoid(tensors["amplitude"]))[:, None, :]


@register
@dataclass(frozen=True)
class Lora(LowRank):
    """LoRA as PEFT makes it unless told otherwise: rank 8, alpha 8, so a factor of 1."""

    name = "peer_lora"
    rate = 1e-3
    rank: int = 8

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """As `lowrank`; the spread is that of Kaiming's uniform start with a = sqrt(5)."""
        spread = (3 * site.width_in) ** -0.5
        return super().tensors(site) | {
            "down": TensorSpec((site.width_in, self.rank), spread=spread, scaled=False)
        }


@register
@dataclass(frozen=True)
class Full(Encoder):
    """All weights of the encoder."""

    name = "peer_full"
    rate = 1e-4


PEERS = {"fmllr": "input", "lhuc": "peer_lhuc", "lora": "peer_lora", "full": "peer_full"}
RATES = (1.0, 3.0)
"""Factors on the rates of the methods; around those that were best on the folds of one person of fsdd."""


def by_speaker(path: Path, part: str, every: int) -> dict[str, list[Utterance]]:
    """The recordings of a part; of every n-th person."""
    found: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(path, where=parse_where([f"part={part}"])).utterances:
        found.setdefault(utterance.speaker or "nobody", []).append(utterance)
    return {name: found[name] for name in sorted(found)[::every]}


def people_of(
    model: SourceModel, spoken: Mapping[str, list[Utterance]], options: EnrolmentOptions
) -> list[Person]:
    """People with the recordings that pass the checks of `enroll`."""
    people = []
    for name, utterances in spoken.items():
        kept = screen(model, prepare_examples(model, utterances).usable, options.training).kept
        people.append(make_person(name, kept, options))
    return people


def fit(model: SourceModel, person: Person, choice: Choice, options: EnrolmentOptions) -> State:
    """The chosen rate trained on all recordings, for as many passes as were best on the folds."""
    bank = SpeakerBank(model, choice.setting.methods(options.method_options), speakers=1, seed=options.seed)
    whole = choice.share == choice.steps
    passes = choice.share * (1 if whole else portions(person.seconds, len(person.examples), options))
    trainer = Trainer(model, bank, [Task(person.examples, choice.setting.rate, person.seed)], options.training)
    train(trainer, [max(1, round(passes))])
    bank.requires_grad(False)
    return bank.state(0)


def peer(
    model: SourceModel, name: str, spoken: Mapping[str, list[Utterance]], *, augment: bool
) -> tuple[tuple[Method, ...], dict[str, State]]:
    """A peer's adaptation of everybody; a person without gain on the folds keeps its adaptation all the same."""
    plain = EnrolmentOptions(method=PEERS[name], rates=RATES, strengths=(1.0,), least_steps=60)
    training = replace(
        plain.training, decay=0.0, augmentation=plain.training.augmentation if augment else NO_AUGMENTATION
    )
    options = replace(plain, training=training)
    states: dict[str, State] = {}
    for person in people_of(model, spoken, options):
        (found,) = cross_validate(model, [person], options, Clock(), lambda _: None)
        print(f"  {person.name}: rate x{found.choice.setting.rate:g}, {found.choice.steps} updates", flush=True)
        states[person.name] = fit(model, person, found.choice, options)
    return create(PEERS[name]), states


def ours(model: SourceModel, method: str, spoken: Mapping[str, list[Utterance]]) -> dict[str, Adapted]:
    """Everybody as the program enrols them; without those who keep the source."""
    done = enroll(model, spoken, options=EnrolmentOptions(method=method, forecast=False))
    made = {one.record.speaker: create(one.record.method, one.record.options) for one in done.speakers}
    return {one.record.speaker: (made[one.record.speaker], one.state) for one in done.speakers if one.state}


@torch.no_grad()
def judge(
    model: SourceModel, spoken: Mapping[str, list[Utterance]], adapted: Mapping[str, Adapted]
) -> dict[str, ErrorCounts]:
    """Error counts of everybody's test recordings, decoded greedily."""
    counts = {}
    for name, utterances in spoken.items():
        examples = prepare_examples(model, utterances).usable
        bank = None
        if name in adapted:
            methods, state = adapted[name]
            bank = SpeakerBank(model, methods)
            bank.load(0, state)
        scores = evaluate_pairs(model, bank, [(0, one) for one in examples], EnrolmentOptions().training)
        counts[name] = total(list(scores[0].counts.values()))
    return counts


def line(name: str, counts: Mapping[str, ErrorCounts], seconds: float) -> str:
    """A row of the table."""
    pooled = total(list(counts.values()))
    each = ", ".join(f"{who} {one.wer:.1%}" for who, one in counts.items()) if len(counts) < 8 else ""
    return f"| {name} | {pooled.wer:.1%} | {pooled.cer:.1%} | {seconds:.0f} | {each} |"


def main() -> None:
    """Run the methods one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("methods", nargs="+")
    parser.add_argument("--every", type=int, default=1, help="take every n-th person")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--out", type=Path, help="a line of JSON for every method is appended here")
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    enrolled, tested = (by_speaker(args.manifest, part, args.every) for part in ("enroll", "test"))
    print("| method | WER | CER | seconds | each |\n|---|--:|--:|--:|---|")
    print(line("source", judge(model, tested, {}), 0), flush=True)
    for name in args.methods:
        began = time.monotonic()
        kind, _, which = name.partition(":")
        if which:
            methods, states = peer(model, which, enrolled, augment=kind == "peers+")
            adapted = {who: (methods, state) for who, state in states.items()}
        else:
            adapted = ours(model, name, enrolled)
        counts = judge(model, tested, adapted)
        print(line(name, counts, time.monotonic() - began), flush=True)
        if args.out:
            found = {who: {"errors": one.errors, "words": one.words} for who, one in counts.items()}
            with args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"method": name, "adapted": sorted(adapted), "speakers": found}) + "\n")


if __name__ == "__main__":
    main()
