"""Small random Whisper checkpoints, saved by the library itself in their real format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from families import alive


def byte_letters() -> list[str]:
    """How byte-level tokenizers write each of the 256 bytes (Radford et al. 2019)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    written = {byte: chr(byte) for byte in shown} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [written[byte] for byte in range(256)]


MERGES = (("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("i", "n"), ("in", "g"), ("Ġ", "a"))
END = "<|endoftext|>"
SPOKEN = ("<|en|>", "<|de|>", "<|fr|>")
SIGNS = ("<|translate|>", "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>")
WHISPER: dict[str, Any] = {
    "d_model": 32,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "decoder_ffn_dim": 48,
    "max_target_positions": 24,
    "num_mel_bins": 80,
}


def whisper_tokenizer(folder: Path, *, many: bool = False) -> transformers.WhisperTokenizer:
    """A byte-level tokenizer with a few merges and Whisper's own signs, made from its files in a folder."""
    vocabulary = {letter: number for number, letter in enumerate(byte_letters())}
    for pair in MERGES:
        vocabulary["".join(pair)] = len(vocabulary)
    vocabulary[END] = len(vocabulary)
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    lines = ["#version: 0.2", *(" ".join(pair) for pair in MERGES)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    tokenizer = transformers.WhisperTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    signs = ["<|startoftranscript|>", *(SPOKEN if many else ()), *SIGNS]
    tokenizer.add_special_tokens({"additional_special_tokens": signs})
    return tokenizer


def save_whisper(
    folder: Path, *, seed: int = 0, many: bool = False, seconds: int = 3, network: Any = None, **more: Any
) -> Path:
    """A folder with a small Whisper model, its tokenizer, feature extractor and generation settings.

    Args:
        folder: Where; it must not exist.
        seed: Seed of the random weights.
        many: Whether it knows several languages.
        seconds: Length of its window; 30 in all published models, less here to be quick.
        network: A trained network to save instead of a random one.
        more: Changes of the shape.
    """
    folder.mkdir(parents=True)
    tokenizer = whisper_tokenizer(folder, many=many)
    number = tokenizer.convert_tokens_to_ids
    ids = {"pad_token_id": number(END), "bos_token_id": number(END), "eos_token_id": number(END)}
    shape = {**WHISPER, "vocab_size": len(tokenizer), "max_source_positions": 50 * seconds, **ids, **more}
    start = number("<|startoftranscript|>")
    if network is None:
        torch.manual_seed(seed)
        config = transformers.WhisperConfig(**shape, decoder_start_token_id=start)
        network = alive(transformers.WhisperForConditionalGeneration(config), seed, "model.decoder.embed_tokens")
        with (
            torch.no_grad()
        ):  # so that a text depends on the audio and the place, and not on its last letter alone
            for name, weight in network.model.decoder.named_parameters():
                if name.endswith(("out_proj.weight", "fc2.weight", "q_proj.weight")):
                    weight.mul_(6.0)
                elif name == "embed_positions.weight":
                    weight.mul_(20.0)
    extra: dict[str, Any] = {"is_multilingual": many, "no_timestamps_token_id": number("<|notimestamps|>")}
    if many:
        extra["lang_to_id"] = {token: number(token) for token in SPOKEN}
        extra["task_to_id"] = {task: number(f"<|{task}|>") for task in ("transcribe", "translate")}
    settings = {"decoder_start_token_id": start, "max_length": shape["max_target_positions"], **ids, **extra}
    odd = [byte for byte in range(256) if chr(byte) not in " abcdefghijklmnopqrstuvwxyz"]
    suppressed = {"suppress_tokens": [*odd, number("<|startofprev|>")], "begin_suppress_tokens": [number(END)]}
    network.generation_config = transformers.GenerationConfig(**settings, **suppressed)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    transformers.WhisperFeatureExtractor(feature_size=shape["num_mel_bins"], chunk_length=seconds).save_pretrained(
        folder
    )
    return folder
