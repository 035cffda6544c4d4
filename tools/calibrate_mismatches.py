"""The threshold of the check whether a few recordings of a person say their texts, and what it finds.

    python tools/calibrate_mismatches.py MANIFEST --where part=train             # right and wrong texts
    python tools/calibrate_mismatches.py MANIFEST --where part=enroll --swapped  # swapped within each speaker
    python tools/calibrate_mismatches.py MANIFEST --where part=enroll --swapped --snr 0  # the same in noise

Everybody is judged in groups of `--group` recordings. The threshold lies in the middle between the score that
0.5% of the right texts miss and the score that 0.5% of wrong texts reach. Wrong texts are those of other people of
the same length (within two characters), the hardest to tell. `--swapped` exchanges the texts of two recordings in
as many of the groups as make `--share` of all texts wrong, and counts what is found.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asradapt.audio import load_audio
from asradapt.batching import length_batches, pad
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.pace import prepare
from asradapt.recordings.fits import log_scores, token_index
from asradapt.recordings.mismatch import Judged, judge_texts
from asradapt.scoring import normalize


@dataclass(frozen=True)
class Heard:
    """One recording: its speaker, its text and the source's log probabilities (F, V)."""

    speaker: str
    audio: str
    text: str
    scores: Tensor


def listen(model: ConformerSource, args: argparse.Namespace) -> list[Heard]:
    """All recordings of a part, in noise if asked for."""
    rows = list(read_manifest(args.manifest, where=parse_where(args.where)).utterances)
    generator = np.random.default_rng(args.seed)
    waveforms = []
    for row in rows:
        samples = load_audio(row.audio, model.sample_rate).samples
        if args.snr is not None:
            level = np.sqrt(np.square(samples).mean()) * 10 ** (-args.snr / 20)
            samples = samples + level * generator.standard_normal(len(samples)).astype(np.float32)
        waveforms.append(samples)
    scores: dict[int, Tensor] = {}
    for batch in length_batches([len(w) for w in waveforms], budget=60 * model.sample_rate):
        padded, lengths = pad([waveforms[place] for place in batch])
        with torch.no_grad():
            made = prepare(model, torch.from_numpy(padded), torch.tensor(lengths))
            logits, frames = model.encode(made.features, made.frames)
        scores |= dict(zip(batch, log_scores(logits, frames), strict=True))
    return [
        Heard(row.speaker or "", row.audio.name, normalize(row.text or ""), scores[n])
        for n, row in enumerate(rows)
    ]


def groups(heard: list[Heard], size: int, seed: int) -> Iterator[list[Heard]]:
    """Everybody's recordings in random groups of `size`, all of them in one group for 0."""
    people: dict[str, list[Heard]] = {}
    for one in heard:
        people.setdefault(one.speaker, []).append(one)
    for name, own in people.items():
        random.Random(f"{seed}/{name}").shuffle(own)
        for start in range(0, len(own), size or len(own)):
            yield own[start : start + (size or len(own))]


def judge(group: list[Heard], index: dict[str, int]) -> Judged:
    """The check as enrolment makes it."""
    return judge_texts([one.text for one in group], [one.scores for one in group], index)


def calibrate(everybody: list[list[Heard]], index: dict[str, int], seed: int) -> None:
    """Right texts as they are, and one wrong text a group; prints where the scores lie."""
    chance = random.Random(seed)
    texts = sorted({one.text for group in everybody for one in group})
    right, wrong, untold = [], [], 0
    for group in everybody:
        judged = judge(group, index)
        right += [fit.score for fit in judged.fits if fit.judged]
        untold += not judged.told
        place = chance.randrange(len(group))
        own, known = group[place].text, {one.text for one in group}
        others = [text for text in texts if abs(len(text) - len(own)) <= 2 and text not in known]
        if others:
            changed = [*group]
            changed[place] = replace(group[place], text=chance.choice(others))
            wrong.append(judge(changed, index).fits[place].score)
    low, high = float(np.quantile(right, 0.005)), float(np.quantile(wrong, 0.995))
    print(f"{len(everybody)} groups, {untold} of them not told; {len(right)} right texts, {len(wrong)} wrong ones")
    print(f"0.5% of the right below {low:.2f}, of the wrong above {high:.2f}; middle {(low + high) / 2:.2f}")


def plant(everybody: list[list[Heard]], index: dict[str, int], share: float, seed: int) -> None:
    """Swap two texts in some of the groups; prints a line of the table of docs/recordings.md."""
    chance, total = random.Random(seed), sum(map(len, everybody))
    chosen = set(chance.sample(range(len(everybody)), min(len(everybody), round(share * total / 2))))
    planted, found, right, untold, told_wrong = 0, 0, 0, 0, []
    for number, group in enumerate(everybody):
        swapped: set[int] = set()
        if number in chosen:
            first, second = chance.sample(range(len(group)), 2)
            if group[first].text != group[second].text:
                swapped = {first, second}
                group = [*group]
                group[first], group[second] = (
                    replace(group[a], text=group[b].text) for a, b in ((first, second), (second, first))
                )
        judged = judge(group, index)
        suspects = set(judged.suspects)
        untold += not judged.told
        planted, found, right = planted + len(swapped), found + len(suspects), right + len(suspects & swapped)
        told_wrong += [
            f"{group[n].audio} {judged.fits[n].score:.2f} {group[n].text!r}" for n in suspects - swapped
        ]
    print("| groups | recordings | planted | found | precision | recall | false alarms | not told |")
    print(
        f"| {len(everybody)} | {total} | {planted} | {found} | {right / max(1, found):.1%} | "
        f"{right / max(1, planted):.1%} | {(found - right) / (total - planted):.2%} | {untold} |"
    )
    print("\n".join(["not planted:", *told_wrong[:20]]))


def main() -> None:
    """Listen once, then calibrate or plant."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--group", type=int, default=10)
    parser.add_argument("--swapped", action="store_true")
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--snr", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    index = token_index(model.tokens)
    everybody = list(groups(listen(model, args), args.group, args.seed))
    if args.swapped:
        plant(everybody, index, args.share, args.seed)
    else:
        calibrate(everybody, index, args.seed)


if __name__ == "__main__":
    main()
