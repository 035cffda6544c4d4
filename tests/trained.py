"""A small wav2vec 2.0 of transformers that is really taught to write tones, in its real format on disk."""

from __future__ import annotations

import json
import random
from pathlib import Path

import torch
import transformers
from tones import LETTERS, spoken

TOKENS = ("<pad>", "|", *LETTERS[1:])
STEPS, ROWS, RATE = 400, 8, 2e-3
SHAPE = {
    "hidden_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 96,
    "vocab_size": len(TOKENS),
    "conv_dim": (32,) * 5,
    "conv_kernel": (10, 8, 4, 4, 4),
    "conv_stride": (5, 4, 2, 2, 2),
    "num_feat_extract_layers": 5,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
    "pad_token_id": 0,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
    "apply_spec_augment": False,
    **dict.fromkeys(("hidden_dropout", "attention_dropout", "feat_proj_dropout", "activation_dropout"), 0.0),
    **dict.fromkeys(("final_dropout", "layerdrop"), 0.0),
}


def _text(chance: random.Random) -> str:
    return " ".join(
        "".join(chance.choices(LETTERS[1:], k=chance.randint(1, 3))) for _ in range(chance.randint(1, 2))
    )


def _loss(network: torch.nn.Module, chance: random.Random) -> torch.Tensor:
    """CTC loss of one batch of texts in tones that are shifted a little, as people are."""
    texts = [_text(chance) for _ in range(ROWS)]
    waves = [spoken(text, chance.uniform(-0.25, 0.25), chance.randrange(10**6)) for text in texts]
    waves = [(wave - wave.mean()) / wave.std() for wave in waves]
    lengths = torch.tensor([len(wave) for wave in waves])
    padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    mask = (torch.arange(padded.shape[1]) < lengths[:, None]).long()
    logits = network(padded, attention_mask=mask).logits
    frames = network._get_feat_extract_output_lengths(lengths)
    targets = [torch.tensor([TOKENS.index("|" if c == " " else c) for c in text]) for text in texts]
    sizes = torch.tensor([len(target) for target in targets])
    return torch.nn.functional.ctc_loss(logits.log_softmax(-1).transpose(0, 1), torch.cat(targets), frames, sizes)


def train_ctc(folder: Path, *, seed: int = 0) -> Path:
    """Train for a little more than half a minute and save; the same for the same seed."""
    torch.manual_seed(seed)
    network = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**SHAPE)).train()
    optimiser, chance = torch.optim.AdamW(network.parameters()), random.Random(seed)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 50, (STEPS - step) / 100)
        optimiser.zero_grad()
        _loss(network, chance).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
    folder.mkdir(parents=True)
    network.eval().save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(TOKENS)}), encoding="utf-8")
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return folder
