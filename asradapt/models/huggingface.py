"""CTC models of Hugging Face transformers as source models (extra `[hf]`): a folder or a name of the hub's cache.

Whisper models, which are no CTC models, are found here and loaded by `whisper.loading`.

The library's own classes compute. Only the convolutional front end is taken out of the network, so that its output
can be kept, and the mask of the frames is given instead of computed from samples. What a class does beyond that
(norms, positions, gates, adapters) stays as it is.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from asradapt.errors import InputError, UsageError
from asradapt.models.alphabet import Alphabet, make_alphabet
from asradapt.models.options import ModelOptions
from asradapt.models.waveform import WaveformShape, WaveformSource

if TYPE_CHECKING:
    from asradapt.models.base import SourceModel

INSTALL = "install the extra for Hugging Face models: pip install 'asradapt[hf]'"
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PATTERNS = ("*.json", "*.txt", "*.safetensors", "*.model")
PICKLES = ("*.bin", "*.pt", "*.pth")


class Front(nn.Module):
    """The convolutions of a transformers model: waveforms (B, T) to (B, F', C)."""

    def __init__(self, convolutions: nn.Module) -> None:
        super().__init__()
        self.convolutions = convolutions

    def forward(self, waveforms: Tensor) -> Tensor:
        """Run the convolutions."""
        features: Tensor = self.convolutions(waveforms)
        return features.transpose(1, 2)


class Given(nn.Module):
    """In the place of the convolutions: passes on features (B, F', C) that they made before, as (B, C, F')."""

    def forward(self, features: Tensor) -> Tensor:
        """Turn the features as the convolutions would give them."""
        return features.transpose(1, 2)


def find_folder(name: str) -> Path:
    """The folder of a model: a path, or a name whose files are in the hub's cache; nothing is downloaded.

    Raises:
        InputError: If it is neither.
        UsageError: If the extra is not installed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if name.startswith((".", "/", "~")):
        raise InputError(f"there is no folder {name}")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise UsageError(INSTALL) from error
    try:
        return Path(snapshot_download(name, local_files_only=True))
    except HFValidationError as error:
        raise InputError(f"{name!r} is neither a folder nor a name as the hub has them, OWNER/MODEL") from error
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"the model {name!r} is not on this machine; with a network, `asradapt models fetch hf:{name}` "
            "downloads it once"
        ) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder.

    Raises:
        InputError: If it is missing or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"the model folder {path.parent} has no {path.name}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def load_huggingface(name: str, options: ModelOptions) -> SourceModel:
    """A model of transformers by folder or by a name of the hub's cache.

    Raises:
        InputError: If it is not there, damaged, or no recogniser that can be used.
        UsageError: If the extra is not installed, or an option does not go with it.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    try:
        import transformers
    except ImportError as error:
        raise UsageError(INSTALL) from error
    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    folder = find_folder(name)
    config = read_json(folder / "config.json")
    if str(config.get("model_type")) == "whisper":
        return _load_whisper(name, folder, options)
    return _load_ctc(name, folder, config, options)


def _load_whisper(name: str, folder: Path, options: ModelOptions) -> SourceModel:
    from asradapt.models.whisper.loading import load_whisper

    if unused := options.unused("allow_pickle", "language", "task", "precision"):
        raise UsageError(f"{', '.join(unused)} is of no use for {name}, a Whisper model of transformers")
    _check_weights(folder, options)
    return load_whisper(shown_name(name, folder), folder, options, DTYPES[options.precision])


def _load_ctc(name: str, folder: Path, config: Mapping[str, Any], options: ModelOptions) -> WaveformSource:
    if unused := options.unused("allow_pickle", "language", "precision"):
        raise UsageError(f"{', '.join(unused)} is of no use for {name}, a CTC model of transformers")
    dtype = DTYPES[options.precision]
    model = _network(folder, config, options, dtype)
    alphabet = read_alphabet(folder, model, options.language)
    sound = read_json(folder / "preprocessor_config.json")
    base = model.base_model
    if not hasattr(base, "feature_extractor"):
        raise InputError(f"models of the type {config.get('model_type')!r} do not take waveforms; {_types()}")
    front = Front(base.feature_extractor)
    base.feature_extractor = Given()
    base._get_feature_vector_attention_mask = _as_given
    shape = WaveformShape(
        sample_rate=int(sound.get("sampling_rate", 16000)),
        convolutions=tuple(zip(model.config.conv_kernel, model.config.conv_stride, strict=True)),
        width=int(model.config.conv_dim[-1]),
        normalise=bool(sound.get("do_normalize", True)),
        over_time=getattr(model.config, "feat_extract_norm", "group") == "group",
        pooled=int(getattr(model.config, "squeeze_factor", 1)),
        first=_first(base),
        last="lm_head",
        dtype=dtype,
    )
    card = {
        "architecture": type(model).__name__,
        "library": "transformers",
        "licence": "see the model's own card",
        "language": options.language,
    }
    return WaveformSource(shown_name(name, folder), front, model, _runner(model), alphabet, shape, card)


def shown_name(name: str, folder: Path) -> str:
    """What a model is called in records: the hub's name, or the last part of a folder's path."""
    return f"hf:{folder.resolve().name}" if Path(name).expanduser().is_dir() else f"hf:{name}"


def _as_given(length: int, mask: Tensor, add_adapter: object = None) -> Tensor:
    """In the place of the mask computed from samples: the mask of the frames, which is what is given."""
    return mask


def _first(base: nn.Module) -> str:
    """The norm behind the convolutions, whose output is the input site."""
    candidates = ("feature_projection.layer_norm", "layer_norm", "feature_projection")
    paths = {path for path, _ in base.named_modules()}
    found = next((path for path in candidates if path in paths), "")
    return f"{base.base_model_prefix}.{found}"


def _runner(model: Any) -> Any:
    """What calls a model with kept features and frame counts."""
    layers = (
        int(getattr(model.config, "num_adapter_layers", 0)) if getattr(model.config, "add_adapter", False) else 0
    )
    stride = int(getattr(model.config, "adapter_stride", 1))

    def run(features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        inside = torch.arange(features.shape[1], device=features.device) < frames[:, None]
        with warnings.catch_warnings():  # WavLM hands torch masks of two types
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            logits = model(input_values=features, attention_mask=inside).logits
        for _ in range(layers):
            frames = torch.div(frames - 1, stride, rounding_mode="floor") + 1
        return logits, frames.clamp(max=logits.shape[1])

    return run


def _types() -> str:
    return (
        "usable are wav2vec2, hubert, wavlm, data2vec-audio, wav2vec2-conformer, sew, unispeech, mms and whisper"
    )


def _network(folder: Path, config: Mapping[str, Any], options: ModelOptions, dtype: torch.dtype) -> Any:
    """The network with all its weights.

    Raises:
        InputError: If the folder has no safetensors and pickles are not allowed, or weights are missing.
    """
    from transformers import AutoConfig, AutoModelForCTC

    _check_weights(folder, options)
    try:
        settings = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind: Any = AutoModelForCTC._model_mapping[type(settings)]
    except (KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{folder}: models of the type {config.get('model_type')!r} are not known; {_types()}"
        ) from error
    arguments: dict[str, Any] = {"local_files_only": True, "dtype": dtype, "output_loading_info": True}
    if not options.allow_pickle:
        arguments["use_safetensors"] = True
    if options.language:
        arguments |= {"target_lang": options.language, "ignore_mismatched_sizes": True}
    try:
        model, report = kind.from_pretrained(folder, **arguments)
    except Exception as error:  # the library raises what its parts raise: OSError, ValueError, RuntimeError, ...
        raise InputError(f"the model {folder} cannot be loaded: {str(error).strip()[:300]}") from error
    missing = [key for key in report["missing_keys"] if "masked_spec_embed" not in key]
    if missing:
        raise InputError(_incomplete(folder, missing))
    return model


def _incomplete(folder: Path, missing: Sequence[str]) -> str:
    if any(key.startswith("lm_head") for key in missing):
        return f"{folder} holds a pretrained network without an output layer: it was never taught to write text"
    shown = ", ".join(sorted(missing)[:5]) + (" ..." if len(missing) > 5 else "")
    return f"the weights in {folder} lack {len(missing)} tensors of the network: {shown}"


def _check_weights(folder: Path, options: ModelOptions) -> None:
    if any(folder.glob("*.safetensors")):
        return
    pickles = [path.name for pattern in PICKLES for path in sorted(folder.glob(pattern))]
    if not pickles:
        raise InputError(f"the model folder {folder} holds no weights (model.safetensors)")
    if not options.allow_pickle:
        raise InputError(
            f"the model folder {folder} holds its weights as {pickles[0]} only, a pickle; --allow-pickle reads "
            "the tensors in it and nothing else, if you trust where it comes from"
        )


def read_alphabet(folder: Path, model: Any, language: str | None) -> Alphabet:
    """The tokens of a CTC model, as its own tokenizer has them.

    Raises:
        InputError: If there is no tokenizer, or it does not fit the output layer.
        UsageError: If the language is not known.
    """
    vocabulary = read_json(folder / "vocab.json")
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    if vocabulary and all(isinstance(value, dict) for value in vocabulary.values()):
        vocabulary = _of_language(vocabulary, language or settings.get("target_lang"))
    elif language:
        raise UsageError(f"--language is of no use for {folder.name}: it knows one language")
    added = settings.get("added_tokens_decoder") or {}
    numbers = {**vocabulary, **{entry["content"]: int(number) for number, entry in added.items()}}
    outputs = model.lm_head.out_features
    if not all(isinstance(number, int) for number in numbers.values()):
        raise InputError(f"{folder / 'vocab.json'} does not give a number for each token")
    if max(vocabulary.values(), default=-1) >= outputs:
        raise InputError(
            f"the vocabulary of {folder} does not fit: {len(vocabulary)} tokens, the output layer has {outputs}"
        )
    own = [f"<{number}>" for number in range(outputs)]
    for token, number in numbers.items():
        if number < outputs:
            own[number] = token
    boundary = settings.get("word_delimiter_token", "|")
    boundary = boundary["content"] if isinstance(boundary, dict) else boundary
    return make_alphabet(own, blank=int(model.config.pad_token_id or 0), boundary=str(boundary))


def _of_language(vocabulary: Mapping[str, Any], language: str | None) -> dict[str, int]:
    if language is None or language not in vocabulary:
        known = ", ".join(sorted(vocabulary)[:20]) + (" ..." if len(vocabulary) > 20 else "")
        asked = f"no language {language!r}" if language else "a model of many languages"
        raise UsageError(f"{asked}; --language takes one of {len(vocabulary)}: {known}")
    chosen: dict[str, int] = vocabulary[language]
    return chosen
