"""A small Whisper that is taught here, in some ten seconds, to write down tones as letters (see `tones`)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import transformers
from tones import LETTERS, spoken
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from whisper_samples import END, WHISPER, save_whisper, whisper_tokenizer

SECONDS = 2  # of its window
WIDTH = 64
ROWS, STEPS, RATE = 16, 1200, 2e-3
LEARNT = 0.03  # loss a token at which it is enough
VARIED = 0.15  # bands by which the people it learns from differ

Lessons = tuple[Tensor, list[Tensor]]  # features (N, M, W) and tokens of the texts


def lessons(count: int, tokenizer: Any, seed: int) -> Lessons:
    """Recordings with their texts, as the library's own extractor and tokenizer see them."""
    chance = random.Random(seed)
    texts = [
        " ".join("".join(chance.choices(LETTERS[1:], k=chance.randint(1, 3))) for _ in range(2))
        for _ in range(count)
    ]
    sounds = [spoken(text, chance.uniform(-VARIED, VARIED), seed + n).numpy() for n, text in enumerate(texts)]
    extractor = transformers.WhisperFeatureExtractor(chunk_length=SECONDS)
    features = extractor(sounds, sampling_rate=16000, return_tensors="pt").input_features
    tokens = [tokenizer(f" {text}", add_special_tokens=False).input_ids for text in texts]
    return features, [torch.tensor([*one, tokenizer.eos_token_id]) for one in tokens]


def teach(network: Any, prompt: list[int], taught: Lessons) -> float:
    """Train until the texts are learnt; the last loss a token."""
    features, targets = taught
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.01)
    network.train()
    smooth = 9.0
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * min(1.0, (step + 1) / 40) * (0.3 if smooth < 0.3 else 1.0)
        pick = torch.randint(len(targets), (ROWS,)).tolist()
        wanted = pad_sequence([targets[one] for one in pick], batch_first=True, padding_value=-100)
        given = torch.cat([torch.tensor(prompt).expand(ROWS, -1), wanted[:, :-1].clamp(min=0)], dim=1)
        logits = network(input_features=features[pick], decoder_input_ids=given, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits[:, len(prompt) - 1 :].transpose(1, 2), wanted)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        smooth = 0.9 * smooth + 0.1 * float(loss.detach())
        if smooth < LEARNT:
            break
    network.eval()
    return smooth


def tone_whisper(folder: Path, scratch: Path) -> Path:
    """A checkpoint of a Whisper that writes tones down, in the library's own format."""
    tokenizer = whisper_tokenizer(scratch)
    number = tokenizer.convert_tokens_to_ids
    shape = {
        **WHISPER,
        "d_model": WIDTH,
        "encoder_ffn_dim": 2 * WIDTH,
        "decoder_ffn_dim": 2 * WIDTH,
        "encoder_layers": 1,
        "max_source_positions": 50 * SECONDS,
        "vocab_size": len(tokenizer),
        "decoder_start_token_id": number("<|startoftranscript|>"),
        **{f"{name}_token_id": number(END) for name in ("pad", "bos", "eos")},
    }
    torch.manual_seed(0)
    network = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**shape))
    prompt = [number("<|startoftranscript|>"), number("<|notimestamps|>")]
    loss = teach(network, prompt, lessons(1280, tokenizer, seed=1))
    assert loss < 3 * LEARNT, f"the tones were not learnt: {loss}"
    return save_whisper(folder, seconds=SECONDS, network=network)
