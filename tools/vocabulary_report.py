"""Measure vocabularies: are rare words that a speaker lists heard, and are they heard where they were not said.

    python tools/vocabulary_report.py SPEECH --work DIR [--part test] [--strengths 0 1 1.5 2]

The words of the part that the language model knows least (of 5 letters and more) go into lists of ten. Every
utterance is decoded with one list: one that holds a word of it, or any. Recall is of listed words that were said;
a false insertion is a listed word that is heard more often than it was said, per word of the part. Strengths are
chosen on `enroll`, measured on `test`. Logits are kept in DIR as by decoding_report.py.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asradapt.decoding import Decoder, DecoderOptions
from asradapt.decoding.priors import CARD
from asradapt.language import EMBEDDED_LANGUAGE, LanguageModel, load_language
from asradapt.models import load_model
from asradapt.scoring import normalize, score, total
from logits_cache import LogitSet, load

CORPORA = ("speechocean762", "philipp_lj")
LISTED = 10  # words of a list
LISTS = 10
LEAST_LETTERS = 5


def rarest(sets: Sequence[LogitSet], language: LanguageModel) -> list[list[str]]:
    """Lists of the words of some utterances that the language model finds least likely."""
    known = dict(zip(language.words, language.unigram.tolist(), strict=True))
    members = set(language.members)
    said = {word for one in sets for u in one.utterances for word in normalize(u.text or "").split()}
    words = [word for word in said if len(word) >= LEAST_LETTERS and "'" not in word]
    likely = {word: known.get(word, -50.0 + 10 * (word in members)) for word in words}
    least = sorted(words, key=lambda word: (likely[word], word))[: LISTED * LISTS]
    random.Random(0).shuffle(least)
    return [least[first : first + LISTED] for first in range(0, len(least), LISTED)]


def assigned(chosen: LogitSet, lists: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """A list for every utterance."""
    rng = random.Random(1)
    found = []
    for utterance in chosen.utterances:
        said = set(normalize(utterance.text or "").split())
        fitting = [one for one in lists if said & set(one)]
        found.append(rng.choice(fitting or list(lists)))
    return found


def texts(chosen: LogitSet, decoder: Decoder, lists: Sequence[Sequence[str]]) -> list[str]:
    """The text of every utterance with its list."""
    found = [""] * len(chosen.logits)
    for numbers, logits, frames in chosen.batches():
        own = [lists[number] for number in numbers]
        rows = decoder(logits, frames, own, inner=chosen.inner_of(numbers))
        for number, heard in zip(numbers, rows, strict=True):
            found[number] = heard.text
    return found


def measured(sets: Sequence[LogitSet], decoder: Decoder, lists: Sequence[Sequence[str]], use: bool) -> str:
    """Recall, false insertions and error rate as cells of a table."""
    said = hit = false = words = 0
    errors = []
    for chosen in sets:
        own = assigned(chosen, lists)
        given = own if use else [()] * len(own)
        for utterance, listed, text in zip(chosen.utterances, own, texts(chosen, decoder, given), strict=True):
            reference, heard = Counter(normalize(utterance.text or "").split()), Counter(text.split())
            words += reference.total()
            for word in listed:
                said += reference[word]
                hit += min(reference[word], heard[word])
                false += max(0, heard[word] - reference[word])
            errors.append(score(utterance.text or "", text))
    rate = 1000 * false / words
    return f"{hit}/{said} ({hit / said:.0%}) | {false} in {words} ({rate:.2f} per 1000) | {total(errors).wer:.2%}"


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--part", default="enroll")
    parser.add_argument("--strengths", type=float, nargs="*", default=[0.0, 0.5, 1.0, 1.5, 2.0])
    parser.add_argument("--listed", type=float, nargs="*", default=[-9.0, -7.0])
    parser.add_argument("--without-prior", action="store_true", help="as for a model whose prior is not known")
    parser.add_argument("--skip-without", action="store_true", help="do not decode without lists too")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, language = load_model(args.model, device="cpu"), load_language(EMBEDDED_LANGUAGE)
    sets = [load(args.speech, corpus, args.part, model, args.work) for corpus in CORPORA]
    lists = rarest(sets, language)
    if args.without_prior:
        model.card = {key: value for key, value in model.card.items() if key != CARD}
    decoder = Decoder.of(model, language, DecoderOptions())
    print(
        "| list | strength | least log probability | recall | false insertions | WER |\n|---|--:|--:|--:|--:|--:|"
    )
    if not args.skip_without:
        print(f"| without | | | {measured(sets, decoder, lists, False)} |", flush=True)
    for strength in args.strengths:
        for listed in args.listed:
            weights = replace(decoder.weights, phrase=strength, listed=listed)
            one = Decoder.of(model, language, replace(decoder.options, weights=weights))
            print(f"| with | {strength} | {listed} | {measured(sets, one, lists, True)} |", flush=True)


if __name__ == "__main__":
    main()
