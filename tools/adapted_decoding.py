"""Error rates of enrolled speakers, source and adapted, greedy and with the language model.

    python tools/adapted_decoding.py SPEECH --stores WORK [--method auto]

WORK holds the stores that `tools/results.py --work WORK` has filled for the present source model. Prints Markdown.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from asradapt.decoding import Decoder, DecoderOptions, Heard
from asradapt.language import load_language
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, score, total
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber, TranscriberOptions

CORPORA = ("speechocean762", "philipp_lj")


class Both(Decoder):
    """Decodes with the language model, and keeps the greedy text as an alternative."""

    def __init__(self, model: SourceModel) -> None:
        super().__init__(model.tokens, model.frame_seconds, load_language(), DecoderOptions())
        self._greedy = Decoder(model.tokens, model.frame_seconds)

    def __call__(
        self, logits: Tensor, frames: Tensor, phrases: Sequence[Sequence[str]] | None = None
    ) -> list[Heard]:
        """Both texts of every row."""
        best = super().__call__(logits, frames, phrases)
        plain = self._greedy(logits, frames)
        return [replace(one, alternatives=(other.text,)) for one, other in zip(best, plain, strict=True)]


def measure(corpus: str, speech: Path, transcriber: Transcriber) -> dict[str, list[ErrorCounts]]:
    """Errors of every utterance of a corpus, by system."""
    manifest = read_manifest(speech / corpus / "manifest.jsonl", where=parse_where(("part=test",)))
    found: dict[str, list[ErrorCounts]] = {}
    for window in transcriber.windows(manifest.utterances):
        for name, source_only in (("source", True), ("adapted", False)):
            heard = transcriber.heard(window.loaded, source_only=source_only)
            for one, texts in zip(window.loaded, heard, strict=True):
                reference = one.utterance.text or ""
                greedy = texts.alternatives[0] if texts.alternatives else ""
                found.setdefault(f"{name}, greedy", []).append(score(reference, greedy))
                found.setdefault(f"{name}, beam + LM", []).append(score(reference, texts.text))
    return found


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--stores", type=Path, required=True)
    parser.add_argument("--method", default="auto")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model("source_en", device="cpu")
    decoder = Both(model)
    options = TranscriberOptions(segment_seconds=60.0)  # whole utterances, so that alternatives stay
    print("| set | system | WER | CER |\n|---|---|--:|--:|")
    for corpus in CORPORA:
        store = SpeakerStore(args.stores / f"store-{corpus}-{args.method}")
        found = measure(corpus, args.speech, Transcriber(model, store, options, decoder))
        for name, counts in found.items():
            pooled = total(counts)
            print(f"| {corpus} `test` | {name} | {pooled.wer:.1%} | {pooled.cer:.1%} |", flush=True)


if __name__ == "__main__":
    main()
