"""Beam search against its peers on the same logits: error rate, processor seconds, agreement.

    python tools/bench/decoding.py SPEECH --work DIR [--beams 32] [--corpus philipp_lj] [--peer-python PYTHON]

Without a language model all search the same space; with one, all read the shipped model (the peers as an ARPA file
that is written to DIR) and logits with the source model's prior divided out, but pyctcdecode, which does better
with the logits and weights that suit without. torchaudio's ctc_decoder needs
flashlight-text and kenlm (`pip install 'asradapt[lm]'`); pyctcdecode needs an older numpy, so it runs under an
interpreter of its own. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from asradapt.decoding import BeamOptions, Fusion, Weights, beam_search
from asradapt.decoding.fusion import WITHOUT_PRIOR
from asradapt.decoding.priors import TokenPrior
from asradapt.language import NgramModel, load_language, make_lexicon
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import score, total

sys.path.insert(0, str(Path(__file__).parents[1]))
from logits_cache import LogitSet, load

Decoder = Callable[[torch.Tensor, torch.Tensor], list[str]]
PYCTCDECODE = """
import json, sys, time
import numpy as np
from pyctcdecode import build_ctcdecoder
folder, labels, arpa, beams, alpha, beta, words = json.loads(sys.argv[1])
words = open(words).read().split("\\n") if arpa else None
decoder = build_ctcdecoder(labels, arpa, words, alpha=alpha, beta=beta)
stored = np.load(folder + "/peer.npz")
rows = np.split(stored["logp"], np.cumsum(stored["lengths"])[:-1])
began = time.process_time()
texts = [decoder.decode(row, beam_width=beams) for row in rows]
print(json.dumps([time.process_time() - began, [" ".join(text.split()) for text in texts]]))
"""


def write_arpa(model: NgramModel, path: Path) -> None:
    """The model as ARPA text, for peers."""
    grams = [[word] for word in model.words]
    with path.open("w", encoding="utf-8") as out:
        out.write("\\data\\\n" + "".join(f"ngram {n}={len(p)}\n" for n, p in enumerate(model.logprob, start=1)))
        for level, logprob in enumerate(model.logprob):
            if level:
                keys = model.keys[level - 1].tolist()
                grams = [[*grams[key // model.size], model.words[key % model.size]] for key in keys]
            backoff = model.backoff[level].tolist() if level < len(model.backoff) else None
            out.write(f"\n\\{level + 1}-grams:\n")
            for number, (gram, value) in enumerate(zip(grams, logprob.tolist(), strict=True)):
                value = -99.0 if gram == ["<s>"] else value / math.log(10)
                tail = f"\t{backoff[number] / math.log(10):.4f}" if backoff else ""
                out.write(f"{value:.4f}\t{' '.join(gram)}{tail}\n")
        out.write("\n\\end\\\n")


def ours(tokens: Sequence[str], language: NgramModel | None, weights: Weights, beams: int, batch: int) -> Decoder:
    """Our search, `batch` rows at once."""
    lexicon = make_lexicon(language, tokens) if language else None
    fusion = Fusion(tokens.index(" "), weights, language, lexicon)
    options = BeamOptions(beams=beams)

    def run(logits: torch.Tensor, frames: torch.Tensor) -> list[str]:
        found = []
        for rows in torch.arange(len(logits)).split(batch):
            found += beam_search(logits[rows], frames[rows], tokens, fusion, options)
        return [row[0].text for row in found]

    return run


def flashlight(tokens: Sequence[str], arpa: Path | None, words: Path, weights: Weights, beams: int) -> Decoder:
    """Torchaudio's decoder; its lexicon holds the words of the language model."""
    from torchaudio.models.decoder import ctc_decoder

    names = ["-", *(letter.replace(" ", "|") for letter in tokens[1:])]
    lexicon = None
    if arpa:
        lexicon = str(words.with_suffix(".lexicon"))
        lines = (f"{word} {' '.join(word)} |\n" for word in words.read_text().split("\n"))
        Path(lexicon).write_text("".join(lines))
    decoder = ctc_decoder(
        lexicon=lexicon,
        tokens=names,
        lm=str(arpa) if arpa else None,
        beam_size=beams,
        beam_threshold=1000.0,
        lm_weight=weights.language * math.log(10),  # KenLM counts in log10
        word_score=weights.word,
        blank_token="-",  # noqa: S106
        sil_token="|",  # noqa: S106
        log_add=True,
    )

    def run(logits: torch.Tensor, frames: torch.Tensor) -> list[str]:
        found = decoder(logits.log_softmax(dim=-1), frames)
        if arpa:
            return [" ".join(row[0].words) for row in found]
        texts = ("".join(decoder.idxs_to_tokens(row[0].tokens)) for row in found)
        return [" ".join(text.replace("|", " ").split()) for text in texts]

    return run


def pyctcdecode(
    python: str,
    chosen: LogitSet,
    tokens: Sequence[str],
    arpa: Path | None,
    words: Path,
    weights: Weights,
    beams: int,
) -> tuple[list[str], float]:
    """Texts in the order of the set, and processor seconds, of a process of its own."""
    lengths = [len(row) for row in chosen.logits]
    logp = torch.cat(chosen.logits).log_softmax(dim=-1).numpy()
    np.savez(words.parent / "peer.npz", logp=logp, lengths=lengths)
    arguments = [str(words.parent), list(tokens), str(arpa) if arpa else None, beams]
    arguments += [weights.language, weights.word, str(words)]
    done = subprocess.run(
        [python, "-c", PYCTCDECODE, json.dumps(arguments)], stdout=subprocess.PIPE, check=True, text=True
    )
    seconds, texts = json.loads(done.stdout.splitlines()[-1])
    return texts, seconds


def timed(chosen: LogitSet, decoder: Decoder) -> tuple[list[str], float]:
    """Texts in the order of the set, and processor seconds."""
    texts, spent = [""] * len(chosen.logits), 0.0
    for numbers, logits, frames in chosen.batches(32):
        began = time.process_time()
        found = decoder(logits, frames)
        spent += time.process_time() - began
        for number, text in zip(numbers, found, strict=True):
            texts[number] = text
    return texts, spent


def divided_out(chosen: LogitSet, model: SourceModel) -> LogitSet:
    """The same logits less the model's prior, as they are searched with a language model, for all decoders."""
    prior = TokenPrior.of(model.card, model.tokens)
    if prior is None:
        return chosen
    return replace(chosen, logits=[prior.divided_out(rows, Weights().prior) for rows in chosen.logits])


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--corpus", default="philipp_lj")
    parser.add_argument("--part", default="enroll")
    parser.add_argument("--beams", type=int, default=32)
    parser.add_argument("--single", action="store_true", help="also ours with one utterance a batch")
    parser.add_argument("--peer-python", help="an interpreter that has pyctcdecode and kenlm")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model("source_en", device="cpu")
    heard = load(args.speech, args.corpus, args.part, model, args.work)
    language = load_language()
    arpa, words = args.work / "lm_en.arpa", args.work / "lm_en.words"
    if not arpa.is_file():
        write_arpa(language, arpa)
    own = (word for word in language.words if not word.startswith("<"))
    words.write_text("\n".join(own))
    print("| language model | decoder | WER | processor seconds | utterances a second | same text as ours |")
    print("|---|---|--:|--:|--:|--:|")
    plain, divided = heard, divided_out(heard, model)
    for title, chosen, lm, file, weights in (
        ("none", plain, None, None, Weights(language=0.0, word=0.0)),
        ("lm_en", divided, language, arpa, Weights()),
    ):
        first: list[str] = []
        runs: dict[str, Callable[[], tuple[list[str], float]]] = {
            "asradapt, 32 at once": lambda lm=lm, w=weights, chosen=chosen: timed(
                chosen, ours(model.tokens, lm, w, args.beams, 32)
            ),
            "torchaudio ctc_decoder": lambda file=file, w=weights, chosen=chosen: timed(
                chosen, flashlight(model.tokens, file, words, w, args.beams)
            ),
        }
        if args.single:
            runs["asradapt, one by one"] = lambda lm=lm, w=weights, chosen=chosen: timed(
                chosen, ours(model.tokens, lm, w, args.beams, 1)
            )
        if args.peer_python:
            runs["pyctcdecode"] = lambda file=file: pyctcdecode(  # of logits less the prior it makes more of them
                args.peer_python, plain, model.tokens, file, words, WITHOUT_PRIOR, args.beams
            )
        for name, run in runs.items():
            texts, seconds = run()
            first = first or texts
            pairs = zip(chosen.utterances, texts, strict=True)
            wer = total([score(one.text or "", text) for one, text in pairs]).wer
            same = sum(a == b for a, b in zip(first, texts, strict=True)) / len(texts)
            print(
                f"| {title} | {name} | {wer:.1%} | {seconds:.2f} | {len(texts) / seconds:.0f} | {same:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
