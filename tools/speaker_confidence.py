"""How well confidence fits before and after adaptation, and what a calibration of each speaker would bring.

    python tools/speaker_confidence.py SPEECH/philipp_lj/manifest.jsonl STORE [--where part=test] [--adapt-each]

Every speaker of the manifest is heard with the source and with their adaptation from STORE. `everybody's` is the
expected calibration error with the slope and offset that ship, `own` with those fitted on every other recording of
the speaker and measured on the rest, both ways round: on more words than an enrolment has, its best case.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from confidence_report import Floats, calibrated, error, fit, right

from asradapt.decoding import Calibration, Decoder, DecoderOptions
from asradapt.decoding.decoder import fitted
from asradapt.language import EMBEDDED_LANGUAGE, load_language
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

Words = tuple[Floats, Floats]  # confidence and correctness of each


def halves(transcriber: Transcriber, spoken: Sequence[Utterance], *, source_only: bool) -> tuple[Words, Words]:
    """The words of every other recording, and of the rest."""
    found = [one for one in transcriber.transcribe(spoken, source_only=source_only) if isinstance(one, Transcript)]
    parts: tuple[list[tuple[float, bool]], list[tuple[float, bool]]] = ([], [])
    for number, (said, heard) in enumerate(zip(spoken, found, strict=True)):
        marks = right(said.text or "", " ".join(word.text for word in heard.words))
        parts[number % 2].extend(zip((word.confidence for word in heard.words), marks, strict=True))
    first, second = (np.array(part, dtype=np.float64).reshape(-1, 2).T for part in parts)
    return (first[0], first[1]), (second[0], second[1])


def row(name: str, decoding: str, which: str, parts: tuple[Words, Words], shipped: Calibration) -> str:
    """A row of the table."""
    sure, marks = (np.concatenate([part[place] for part in parts]) for place in (0, 1))
    ours = np.mean([error(calibrated(part[0], shipped), part[1]) for part in parts])
    ways = [(parts[0], parts[1]), (parts[1], parts[0])]
    own = np.mean([error(calibrated(test[0], fit(*tuned)), test[1]) for tuned, test in ways])
    whole = error(calibrated(sure, shipped), marks)
    cells = f"{whole:.3f} | {ours:.3f} | {own:.3f}"
    return f"| {name} | {decoding} | {which} | {len(sure)} | {marks.mean():.1%} | {cells} |"


def main() -> None:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("store", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--language", default=EMBEDDED_LANGUAGE)
    parser.add_argument("--adapt-each", action="store_true", help="after test-time adaptation, which has its own")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model, store = load_model(args.model, device="cpu"), SpeakerStore(args.store)
    language, plain = load_language(args.language), DecoderOptions(calibration=Calibration())
    options = TranscriberOptions(adapt_each=EachOptions() if args.adapt_each else None)
    decoders = {
        "greedy": Decoder.of(model, None, replace(plain, beams=0)),
        "beam + LM": Decoder.of(model, language, plain),
    }
    found = read_manifest(args.manifest, where=parse_where(args.where or ["part=test"])).utterances
    print("| speaker | decoding | model | words | right | everybody's | of the halves: everybody's | own |")
    print("|---|---|---|--:|--:|--:|--:|--:|")
    for name in sorted({one.speaker or "" for one in found}):
        spoken = [one for one in found if one.speaker == name]
        for decoding, decoder in decoders.items():
            standing = fitted(decoder.with_language, each=args.adapt_each)
            for which in ("source", "adapted"):
                transcriber = Transcriber(model, store, options, decoder)
                parts = halves(transcriber, spoken, source_only=which == "source")
                print(row(name, decoding, which, parts, standing), flush=True)


if __name__ == "__main__":
    main()
