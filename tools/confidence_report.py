"""Fit and measure the confidence of words.

    python tools/confidence_report.py SPEECH --work DIR [--model source_en] [--language lm_en] [--adapt-each]

Slope and offset (Platt 1999) are fitted on `enroll` and `validation` parts; the expected calibration error (ten
bins of equally many words, Naeini et al. 2015) is measured on `test` parts: raw, with the fit in use, and with
this one. Prints Markdown, with the values for asradapt/decoding/decoder.py. Logits are kept in DIR as by
decoding_report.py. With --adapt-each every recording adapts the model to itself first.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import numpy.typing as npt
import torch

from asradapt.decoding import Calibration, Decoder, DecoderOptions
from asradapt.decoding.decoder import fitted
from asradapt.language import EMBEDDED_LANGUAGE, load_language
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from decoding_report import MEASURED_ON, TUNED_ON
from logits_cache import LogitSet, load

Floats = npt.NDArray[np.float64]
BINS = 10


def right(reference: str, heard: str) -> list[bool]:
    """Which of the words that were heard are right, by the alignment with the fewest errors."""
    marks = [False] * len(heard.split())
    if reference and heard:
        for chunk in jiwer.process_words(reference, heard).alignments[0]:
            if chunk.type == "equal":
                marks[chunk.hyp_start_idx : chunk.hyp_end_idx] = [True] * (chunk.hyp_end_idx - chunk.hyp_start_idx)
    return marks


def observed(sets: list[LogitSet], decoder: Decoder) -> tuple[Floats, Floats]:
    """Confidence and correctness of every word."""
    sure: list[float] = []
    marks: list[bool] = []
    for chosen in sets:
        for numbers, logits, frames in chosen.batches():
            found = decoder(logits, frames, inner=chosen.inner_of(numbers))
            for number, heard in zip(numbers, found, strict=True):
                sure += [word.confidence for word in heard.words]
                marks += right(chosen.utterances[number].text or "", heard.text)
    return np.array(sure), np.array(marks, dtype=np.float64)


def odds(sure: Floats) -> Floats:
    """Log odds."""
    bounded = sure.clip(1e-6, 1 - 1e-6)
    return np.asarray(np.log(bounded / (1 - bounded)))


def fit(sure: Floats, marks: Floats) -> Calibration:
    """Slope and offset by logistic regression (Newton's method)."""
    rows = np.stack([odds(sure), np.ones_like(sure)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(30):
        expected = 1 / (1 + np.exp(-rows @ weights))
        spread = rows * (expected * (1 - expected))[:, None]
        step = np.linalg.solve(rows.T @ spread + 1e-6 * np.eye(2), rows.T @ (marks - expected))
        weights = weights + step.clip(-0.3, 0.3)  # small steps: the log odds reach far
    return Calibration(round(float(weights[0]), 3), round(float(weights[1]), 3))


def calibrated(sure: Floats, calibration: Calibration) -> Floats:
    """Confidences with another calibration than the identity they were computed with."""
    return np.asarray(1 / (1 + np.exp(-(calibration.slope * odds(sure) + calibration.offset))))


def error(sure: Floats, marks: Floats) -> float:
    """The expected calibration error."""
    bins = np.array_split(np.argsort(sure, kind="stable"), BINS)
    return float(sum(len(b) * abs(sure[b].mean() - marks[b].mean()) for b in bins if len(b)) / len(sure))


def ranking(sure: Floats, marks: Floats) -> float:
    """How often a right word is surer than a wrong one (area under the ROC curve)."""
    ranks = np.empty(len(sure))
    ranks[np.argsort(sure, kind="stable")] = np.arange(1, len(sure) + 1)
    good = marks.sum()
    return float((ranks[marks > 0].sum() - good * (good + 1) / 2) / (good * (len(marks) - good)))


def decoders(model: SourceModel, language: str) -> dict[str, Decoder]:
    """Greedy, and beam search without and with the language model, all with plain probabilities."""
    options = DecoderOptions(calibration=Calibration())
    return {
        "greedy": Decoder.of(model, None, replace(options, beams=0)),
        "beam": Decoder.of(model, None, options),
        "beam + LM": Decoder.of(model, load_language(language), options),
    }


def main() -> None:
    """Fit and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--language", default=EMBEDDED_LANGUAGE)
    parser.add_argument("--adapt-each", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(args.model, device="cpu")
    print("| decoding | words | right | ECE raw | as used | fitted | AUC | slope | offset |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for name, decoder in decoders(model, args.language).items():
        way = ("each-search" if decoder.with_language else "each-greedy") if args.adapt_each else ""
        tuned, tests = (
            [load(args.speech, corpus, part, model, args.work, way) for corpus, part in parts]
            for parts in (TUNED_ON, [pair for pair in MEASURED_ON if pair[1] == "test"])
        )
        standing = fitted(decoder.with_language, args.adapt_each)
        print(f"| {name} | {confidences(decoder, standing, tuned, tests)} |", flush=True)


def confidences(decoder: Decoder, used: Calibration, tuned: list[LogitSet], tests: list[LogitSet]) -> str:
    """Fit on some sets, measure on others: the cells of a line."""
    found = fit(*observed(tuned, decoder))
    sure, marks = observed(tests, decoder)
    rates = [error(one, marks) for one in (sure, calibrated(sure, used), calibrated(sure, found))]
    cells = [str(len(sure)), f"{marks.mean():.1%}", *(f"{rate:.3f}" for rate in rates)]
    return " | ".join([*cells, f"{ranking(sure, marks):.3f}", str(found.slope), str(found.offset)])


if __name__ == "__main__":
    main()
