"""Transcribe a manifest mixed in batches and speaker by speaker: the texts that differ, and the speed.

    python tools/bench/mixed.py --manifest M --where part=test --store DIR

Prints, for batch sizes 1, 7, 32 and by length alone, in the manifest's order and shuffled, how many texts differ
from the speaker-by-speaker run, and the seconds of audio transcribed per second.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Sequence
from pathlib import Path

from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.source import ConformerSource
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

Texts = dict[str, str]


def transcribe(transcriber: Transcriber, utterances: Sequence[Utterance], *, source_only: bool = False) -> Texts:
    """Text by file."""
    found = transcriber.transcribe(utterances, source_only=source_only)
    return {str(t.utterance.audio): t.text for t in found if isinstance(t, Transcript)}


def by_speaker(model: ConformerSource, store: SpeakerStore, utterances: Sequence[Utterance]) -> Texts:
    """Text by file, one call a speaker."""
    texts: Texts = {}
    for name in dict.fromkeys(u.speaker for u in utterances):
        texts |= transcribe(Transcriber(model, store), [u for u in utterances if u.speaker == name])
    return texts


def main() -> None:
    """Run all ways and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    model, store = load_model(args.model, device=args.device), SpeakerStore(args.store)
    utterances = list(read_manifest(args.manifest, where=parse_where(args.where)).utterances)
    shuffled = random.Random(0).sample(utterances, len(utterances))
    audio = sum(u.duration or 0.0 for u in utterances)
    began = time.perf_counter()
    alone = by_speaker(model, store, utterances)
    print(f"speaker by speaker: {audio / (time.perf_counter() - began):.0f} x real time, {len(alone)} files")
    for size in (1, 7, 32, 0):
        for name, order in (("as listed", utterances), ("shuffled", shuffled)):
            transcriber = Transcriber(model, store, TranscriberOptions(batch_size=size))
            began = time.perf_counter()
            texts = transcribe(transcriber, order)
            seconds = time.perf_counter() - began
            differ = sum(texts[key] != text for key, text in alone.items())
            what = f"mixed, batch size {size or 'free':>4}, {name:9}"
            print(f"{what}: {differ} texts differ, {audio / seconds:.0f} x real time")
    began = time.perf_counter()
    source = transcribe(Transcriber(model), utterances, source_only=True)
    print(f"source only, batch size free: {audio / (time.perf_counter() - began):.0f} x real time")
    kept = [
        str(u.audio) for u in utterances if u.speaker in store and store.record(u.speaker).decision == "source"
    ]
    changed = sum(source[key] != alone[key] for key in kept if key in alone)
    print(f"speakers who keep the source: {changed} of {len(kept)} texts differ from the source model's")


if __name__ == "__main__":
    main()
