"""Files on disk to text: seconds of audio per second, against pocketsphinx and a transformers CTC pipeline.

    python tools/bench/end_to_end.py [--manifest M --where part=test] [--most 200] [--json OUT]

Ours with greedy decoding and with the language model; pocketsphinx with its own model; a wav2vec2 CTC encoder of
about as many parameters with random weights, file by file and in batches of 16 through the transformers pipeline.
With `--repeat N` also ours on all files N times over, read from disk every time: a large device needs that much.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from measuring import Table, Work, in_turn, ratio, write

from asradapt.audio import load_audio
from asradapt.cli.demo import demo_folder
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript
from asradapt.types import Utterance


def ours(model_name: str, device: str, utterances: Sequence[Utterance], *, language: bool) -> Work:
    """Our own transcriber, from files."""
    model = load_model(model_name, device=device)
    decoder = None
    if language:
        from asradapt.decoding import Decoder, DecoderOptions
        from asradapt.language import load_language

        decoder = Decoder.of(model, load_language("lm_en"), DecoderOptions())
    transcriber = Transcriber(model, decoder=decoder)

    def work() -> None:
        assert sum(isinstance(t, Transcript) for t in transcriber.transcribe(utterances)) == len(utterances)

    return work


def pocketsphinx(utterances: Sequence[Utterance]) -> Work:
    """Pocketsphinx with the model that it comes with, file by file."""
    from pocketsphinx import Decoder

    decoder = Decoder(loglevel="FATAL")

    def work() -> None:
        for utterance in utterances:
            samples = load_audio(utterance.audio, 16000).samples
            decoder.start_utt()
            decoder.process_raw((samples * 32767).astype(np.int16).tobytes(), full_utt=True)
            decoder.end_utt()

    return work


def pipeline(device: str, utterances: Sequence[Utterance], batch: int) -> Work:
    """A transformers pipeline around a wav2vec2 of 5 M parameters with random weights."""
    from transformers import (
        AutomaticSpeechRecognitionPipeline,
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
    )

    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"]
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = Path(folder) / "vocab.json"
        vocabulary.write_text(json.dumps({token: number for number, token in enumerate(letters)}))
        tokenizer = Wav2Vec2CTCTokenizer(str(vocabulary))
    config = Wav2Vec2Config(
        vocab_size=len(letters),
        hidden_size=192,
        num_hidden_layers=8,
        num_attention_heads=4,
        intermediate_size=768,
        conv_dim=(128,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        do_stable_layer_norm=True,
        feat_extract_norm="layer",
    )
    network = Wav2Vec2ForCTC(config).eval()
    run = AutomaticSpeechRecognitionPipeline(
        model=network,
        feature_extractor=Wav2Vec2FeatureExtractor(return_attention_mask=True),
        tokenizer=tokenizer,
        device=device,
    )

    def work() -> None:
        inputs = [{"raw": load_audio(u.audio, 16000).samples, "sampling_rate": 16000} for u in utterances]
        with torch.no_grad():
            list(run(inputs, batch_size=batch))

    return work


def main() -> None:
    """Run all in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--manifest", type=Path, default=demo_folder() / "manifest.jsonl")
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--most", type=int, default=200, help="utterances")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    utterances = read_manifest(args.manifest, where=parse_where(args.where)).utterances[: args.most]
    audio = sum(len(load_audio(u.audio, 16000).samples) for u in utterances) / 16000
    makers = {
        "asradapt, greedy": lambda: ours(args.model, args.device, utterances, language=False),
        "asradapt, language model": lambda: ours(args.model, args.device, utterances, language=True),
        "pocketsphinx": lambda: pocketsphinx(utterances),
        "transformers pipeline, one by one": lambda: pipeline(args.device, utterances, 1),
        "transformers pipeline, batches of 16": lambda: pipeline(args.device, utterances, 16),
    }
    table = Table(f"{len(utterances)} files, {audio:.0f} s, to text", ["", "audio s per s", "times greedy takes"])
    rivals: dict[str, Work] = {}
    for name, make in makers.items():
        try:
            rivals[name] = make()
        except ImportError as error:
            table.notes.append(f"{name}: not measured ({error}).")
    seconds = in_turn(rivals, args.rounds)
    for name, each in seconds.items():
        table.rows.append([name, audio / min(each), ratio(seconds, name, "asradapt, greedy")])
    if args.repeat > 1:
        many = {"many": ours(args.model, args.device, utterances * args.repeat, language=False)}
        best = min(in_turn(many, args.rounds)["many"])
        table.rows.append([f"asradapt, greedy, {args.repeat} times over", args.repeat * audio / best, "-"])
    write([table], args.json)


if __name__ == "__main__":
    main()
