"""Test-time adaptation: word errors and speed before, ours (all rows of a batch at once) and SUTA one by one.

    python tools/bench/test_time.py --manifest M --where part=test [--every 10] [--lm lm_en]

SUTA as published (Lin et al. 2022, arXiv 2203.14222), on the same model: one utterance at a time, all norms and
the convolutions that read the features, AdamW, 10 steps, temperature 2.5, entropy 0.3 and class confusion 0.7,
and the source restored after every utterance. `--suta-rate` is its learning rate (published: 2e-5). Speed is audio
per second of processor time on a CPU, of wall time elsewhere or with `--wall` (which takes quiet cores), from
features to text; files and features are not counted. With `--store` everything starts from the speakers' stored
adaptations, else from the source.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from asradapt.adaptation.mixed import Member, MixedBank
from asradapt.audio import load_audio
from asradapt.batching import length_batches
from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrollees import NOBODY
from asradapt.language import load_language
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.models.base import encode_all
from asradapt.models.source import ConformerSource
from asradapt.pace import prepare_one
from asradapt.scoring import paired_bootstrap, score, total
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions, adapted_outputs, uncertainty
from asradapt.transcriber import Transcriber
from asradapt.types import Utterance

Outputs = tuple[Tensor, Tensor, list[Tensor]]
Way = Callable[[Tensor, Tensor], Outputs]
STEPS, TEMPERATURE, SHARE = 10, 2.5, 0.3  # of SUTA


def suta_parameters(network: nn.Module) -> list[nn.Parameter]:
    """What SUTA trains: the norms and the feature extractor, here the convolutions over the features."""
    return [p for name, p in network.named_parameters() if "norm." in name or name.startswith("subsampling.")]


def suta(model: ConformerSource, features: Tensor, frames: Tensor, rate: float) -> Outputs:
    """SUTA on one utterance; the model is as before afterwards."""
    parameters = suta_parameters(model.module)
    before = [parameter.detach().clone() for parameter in parameters]
    for parameter in parameters:
        parameter.requires_grad_(True)
    optimiser = torch.optim.AdamW(parameters, lr=rate)
    for _ in range(STEPS):
        logits, lengths = model.encode(features, frames)
        loss = uncertainty(logits, lengths, temperature=TEMPERATURE, share=SHARE).sum()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        found = encode_all(model, features, frames)
        for parameter, old in zip(parameters, before, strict=True):
            parameter.requires_grad_(False).copy_(old)
    return found


def clock(model: ConformerSource, wall: bool) -> float:
    """Processor seconds on a CPU, whoever else computes there; wall seconds elsewhere, or where wanted."""
    if model.device.type != "cpu":
        torch.cuda.synchronize()
    elif not wall:
        return time.process_time()
    return time.perf_counter()


def run(
    model: ConformerSource,
    prepared: Sequence[Tensor],
    members: Sequence[Member],
    batches: Sequence[Sequence[int]],
    way: Way,
    decoder: Decoder,
    wall: bool = False,
) -> tuple[list[str], float]:
    """Texts in the order of `prepared`, and seconds."""
    texts, bank = [""] * len(prepared), MixedBank(model)
    began = clock(model, wall)
    for batch in batches:
        features = pad_sequence([prepared[index] for index in batch], batch_first=True)
        frames = torch.tensor([len(prepared[index]) for index in batch], device=model.device)
        with bank.attach(model, [members[index] for index in batch]):
            logits, lengths, inner = way(features, frames)
        found = decoder(logits, lengths, inner=inner)
        for index, heard in zip(batch, found, strict=True):
            texts[index] = heard.text
    return texts, clock(model, wall) - began


def prepare(model: ConformerSource, utterances: Sequence[Utterance]) -> list[Tensor]:
    """Features of every file."""
    recordings = [load_audio(one.audio, model.sample_rate).samples for one in utterances]
    return [prepare_one(model, samples)[0] for samples in recordings]


def members_of(model: ConformerSource, store: Path | None, utterances: Sequence[Utterance]) -> list[Member]:
    """The adaptation that every utterance starts from."""
    if store is None:
        return [NOBODY] * len(utterances)
    transcriber = Transcriber(model, SpeakerStore(store))
    return [transcriber.member(utterance.speaker or "") for utterance in utterances]


def main() -> None:
    """Run the three ways and print a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--store", type=Path, help="start from the adaptations in this store")
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--lm", help="decode with this language model, else greedily")
    parser.add_argument(
        "--without-suta", action="store_true", help="leave out SUTA one by one, which takes longest"
    )
    parser.add_argument("--wall", action="store_true", help="wall time, on all threads")
    parser.add_argument("--suta-rate", type=float, default=2e-5)
    parser.add_argument("--methods", default=EachOptions().methods)
    parser.add_argument("--steps", type=int, default=EachOptions().steps)
    parser.add_argument("--rate", type=float, default=EachOptions().rate)
    parser.add_argument("--last", type=float, default=EachOptions().last, help="share of the rate at the output")
    parser.add_argument("--keep", type=float, help="what the logits after the updates count  [as in transcribe]")
    args = parser.parse_args()
    model = load_model(args.model, device=args.device)
    utterances = read_manifest(args.manifest, where=parse_where(args.where)).utterances[:: args.every]
    prepared = prepare(model, utterances)
    language = load_language(args.lm) if args.lm else None
    options = DecoderOptions() if language else DecoderOptions(beams=0)
    decoder = Decoder.of(model, language, options)
    each = replace(EachOptions(), methods=args.methods, steps=args.steps, rate=args.rate, last=args.last)
    if args.keep is not None:
        each = replace(each, keep=args.keep, searched=args.keep, trusted=args.keep)
    lengths = [len(features) for features in prepared]
    frames_a_second = 4 * model.frame_seconds**-1
    full = list(length_batches(lengths, budget=round(each.batch_seconds * frames_a_second)))
    audio = sum(lengths) / frames_a_second
    print(f"{len(prepared)} utterances, {audio:.0f} s, {each}")

    @torch.no_grad()
    def source(features: Tensor, frames: Tensor) -> Outputs:
        return encode_all(model, features, frames)

    ways: dict[str, tuple[Sequence[Sequence[int]], Way]] = {
        "before": (full, source),
        "ours": (
            full,
            lambda features, frames: adapted_outputs(model, features, frames, each, search=language is not None),
        ),
        "SUTA, one by one": (
            [[index] for index in range(len(prepared))],
            lambda features, frames: suta(model, features, frames, args.suta_rate),
        ),
    }
    if args.without_suta:
        del ways["SUTA, one by one"]
    members = members_of(model, args.store, utterances)
    first = None
    for name, (batches, way) in ways.items():
        texts, seconds = run(model, prepared, members, batches, way, decoder, args.wall)
        counts = [score(u.text or "", text) for u, text in zip(utterances, texts, strict=True)]
        first = first or counts
        change = paired_bootstrap(first, counts, speakers=[u.speaker or "" for u in utterances])
        pooled = total(counts)
        low, high = (f"{end:+.1%}" if end is not None else "?" for end in (change.low, change.high))
        print(
            f"{name:17} WER {pooled.wer:.1%}  CER {pooled.cer:.1%}  change {change.difference:+.1%} "
            f"({low} to {high})  {audio / seconds:.1f} s of audio a second",
            flush=True,
        )


if __name__ == "__main__":
    main()
