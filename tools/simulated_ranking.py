"""Error against the strength of simulated accents and impediments, and whether methods rank as on real speakers.

    python tools/simulated_ranking.py --text TEXT/tatoeba.txt --manifest SPEECH/speechocean762/manifest.jsonl \
        --where part=enroll --work WORK --exclude-manifest SIM/voices/manifest.jsonl

For every accent or impediment and strength a pseudo-speaker reads 20 sentences to adapt on and 20 others to
measure. Every method is trained with its own rate for a fixed number of updates on all of them (no gate: the
question is the method). The real speakers of the manifest are halved in the same way. Prints Markdown: error
before and after against strength, pooled error by method, and Spearman's rank correlation of the methods' errors
on simulated and on real speakers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import soundfile
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, total
from asradapt.simulation import PseudoSpeaker, speak
from asradapt.simulation.sentences import manifest_texts, read_sentences
from asradapt.types import Utterance

METHODS = ("affine", "input", "lowrank", "bottleneck", "head", "affine+lowrank")
SENTENCES = 20
VOICE = "awb"  # of flite; no source model has heard it


@dataclass(frozen=True)
class Speaker:
    """Somebody to adapt to: what they are, and their utterances to learn from and to measure on."""

    trait: str
    strength: float
    enroll: tuple[Example, ...]
    test: tuple[Example, ...]


def simulate(model: SourceModel, base: PseudoSpeaker, texts: Sequence[str], work: Path) -> list[Utterance]:
    """Utterances of a pseudo-speaker, spoken once and kept."""
    strength = base.accent_strength + base.impediment_strength
    folder = work / f"{base.name}-{strength:g}"  # the name stays, so that strength alone tells them apart
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, text in enumerate(texts):
        path = folder / f"{number:02d}.flac"
        if not path.exists():
            soundfile.write(path, speak(text, base, seed=number), model.sample_rate)
        made.append(Utterance(path, text, base.name))
    return made


def halves(model: SourceModel, trait: str, strength: float, utterances: Sequence[Utterance]) -> Speaker:
    """The first half to learn from, the second to measure on."""
    usable = prepare_examples(model, utterances).usable
    middle = len(usable) // 2
    return Speaker(trait, strength, tuple(usable[:middle]), tuple(usable[middle:]))


def adapted(model: SourceModel, people: Sequence[Speaker], method: str, steps: int) -> list[ErrorCounts]:
    """Errors of every speaker on their test half after training one method."""
    options = TrainingOptions()
    bank = SpeakerBank(model, create(method), speakers=len(people), seed=0)
    tasks = [Task(person.enroll, 1.0, number) for number, person in enumerate(people)]
    train(Trainer(model, bank, tasks, options), [steps] * len(people))
    return measured(model, bank, people)


def measured(model: SourceModel, bank: SpeakerBank | None, people: Sequence[Speaker]) -> list[ErrorCounts]:
    """Errors of every speaker on their test half."""
    pairs = [(row, example) for row, person in enumerate(people) for example in person.test]
    scores = evaluate_pairs(model, bank, pairs, TrainingOptions())
    return [total(list(scores[row].counts.values())) for row in range(len(people))]


def in_parts(model: SourceModel, people: Sequence[Speaker], method: str, steps: int) -> list[ErrorCounts]:
    """`adapted` for any number of people, in bounded memory."""
    return [c for at in range(0, len(people), 16) for c in adapted(model, people[at : at + 16], method, steps)]


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0, equal values sharing the mean of theirs."""
    return [sum(o < v for o in values) + (sum(o == v for o in values) - 1) / 2 for v in values]


def spearman(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation."""
    both = torch.tensor([ranks(first), ranks(second)])
    return float(torch.corrcoef(both)[0, 1])


def pseudo_speakers(strengths: Sequence[float]) -> list[tuple[str, float, PseudoSpeaker]]:
    """Every accent and impediment, each one person who has it in every strength."""
    from asradapt.simulation.accents import ACCENTS
    from asradapt.simulation.impediments import IMPEDIMENTS

    people = [("none", 0.0, PseudoSpeaker("none", "flite", VOICE))]
    for trait in [*ACCENTS, *IMPEDIMENTS]:
        for strength in strengths:
            base = PseudoSpeaker(trait, "flite", VOICE)
            if trait in ACCENTS:
                person = replace(base, accent=trait, accent_strength=strength)
            else:
                person = replace(base, impediment=trait, impediment_strength=strength)
            people.append((trait, strength, person))
    return people


def simulated_people(model: SourceModel, args: argparse.Namespace) -> list[Speaker]:
    """The pseudo-speakers with what they say."""
    excluded = manifest_texts(args.exclude_manifest)
    usable = [text for file in read_sentences([args.text], words=(4, 9), excluded=excluded) for text in file]
    texts = usable[:: args.stride][: 2 * SENTENCES]
    return [
        halves(model, trait, strength, simulate(model, person, texts, args.work))
        for trait, strength, person in pseudo_speakers(args.strengths)
    ]


def real_people(model: SourceModel, args: argparse.Namespace) -> list[Speaker]:
    """The speakers of the manifest."""
    by_name: dict[str, list[Utterance]] = {}
    for utterance in read_manifest(args.manifest, where=parse_where(tuple(args.where))).utterances:
        by_name.setdefault(utterance.speaker or "", []).append(utterance)
    return [halves(model, "real", 0.0, utterances) for utterances in list(by_name.values())[:: args.every]]


def table_of_strengths(
    people: Sequence[Speaker], before: Sequence[ErrorCounts], after: Sequence[ErrorCounts]
) -> str:
    """CER before and after against strength, a row a trait."""
    strengths = sorted({person.strength for person in people})
    rows = ["| | " + " | ".join(f"{s:g}" for s in strengths) + " |", "|---|" + "---|" * len(strengths)]
    for trait in dict.fromkeys(person.trait for person in people):
        cells = []
        for strength in strengths:
            chosen = [n for n, p in enumerate(people) if (p.trait, p.strength) == (trait, strength)]
            pair = [total([counts[n] for n in chosen]).cer for counts in (before, after)] if chosen else []
            cells.append(" → ".join(f"{rate:.1%}" for rate in pair))
        rows.append(f"| {trait} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def main() -> None:
    """Make the speakers, train every method on all of them, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument(
        "--exclude-manifest", type=Path, action="append", default=[], help="what training speech said"
    )
    parser.add_argument("--stride", type=int, default=1999, help="take every n-th usable sentence")
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--every", type=int, default=2, help="take every n-th real speaker")
    parser.add_argument("--strengths", type=float, nargs="+", default=[0.5, 1.0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--work", type=Path, required=True)
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    sim, real = simulated_people(model, args), real_people(model, args)
    before = {"simulated": measured(model, None, sim), "real": measured(model, None, real)}
    after = {
        m: {"simulated": in_parts(model, sim, m, args.steps), "real": in_parts(model, real, m, args.steps)}
        for m in METHODS
    }
    best = min(METHODS, key=lambda m: total(after[m]["simulated"]).cer)
    print(f"CER before → after `{best}`, 20 simulated utterances, by strength:\n")
    print(table_of_strengths(sim, before["simulated"], after[best]["simulated"]))
    print("\n| method | simulated CER | real CER |\n|---|--:|--:|")
    print(f"| none | {total(before['simulated']).cer:.1%} | {total(before['real']).cer:.1%} |")
    for method in METHODS:
        print(
            f"| {method} | {total(after[method]['simulated']).cer:.1%} | {total(after[method]['real']).cer:.1%} |"
        )
    rates = [[total(after[m][kind]).cer for m in METHODS] for kind in ("simulated", "real")]
    print(f"\nRank correlation of the {len(METHODS)} methods: {spearman(*rates):.2f}")
    (args.work / "ranking.json").write_text(
        json.dumps({"methods": METHODS, "simulated": rates[0], "real": rates[1]})
    )


if __name__ == "__main__":
    main()
