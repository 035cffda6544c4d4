"""Train a small wav2vec 2.0 of transformers from scratch, in its own format on disk, on any manifest.

    python recipes/small_wav2vec2/small_wav2vec2.py MANIFEST --out FOLDER [--steps 3000] [--seed 0]

It is no good recogniser: it is the smallest real model of that family that understands something, to show the
way of a foreign model from training to an adapted speaker without a download (README.md beside this file).
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers
from torch import Tensor

from asradapt.audio import load_audio
from asradapt.manifests import read_manifest
from asradapt.scoring import normalize

RATE = 16000
SHAPE = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 384,
    "conv_dim": (64,) * 7,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 8,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
    "pad_token_id": 0,
    "apply_spec_augment": True,
    "mask_time_prob": 0.05,
    "mask_time_length": 4,
    "layerdrop": 0.0,
}


def read(manifest: Path) -> list[tuple[Tensor, str]]:
    """Waveforms (T,) with mean 0 and variance 1, and normalised texts."""
    found = []
    for one in read_manifest(manifest).utterances:
        samples = torch.from_numpy(load_audio(one.audio, RATE).samples)
        found.append(((samples - samples.mean()) / (samples.std() + 1e-4), normalize(one.text or "")))
    return found


def changed(wave: Tensor, chance: random.Random) -> Tensor:
    """The waveform at another speed, in some noise: what is heard is never quite the same."""
    speed = chance.uniform(0.85, 1.15)
    count = max(400, round(len(wave) / speed))
    wave = torch.nn.functional.interpolate(wave[None, None], size=count, mode="linear")[0, 0]
    generator = torch.Generator().manual_seed(chance.getrandbits(60))
    return wave + chance.uniform(0, 0.1) * torch.randn(count, generator=generator)


def loss_of(network: torch.nn.Module, batch: Sequence[tuple[Tensor, str]], index: dict[str, int]) -> Tensor:
    """Mean CTC loss of a batch."""
    lengths = torch.tensor([len(wave) for wave, _ in batch])
    padded = torch.nn.utils.rnn.pad_sequence([wave for wave, _ in batch], batch_first=True)
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    logits = network(padded, attention_mask=mask).logits
    targets = [torch.tensor([index["|" if c == " " else c] for c in text]) for _, text in batch]
    return torch.nn.functional.ctc_loss(
        logits.log_softmax(-1).transpose(0, 1),
        torch.cat(targets),
        network._get_feat_extract_output_lengths(lengths),
        torch.tensor([len(target) for target in targets]),
        zero_infinity=True,
    )


def save(network: torch.nn.Module, tokens: Sequence[str], folder: Path) -> None:
    """The folder that transformers and asradapt load."""
    folder.mkdir(parents=True, exist_ok=True)
    network.eval().save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}), encoding="utf-8")
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)


def main() -> None:
    """Train and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    spoken, chance = read(args.manifest), random.Random(args.seed)
    tokens = ["<pad>", "|", *sorted({c for _, text in spoken for c in text} - {" "})]
    index = {token: number for number, token in enumerate(tokens)}
    network = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SHAPE, vocab_size=len(tokens))).train()
    optimiser, began = torch.optim.AdamW(network.parameters(), weight_decay=0.01), time.monotonic()
    for step in range(args.steps):
        batch = [(changed(wave, chance), text) for wave, text in chance.choices(spoken, k=args.rows)]
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1.0, (step + 1) / 200, 2 * (1 - step / args.steps))
        optimiser.zero_grad()
        loss = loss_of(network, batch, index)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        if (step + 1) % 100 == 0:
            print(f"{step + 1} {loss.item():.3f} {time.monotonic() - began:.0f} s", flush=True)
    save(network, tokens, args.out)


if __name__ == "__main__":
    main()
