"""Adaptation in one forward pass: a small network that predicts it from how a person sounds, no training.

    python tools/predicted_start.py --train M [--train-where part=train] --test NAME=M [--test-where part=enroll]
        [--listen 5] [--steps 1500] [--rate 0.002] [--seed 0]

The source model hears some recordings of a person, without their texts; mean and deviation of what its middle
block makes of them go through a small network, which predicts scales and shifts of all normalisations (`affine`):
a sum of a few directions that are the same for everybody. Network and directions are learned from the training
people: predicted from some of their recordings, judged by the CTC loss of others. Speaker codes (Abdel-Hamid,
Jiang 2013) and hypernetworks (Ha et al. 2016) are of this kind. Printed are the errors on other recordings of the
people of each test manifest: with the source, with what everybody has in common, with what another person's voice
predicts, and with what their own does. --train and --test can be given more than once.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.coarse import coarse
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.objective import encode_pairs, objective_of
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs, pair_batches
from asradapt.features import mask
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, total
from asradapt.types import Utterance

CODE = 16  # numbers by which people differ
HIDDEN = 64  # width of the layer before them
TOGETHER = 8  # people in an update
SPOKEN = 2  # recordings of each


class Predictor(nn.Module):
    """From statistics (S, E) of some people to the tensors of a bank for them; at first the identity."""

    def __init__(self, bank: SpeakerBank, statistics: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", statistics.mean(0))
        self.register_buffer("spread", statistics.std(0).clamp(min=1e-3))
        self.shapes = {name: tensor.shape[1:] for name, tensor in bank.tensors.items()}
        size = sum(shape.numel() for shape in self.shapes.values())
        self.code = nn.Sequential(nn.Linear(statistics.shape[1], HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, CODE))
        self.directions = nn.Parameter(torch.zeros(CODE, size))
        self.common = nn.Parameter(torch.zeros(size))

    def forward(self, statistics: Tensor | None, people: int) -> dict[str, Tensor]:
        """Tensors (S, ...) by name; without statistics what all people have in common."""
        flat = self.common.expand(people, -1)
        if statistics is not None:
            flat = flat + self.code((statistics - self.mean) / self.spread) @ self.directions
        parts = flat.split([shape.numel() for shape in self.shapes.values()], dim=1)
        return {
            name: part.view(people, *shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


def load_people(model: SourceModel, manifest: Path, where: Sequence[str], least: int) -> list[tuple[Example, ...]]:
    """The recordings of everybody who has enough of them."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(manifest, where=parse_where(where)).utterances:
        by_name.setdefault(utterance.speaker or "nobody", []).append(utterance)
    found = (tuple(prepare_examples(model, own).usable) for own in by_name.values())
    return [examples for examples in found if len(examples) >= least]


@torch.no_grad()
def statistics_of(model: SourceModel, examples: Sequence[Example]) -> Tensor:
    """Mean and deviation over time (N, 2 D) of what the middle block makes of every recording."""
    blocks = model.module.get_submodule("blocks")
    found: dict[int, Tensor] = {}
    kept: list[Tensor] = []
    handle = blocks[len(blocks) // 2].register_forward_hook(lambda _, __, out: kept.append(out))
    try:
        for batch in pair_batches(model, list(enumerate(examples)), 60.0):
            _, frames = encode_pairs(model, None, batch)
            hidden = kept.pop()
            real = mask(frames, hidden.shape[1])[:, :, None]
            count = frames[:, None].to(hidden.dtype)
            mean = (hidden * real).sum(1) / count
            spread = (((hidden - mean[:, None]) * real).square().sum(1) / count).sqrt()
            found |= {row: both for (row, _), both in zip(batch, torch.cat((mean, spread), 1), strict=True)}
    finally:
        handle.remove()
    return torch.stack([found[row] for row in range(len(examples))])


def train(
    model: SourceModel,
    predictor: Predictor,
    bank: SpeakerBank,
    people: Sequence[Sequence[Example]],
    args: argparse.Namespace,
) -> Iterator[float]:
    """Losses a character of the updates."""
    chance, objective = random.Random(args.seed), objective_of(model)
    statistics = [statistics_of(model, examples) for examples in people]
    groups = [{"params": [predictor.directions, predictor.common], "lr": args.rate * 0.3}]
    optimiser = torch.optim.Adam([*groups, {"params": predictor.code.parameters(), "lr": args.rate}])
    for step in range(args.steps):
        for group, most in zip(optimiser.param_groups, (args.rate * 0.3, args.rate), strict=True):
            group["lr"] = most * min(1.0, (step + 1) / 100) * (1 - step / args.steps)
        chosen = chance.sample(range(len(people)), TOGETHER)
        orders = [chance.sample(range(len(people[who])), len(people[who])) for who in chosen]
        heard = torch.stack(
            [
                statistics[who][order[SPOKEN:][: args.listen]].mean(0)
                for who, order in zip(chosen, orders, strict=True)
            ]
        )
        bank.tensors = predictor(heard, TOGETHER)
        pairs = [
            (row, people[who][one])
            for row, (who, order) in enumerate(zip(chosen, orders, strict=True))
            for one in order[:SPOKEN]
        ]
        tokens = sum(len(example.target) for _, example in pairs)
        with coarse(model, None), objective.losses(bank, pairs) as losses:
            loss = losses.sum() / tokens
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        yield loss.item()


def judged(model: SourceModel, bank: SpeakerBank | None, people: Sequence[Sequence[Example]], listen: int) -> str:
    """Errors and loss a character on what was not listened to, in a cell of the table."""
    pairs = [(row, one) for row, examples in enumerate(people) for one in examples[listen:]]
    with torch.no_grad():
        scores = evaluate_pairs(model, bank, pairs, TrainingOptions())
    counts: ErrorCounts = total(count for one in scores.values() for count in one.counts.values())
    loss = sum(value for one in scores.values() for value in one.losses.values()) / max(1, counts.characters)
    return f"{counts.cer:.1%} {counts.wer:.1%} {loss:.3f}"


def main() -> None:
    """Train, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--train", type=Path, action="append", required=True)
    parser.add_argument("--train-where", action="append", default=[], help="for the first of them")
    parser.add_argument("--test", action="append", required=True, metavar="NAME=MANIFEST")
    parser.add_argument("--test-where", action="append", default=[], help="for all of them")
    parser.add_argument("--listen", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    model = load_model("source_en", device="cpu")
    people = [
        examples
        for number, manifest in enumerate(args.train)
        for examples in load_people(model, manifest, [] if number else args.train_where, args.listen + SPOKEN)
    ]
    if len(people) < TOGETHER:
        parser.error(
            f"{len(people)} people with {args.listen + SPOKEN} recordings are too few: give {TOGETHER} or more"
        )
    everything = [example for examples in people for example in examples]
    bank = SpeakerBank(model, create("affine"), speakers=TOGETHER)
    predictor = Predictor(bank, statistics_of(model, everything[:: max(1, len(everything) // 1000)]))
    print(f"{len(people)} people to learn from, {sum(e.seconds for e in everything) / 3600:.1f} h\n", flush=True)
    losses: list[float] = []
    for loss in train(model, predictor, bank, people, args):
        losses.append(loss)
        if len(losses) % 100 == 0:
            print(f"update {len(losses)}: loss {sum(losses[-100:]) / 100:.3f}", flush=True)
    print("\n| people | source | nobody's voice | another's | their own |\n|---|---|---|---|---|")
    for one in args.test:
        name, manifest = one.split("=", 1)
        tested = load_people(model, Path(manifest), args.test_where, args.listen + 1)
        own = torch.stack([statistics_of(model, examples[: args.listen]).mean(0) for examples in tested])
        cells = [judged(model, None, tested, args.listen)]
        for heard in (None, own.roll(1, 0), own):
            if heard is not None and heard is not own and len(tested) < 2:
                cells.append("nobody else")
                continue
            with torch.no_grad():
                bank.tensors, bank.speakers = predictor(heard, len(tested)), len(tested)
            cells.append(judged(model, bank, tested, args.listen))
        print(f"| {name}, {len(tested)} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
