"""Train the pronunciations that ship with asradapt: a small network from letters to phones.

    python recipes/pronounce_en/train_pronouncer.py TEXT [--updates 4500] [--out FILE]

TEXT is a folder with cmudict.dict and sentences in .txt files, one a line, by which words are weighed: what is
said often must be right. A thousand rare words are held out. Takes about half an hour on one core; the same seed
gives the same network.
"""

from __future__ import annotations

import argparse
import random
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from asradapt.language.pronouncing import LETTERS, Pronouncer, PronouncingNetwork, save_pronouncer, spell_words

_PHONES = "AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH"
PHONES = ("", *_PHONES.split(" "))  # the blank first
ROOT = Path(__file__).resolve().parents[2]
BATCH, RATE, WARMUP, CLIP = 128, 2e-3, 300, 1.0
LEAST, FLATTER = 0.3, 0.4  # a word is drawn by its count, and this at least, to this power
HELD, RARE, COMMON = 1000, 3, 30_000
Words = dict[str, list[int]]


def read_dictionary(path: Path) -> Words:
    """The first pronunciation of every word of letters and apostrophes, without stress."""
    words: Words = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        word, *phones = re.sub(r"\(\d+\)|#.*", "", line).split() or [""]
        if phones and set(word) <= set(LETTERS):
            words.setdefault(word, [PHONES.index(phone.rstrip("012")) for phone in phones])
    return words


def read_counts(folder: Path) -> Counter[str]:
    """How often every word stands in the texts."""
    counts: Counter[str] = Counter()
    for path in sorted(folder.glob("*.txt")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                counts.update(line.split())
    return counts


def split(words: Words, counts: Counter[str], chance: random.Random) -> tuple[list[str], list[str]]:
    """The words to learn, and rare ones to measure by."""
    names = sorted(words)
    chance.shuffle(names)
    held = set([name for name in names if counts[name] < RARE][: min(HELD, len(names) // 10)])
    return [name for name in names if name not in held], sorted(held)


def loss_of(network: PronouncingNetwork, words: Words, drawn: Sequence[str]) -> Tensor:
    """Mean CTC loss of a phone."""
    letters, lengths = spell_words(drawn)
    log_probs = network(letters, lengths).log_softmax(-1).transpose(0, 1)
    targets = torch.tensor([phone for word in drawn for phone in words[word]])
    sizes = torch.tensor([len(words[word]) for word in drawn])
    return functional.ctc_loss(log_probs, targets, 2 * lengths, sizes, zero_infinity=True)


def train(words: Words, learn: Sequence[str], counts: Counter[str], updates: int, seed: int) -> PronouncingNetwork:
    """A network that has learned the words, frequent ones more often."""
    torch.manual_seed(seed)
    network = PronouncingNetwork(len(PHONES))
    nn.init.normal_(network.place, std=0.1)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    weights = torch.tensor([(counts[word] + LEAST) ** FLATTER for word in learn])
    generator = torch.Generator().manual_seed(seed + 1)
    warmup = min(WARMUP, max(1, updates // 10))
    for step in range(updates):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / warmup) * (0.02 + 0.98 * (1 - step / updates))
        drawn = torch.multinomial(weights, BATCH, replacement=True, generator=generator).tolist()
        loss = loss_of(network, words, [learn[number] for number in drawn])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), CLIP)
        optimiser.step()
        if (step + 1) % 200 == 0:
            print(f"{step + 1} of {updates} updates, loss {loss.item():.3f}", flush=True)
    return network


def right(pronouncer: Pronouncer, words: Words, names: Sequence[str], counts: Counter[str] | None = None) -> float:
    """Share of words that are pronounced as the dictionary says, counted by how often they stand in the texts."""
    weights = [counts[name] if counts else 1 for name in names]
    said = [pronouncer.pronounce(name) == tuple(PHONES[phone] for phone in words[name]) for name in names]
    return sum(weight for weight, correct in zip(weights, said, strict=True) if correct) / max(1, sum(weights))


def main() -> None:
    """Train, write the file, and say how many words are right."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--updates", type=int, default=4500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "asradapt" / "assets" / "pronounce_en.safetensors")
    args = parser.parse_args()
    words, counts = read_dictionary(args.text / "cmudict.dict"), read_counts(args.text)
    learn, held = split(words, counts, random.Random(args.seed))
    network = train(words, learn, counts, args.updates, args.seed)
    pronouncer = Pronouncer(network, PHONES)
    save_pronouncer(
        pronouncer, args.out, f"the CMU Pronouncing Dictionary, {len(learn)} words, {args.updates} updates"
    )
    common = [word for word, _ in counts.most_common(COMMON) if word in words]
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB")
    print(f"running words of the texts right: {right(pronouncer, words, common, counts):.1%}")
    print(f"words that were held out right: {right(pronouncer, words, held):.1%}")


if __name__ == "__main__":
    main()
