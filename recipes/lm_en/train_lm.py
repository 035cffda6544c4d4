"""Train the language model that ships with asradapt: a pruned word trigram in one compact file.

    python recipes/lm_en/train_lm.py TEXT --speech SPEECH [--out asradapt/assets/lm_en.safetensors]

TEXT is a folder with sentences in .txt files, one a line, and cmudict.dict; SPEECH holds the corpora on which
error rates are measured (*/manifest.jsonl): every text of theirs whose part is not `train` is removed from the
sentences first, and so are the prompts of enrolment. Takes about a minute.
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import torch

from asradapt.language.ngram import NgramModel
from asradapt.language.packed import save_packed
from kneser_ney import Level, count, estimate, keys, prune
from sentences_of import dictionary, measured, prompts, sentences

ROOT = Path(__file__).resolve().parents[2]
PROMPTS = (
    ROOT / "asradapt" / "assets" / "prompts.tsv",
    ROOT / "tools" / "prompts.txt",
    ROOT / "tools" / "demo_sentences.txt",
)
MARKS = ("<s>", "</s>", "<unk>")


def to_model(levels: list[Level], words: list[str], members: list[str], share: float) -> NgramModel:
    """The tensors of an estimated model.

    Args:
        levels: The levels; word numbers are places in `words`.
        words: The words, the three marks last.
        members: Words that share the number of the unknown word.
        share: Of all unknown words, how many are among `members`.
    """
    size = len(words)
    all_keys = []
    for lower, level in pairwise(levels):
        context = torch.searchsorted(
            torch.from_numpy(keys(lower.grams, size)), torch.from_numpy(keys(level.grams[:, :-1], size))
        )
        all_keys.append(context * size + torch.from_numpy(level.grams[:, -1].copy()))
    return NgramModel(
        tuple(words),
        tuple(members),
        words.index("<s>"),
        words.index("</s>"),
        words.index("<unk>"),
        math.log(share / max(1, len(members))),
        math.log(1 - share),
        tuple(all_keys),
        tuple(torch.from_numpy(level.logprob).float() for level in levels),
        tuple(torch.from_numpy(level.backoff).float() for level in levels[:-1]),
    )


def train(
    text: list[list[str]], spellings: set[str], *, order: int, least: int, keep: dict[int, int], share: float
) -> NgramModel:
    """A pruned model.

    Args:
        text: Sentences.
        spellings: Further words that exist, whether or not the text has them.
        order: Longest n-gram.
        least: How often a word must be seen to have a number of its own.
        keep: For every length of n-grams how many to keep.
        share: Of the unknown words, how many are in `spellings` or were seen more rarely than `least`.
    """
    counts = Counter(word for sentence in text for word in sentence)
    known = sorted(word for word, seen in counts.items() if seen >= least)
    words = [*known, *MARKS]
    numbers = {word: number for number, word in enumerate(words)}
    unknown = numbers["<unk>"]
    numbered = [[numbers.get(word, unknown) for word in sentence] for sentence in text]
    # every word must have a unigram, also the unknown one where the text knows all
    levels = count(numbered, order, numbers["<s>"], numbers["</s>"])
    if len(levels[0].grams) != len(words):
        raise SystemExit("the text has no rare word; lower the vocabulary with --least")
    estimate(levels, numbers["<s>"], len(words) - 1)
    prune(levels, keep)
    members = sorted((spellings | set(counts)) - set(known))
    return to_model(levels, words, members, share)


def main() -> None:
    """Read, train, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("text", type=Path)
    parser.add_argument("--speech", type=Path, required=True, help="corpora whose test sentences are removed")
    parser.add_argument("--out", type=Path, default=ROOT / "asradapt" / "assets" / "lm_en.safetensors")
    parser.add_argument("--least", type=int, default=2)
    parser.add_argument("--bigrams", type=int, default=450_000)
    parser.add_argument("--trigrams", type=int, default=1_000_000)
    parser.add_argument("--share", type=float, default=0.75)
    args = parser.parse_args()
    without = measured(args.speech) | prompts(PROMPTS)
    text = list(sentences(args.text, without))
    spellings = dictionary(args.text / "cmudict.dict")
    keep = {2: args.bigrams, 3: args.trigrams}
    model = train(text, spellings, order=3, least=args.least, keep=keep, share=args.share)
    about = {
        "sentences": len(text),
        "words": sum(map(len, text)),
        "removed": "every sentence of the measured parts of the speech corpora, and the enrolment prompts",
        "licence": "counts of public texts; see recipes/lm_en/README.md",
    }
    save_packed(model, args.out, about)
    numbers = ", ".join(f"{len(p)} {n}-grams" for n, p in enumerate(model.logprob, start=1))
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.2f} MB, {numbers}, {len(model.members)} more spellings")


if __name__ == "__main__":
    main()
