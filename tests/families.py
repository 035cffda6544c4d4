"""Small random checkpoints of foreign models, saved by the libraries themselves in their real formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchaudio
import transformers
from safetensors.torch import save_file
from torchaudio.pipelines import Wav2Vec2ASRBundle

LETTERS = ("<pad>", "<s>", "</s>", "<unk>", "|", *"ETAONIHSRDLUMWCFGYPBVK'XJQZ")
SHAPE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": len(LETTERS),
    "conv_dim": (24,) * 7,
    "conv_kernel": (10, 3, 3, 3, 3, 2, 2),
    "conv_stride": (5, 2, 2, 2, 2, 2, 2),
    "num_feat_extract_layers": 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "pad_token_id": 0,
}
LARGE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2-base": ("Wav2Vec2", {}),
    "wav2vec2-large": ("Wav2Vec2", LARGE),
    "wav2vec2-adapter": ("Wav2Vec2", {**LARGE, "add_adapter": True, "num_adapter_layers": 1}),
    "hubert": ("Hubert", {}),
    "hubert-large": ("Hubert", LARGE),
    "wavlm-base": ("WavLM", {}),
    "wavlm": ("WavLM", {"feat_extract_norm": "layer", "do_stable_layer_norm": True}),
    "data2vec": ("Data2VecAudio", {"num_conv_pos_embeddings": 3}),
    "conformer": ("Wav2Vec2Conformer", {"position_embeddings_type": "rotary"}),
    "conformer-relative": ("Wav2Vec2Conformer", {"position_embeddings_type": "relative"}),
    "sew": ("SEW", {}),
    "sew-d": ("SEWD", {}),
    "unispeech": ("UniSpeech", LARGE),
    "unispeech-sat": ("UniSpeechSat", {}),
}
"""The families of CTC models: the first part of the names of their classes, and what is special about each."""
BUNDLES = {
    "base": "WAV2VEC2_ASR_BASE_960H",
    "large": "WAV2VEC2_ASR_LARGE_LV60K_960H",
    "voxpopuli": "VOXPOPULI_ASR_BASE_10K_DE",
}
"""Bundles of torchaudio that differ in more than size: norms, and letters."""
FOREIGN = (*(f"hf-{kind}" for kind in KINDS), "hf-mms", "torchaudio-base", "torchaudio-large")
WRITING = ("hf-whisper",)
"""The families whose decoder writes."""


def alive(network: torch.nn.Module, seed: int, head: str) -> torch.nn.Module:
    """The network with random weights that are large enough for every frame to say something else."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, weight in network.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if path.startswith(head) and weight.ndim > 1:
                weight.copy_(3 * noise * weight[0].numel() ** -0.5)
            elif weight.ndim == 2:
                weight.copy_(noise * weight[0].numel() ** -0.5)
            elif "norm" in path and path.endswith("weight"):
                weight.copy_(1 + 0.2 * noise)
            elif "norm" in path or path.startswith(head):
                weight.copy_(0.2 * noise)
    return network.eval()


def save_ctc(folder: Path, kind: str, *, seed: int = 0, letters: tuple[str, ...] = LETTERS, **more: Any) -> Path:
    """A folder with a small CTC model of a family of transformers, its tokenizer and feature extractor."""
    name, special = KINDS[kind]
    shape = {**SHAPE, **special, "vocab_size": len(letters), **more}
    torch.manual_seed(seed)
    network = getattr(transformers, f"{name}ForCTC")(getattr(transformers, f"{name}Config")(**shape))
    folder.mkdir(parents=True)
    alive(network, seed, "lm_head")
    with torch.no_grad():
        network.lm_head.bias[letters.index("|")] += 6.0  # so that there are words
    network.save_pretrained(folder)
    vocabulary = folder / "vocab.json"
    vocabulary.write_text(json.dumps({letter: number for number, letter in enumerate(letters)}), encoding="utf-8")
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary)).save_pretrained(folder)
    large = shape.get("feat_extract_norm") == "layer"
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=large).save_pretrained(folder)
    return folder


def small_bundle(like: str = "base") -> Wav2Vec2ASRBundle:
    """A bundle of torchaudio with a small network, otherwise like one of `BUNDLES`."""
    real: Wav2Vec2ASRBundle = getattr(torchaudio.pipelines, BUNDLES[like])
    convolutions = [(24, kernel, stride) for _, kernel, stride in real._params["extractor_conv_layer_config"]]
    small = {
        "extractor_conv_layer_config": convolutions,
        "encoder_embed_dim": 32,
        "encoder_pos_conv_kernel": 16,
        "encoder_pos_conv_groups": 2,
        "encoder_num_layers": 2,
        "encoder_num_heads": 2,
        "encoder_ff_interm_features": 48,
    }
    return Wav2Vec2ASRBundle(
        _path=f"small_{like}.pth",
        _params={**real._params, **small},
        _labels=real._labels,
        _sample_rate=real._sample_rate,
        _normalize_waveform=real._normalize_waveform,
        _model_type=real._model_type,
        _remove_aux_axis=real._remove_aux_axis,
    )


def save_bundle(path: Path, bundle: Wav2Vec2ASRBundle, *, seed: int = 0) -> Path:
    """A file of random weights for a bundle, as torchaudio's own code would download it."""
    torch.manual_seed(seed + 1)
    network = torchaudio.models.wav2vec2_model(**bundle._params)
    weights = alive(network, seed, "aux").state_dict()
    axes = bundle._remove_aux_axis  # the published files have outputs that mean nothing in these places
    for key in ("aux.weight", "aux.bias"):
        rows = list(weights[key])
        for axis in axes:
            rows.insert(axis, torch.zeros_like(rows[0]))
        weights[key] = torch.stack(rows)
    torch.save(weights, path)
    return path


LANGUAGES = {
    "eng": ("<pad>", "<s>", "</s>", "<unk>", "|", *"etaonihsrd'"),
    "fra": ("<pad>", "|", "<unk>", "<s>", "</s>", *"éàetaonihsrdlç-"),
}
"""Two languages of a model of many: vocabularies of two sizes, whose special tokens stand in other places."""


def save_mms(folder: Path, *, default: str | None = "eng", seed: int = 0) -> Path:
    """A folder like those of MMS: one network, and for each language an adapter, an output layer, a vocabulary."""
    shape = {**SHAPE, **LARGE, "vocab_size": len(LANGUAGES["eng"]), "adapter_attn_dim": 8}
    torch.manual_seed(seed)
    network = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**shape))
    folder.mkdir(parents=True)
    alive(network, seed, "lm_head").save_pretrained(folder)
    generator = torch.Generator().manual_seed(seed + 1)
    for language, letters in LANGUAGES.items():
        network.lm_head = torch.nn.Linear(shape["hidden_size"], len(letters))
        with torch.no_grad():
            for weight in network._get_adapters().values():
                spread = 3 * weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.2
                weight.copy_(spread * torch.randn(weight.shape, generator=generator))
        own = {name: weight.detach().contiguous() for name, weight in network._get_adapters().items()}
        save_file(own, folder / f"adapter.{language}.safetensors", metadata={"format": "pt"})
    vocabulary = folder / "vocab.json"
    numbered = {name: {letter: n for n, letter in enumerate(letters)} for name, letters in LANGUAGES.items()}
    vocabulary.write_text(json.dumps(numbered), encoding="utf-8")
    transformers.Wav2Vec2CTCTokenizer(str(vocabulary), target_lang=default).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True).save_pretrained(folder)
    return folder


def foreign_models(folder: Path) -> dict[str, Callable[[], Any]]:
    """What loads a model of each family from a folder, on the CPU."""
    from whisper_samples import save_whisper

    from asradapt.models import ModelOptions, load_model
    from asradapt.models.torchaudio_bundle import make_source

    def bundled(like: str) -> Any:
        bundle = small_bundle(like)
        return make_source(like, bundle, save_bundle(folder / f"{like}.pth", bundle), ModelOptions())

    def many() -> Any:
        french = ModelOptions(language="fra")
        return load_model(str(save_mms(folder / "mms")), device="cpu", options=french)

    made: dict[str, Callable[[], Any]] = {
        f"hf-{kind}": lambda kind=kind: load_model(str(save_ctc(folder / kind, kind)), device="cpu")
        for kind in KINDS
    }
    made["hf-mms"] = many
    made["hf-whisper"] = lambda: load_model(str(save_whisper(folder / "whisper")), device="cpu")
    made["torchaudio-base"] = lambda: bundled("base")
    made["torchaudio-large"] = lambda: bundled("large")
    return made
