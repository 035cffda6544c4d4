"""Tune the weights of the language model and measure decoding: error rates and real-time factors.

    python tools/decoding_report.py SPEECH --work DIR [--model source_en] [--no-tune] [--widths 32 256] \
        [--sounds 0 0.2 0.4]

SPEECH holds the corpora, each with manifest.jsonl. The logits are computed once for every model and kept in DIR.
Weights are chosen on `enroll` and `validation` parts by pooled word error rate; `test` parts are only measured.
Prints Markdown, and the lines to put into asradapt/decoding/fusion.py. Some minutes on one core.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from asradapt.decoding import BeamOptions, Decoder, DecoderOptions, Fusion, Weights, beam_search, greedy_decode
from asradapt.decoding.decoder import usual_weights
from asradapt.decoding.priors import TokenPrior
from asradapt.language import EMBEDDED_LANGUAGE, LanguageModel, load_language, make_lexicon
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, score, total
from logits_cache import LogitSet, load

TUNED_ON = (
    ("speechocean762", "enroll"),
    ("philipp_lj", "enroll"),
    ("kathleen", "validation"),
    ("cmu_arctic", "validation"),
)
MEASURED_ON = (
    ("speechocean762", "test"),
    ("philipp_lj", "test"),
    ("kathleen", "validation"),
    ("cmu_arctic", "validation"),
)
PRIORS = (0.0, 0.3, 0.6, 0.9)
LANGUAGE_WEIGHTS = (0.8, 1.0, 1.2)
WORD_SCORES = (-0.75, 0.0, 0.75)
TUNING_BEAMS = 128
Texts = Callable[[torch.Tensor, torch.Tensor, Sequence[torch.Tensor]], list[str]]
"""From logits, frame counts and inner logits to texts."""


def decode(chosen: LogitSet, decoder: Texts) -> tuple[ErrorCounts, float]:
    """Errors of a set, and the processor's seconds that decoding took."""
    counts, spent = [], 0.0
    for numbers, logits, frames in chosen.batches():
        inner = chosen.inner_of(numbers)
        began = time.process_time()
        texts = decoder(logits, frames, inner)
        spent += time.process_time() - began
        counts += [score(chosen.utterances[n].text or "", text) for n, text in zip(numbers, texts, strict=True)]
    return total(counts), spent


def searching(
    tokens: tuple[str, ...], fusion: Fusion, options: BeamOptions, prior: TokenPrior | None = None
) -> Texts:
    """A decoder that takes the best text of a beam search, with the prior divided out."""

    def search(logits: torch.Tensor, frames: torch.Tensor, inner: Sequence[torch.Tensor]) -> list[str]:
        logits = prior.divided_out(logits, fusion.weights.prior) if prior else logits
        return [row[0].text for row in beam_search(logits, frames, tokens, fusion, options)]

    return search


def texts_of(decoder: Decoder) -> Texts:
    """What a decoder writes."""
    return lambda logits, frames, inner: [heard.text for heard in decoder(logits, frames, inner=inner)]


def listening(model: SourceModel, language: LanguageModel, weights: Weights, beams: int) -> Texts:
    """What `transcribe` does with a language model: the sounds of the best texts count as well."""
    return texts_of(Decoder.of(model, language, DecoderOptions(beams=beams, weights=weights)))


def tune(sets: list[LogitSet], tokens: tuple[str, ...], fusion: Fusion, prior: TokenPrior | None) -> Weights:
    """The weights with the lowest pooled word error rate; prints the table."""
    print("| prior | language weight | word score | pooled WER | " + " | ".join(s.name for s in sets) + " |")
    print("|--:|--:|--:|--:|" + "--:|" * len(sets))
    best, lowest = Weights(), float("inf")
    options = BeamOptions(beams=TUNING_BEAMS)
    shares = PRIORS if prior else PRIORS[:1]
    for share, language, word in itertools.product(shares, LANGUAGE_WEIGHTS, WORD_SCORES):
        weights = replace(fusion.weights, language=language, word=word, prior=share)
        decoder = searching(tokens, replace(fusion, weights=weights), options, prior)
        errors = [decode(chosen, decoder)[0] for chosen in sets]
        pooled = total(errors).wer
        cells = " | ".join(f"{one.wer:.1%}" for one in errors)
        print(f"| {share} | {language} | {word} | {pooled:.2%} | {cells} |", flush=True)
        if pooled < lowest:
            best, lowest = weights, pooled
    print(f"\nBest: prior={best.prior}, language={best.language}, word={best.word} ({lowest:.2%})\n")
    return best


def widths(
    sets: list[LogitSet], tokens: tuple[str, ...], fusion: Fusion, prior: TokenPrior | None, counts: list[int]
) -> None:
    """Print what searches of these widths make of the sets that weights are tuned on."""
    print("| hypotheses | pooled WER | " + " | ".join(s.name for s in sets) + " | real-time factor |")
    print("|--:|--:|" + "--:|" * len(sets) + "--:|")
    seconds = sum(chosen.seconds for chosen in sets)
    for count in counts:
        found = [decode(chosen, searching(tokens, fusion, BeamOptions(beams=count), prior)) for chosen in sets]
        cells = " | ".join(f"{errors.wer:.1%}" for errors, _ in found)
        spent = sum(own for _, own in found) / seconds
        print(f"| {count} | {total(errors for errors, _ in found).wer:.2%} | {cells} | {spent:.4f} |", flush=True)
    print()


def sounds(
    sets: list[LogitSet], model: SourceModel, language: LanguageModel, values: list[float], beams: int
) -> None:
    """Print what these weights of the sounds make of the sets that weights are tuned on."""
    print("| weight of the sounds | pooled WER | " + " | ".join(s.name for s in sets) + " |")
    print("|--:|--:|" + "--:|" * len(sets))
    usual = usual_weights(TokenPrior.of(model.card, model.tokens))
    for value in values:
        decoder = listening(model, language, replace(usual, sound=value), beams)
        found = [decode(chosen, decoder)[0] for chosen in sets]
        cells = " | ".join(f"{errors.wer:.1%}, {errors.cer:.1%}" for errors in found)
        print(f"| {value} | {total(found).wer:.2%} | {cells} |", flush=True)
    print()


def main() -> None:
    """Tune and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--language", default=EMBEDDED_LANGUAGE)
    parser.add_argument("--beams", type=int, default=BeamOptions().beams)
    parser.add_argument("--widths", type=int, nargs="+", default=[], help="numbers of hypotheses to compare")
    parser.add_argument("--sounds", type=float, nargs="+", default=[], help="weights of the sounds to compare")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--no-tune", action="store_true", help="measure with the weights as they are")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model(args.model, device="cpu")
    tokens, language = model.tokens, load_language(args.language)
    boundary, prior = tokens.index(" "), TokenPrior.of(model.card, tokens)
    fusion = Fusion(boundary, Weights(), language, make_lexicon(language, tokens))
    tuning = args.widths or args.sounds or not args.no_tune
    sets = [load(args.speech, corpus, part, model, args.work) for corpus, part in TUNED_ON if tuning]
    if args.widths:
        widths(sets, tokens, fusion, prior, args.widths)
    if args.sounds:
        sounds(sets, model, language, args.sounds, args.beams)
    if not args.no_tune:
        fusion = replace(fusion, weights=tune(sets, tokens, fusion, prior))
    options = BeamOptions(beams=args.beams)
    decoders: dict[str, Texts] = {
        "greedy": lambda logits, frames, inner: greedy_decode(logits, frames, tokens),
        "beam": searching(tokens, Fusion(boundary, Weights(word=0.0)), options),
        "beam + LM": searching(tokens, fusion, options, prior),
        "beam + LM, sounds": listening(model, language, fusion.weights, args.beams),
    }
    print("| set | decoding | WER | CER | S / D / I | real-time factor of decoding |\n|---|---|--:|--:|--:|--:|")
    pooled: dict[str, list[ErrorCounts]] = {name: [] for name in decoders}
    for corpus, part in MEASURED_ON:
        chosen = load(args.speech, corpus, part, model, args.work)
        for name, decoder in decoders.items():
            errors, spent = decode(chosen, decoder)
            pooled[name].append(errors)
            print(row(f"{corpus} `{part}`", name, errors, f"{spent / chosen.seconds:.5f}"), flush=True)
    for name, counts in pooled.items():
        print(row("all", name, total(counts), ""))


def row(name: str, decoding: str, errors: ErrorCounts, factor: str) -> str:
    """One line of the table."""
    kinds = f"{errors.substitutions} / {errors.deletions} / {errors.insertions}"
    return f"| {name} | {decoding} | {errors.wer:.1%} | {errors.cer:.1%} | {kinds} | {factor} |"


if __name__ == "__main__":
    main()
