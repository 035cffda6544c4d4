"""CTC models of Hugging Face transformers as source models (extra `[hf]`): a folder or a name of the hub's cache.

Whisper models, which are no CTC models, are found here and loaded by `whisper.loading`.

The library's own classes compute. Only the convolutional front end is taken out of the network, so that its output
can be kept, and the mask of the frames is given instead of computed from samples. What a class does beyond that
(norms, positions, gates, adapters) stays as it is.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from asradapt.errors import InputError, UsageError
from asradapt.models.ctc_vocabulary import Vocabulary, read_vocabulary
from asradapt.models.hub import INSTALL, PICKLES, find_folder, read_json, read_licence, weight_files
from asradapt.models.options import ModelOptions
from asradapt.models.waveform import WaveformShape, WaveformSource

if TYPE_CHECKING:
    from asradapt.models.base import SourceModel

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "int8": torch.float16}
"""What activations are; `int8` is what linear layers hold."""


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
    if options.precision == "int8":
        raise UsageError("--precision int8 is for CTC models; Whisper takes bf16 or fp16")
    shown = shown_name(name, folder)
    _check_weights(shown, folder, options)
    return load_whisper(shown, folder, options, DTYPES[options.precision])


def _load_ctc(name: str, folder: Path, config: Mapping[str, Any], options: ModelOptions) -> WaveformSource:
    if unused := options.unused("allow_pickle", "language", "precision"):
        raise UsageError(f"{', '.join(unused)} is of no use for {name}, a CTC model of transformers")
    if options.precision == "int8":
        _eight_bits()  # what is missing is told before any work
    shown = shown_name(name, folder)
    kind = _class(shown, folder, config)
    sound = read_sound(folder)
    vocabulary = read_vocabulary(folder, shown, options.language)  # before the weights: they take long to read
    source = _assemble(shown, sound, vocabulary, _network(shown, folder, kind, options, vocabulary), options)
    if options.precision != "int8":
        return source
    model = _network(shown, folder, kind, options, vocabulary, more=_eight_bits())
    return _assemble(shown, sound, vocabulary, model, options, fingerprint=source.fingerprint)


def _assemble(
    shown: str,
    sound: Mapping[str, Any],
    vocabulary: Vocabulary,
    model: Any,
    options: ModelOptions,
    *,
    fingerprint: str = "",
) -> WaveformSource:
    """The source model of a network; `fingerprint` is that of its weights before they were quantised."""
    alphabet = vocabulary.alphabet(model.lm_head.out_features, int(model.config.pad_token_id or 0))
    base = model.base_model
    if not hasattr(base, "feature_extractor"):
        raise InputError(f"models of the type {model.config.model_type!r} do not take waveforms; {_types()}")
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
        dtype=DTYPES[options.precision] if fingerprint or options.precision != "int8" else torch.float32,
        quantised=bool(fingerprint),
    )
    card = {
        "architecture": type(model).__name__,
        "library": "transformers",
        "licence": read_licence(vocabulary.folder),
        "language": vocabulary.language,
        "precision": options.precision,
        "weights": [
            *map(str, weight_files(vocabulary.folder)),
            *_adapter_files(vocabulary, allow_pickle=options.allow_pickle)[:1],
        ],
        "folder": str(vocabulary.folder),
    }
    return WaveformSource(shown, front, model, _runner(model), alphabet, shape, card, fingerprint)


def _eight_bits() -> dict[str, Any]:
    """What makes the library load linear layers in eight bits (Dettmers et al. 2022, arXiv 2208.07339).

    Raises:
        UsageError: If there is no GPU, or bitsandbytes is not installed.
    """
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise UsageError(
            "--precision int8 needs bitsandbytes: pip install bitsandbytes; or use --precision bf16, which takes "
            "twice the memory of int8 and half that of fp32"
        )
    if not torch.cuda.is_available():
        raise UsageError("--precision int8 needs a CUDA device, and there is none; use --precision bf16")
    from transformers import BitsAndBytesConfig

    wanted = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_8bit=True, llm_int8_skip_modules=["lm_head"]
    )
    return {"quantization_config": wanted, "device_map": {"": 0}, "dtype": torch.float16}


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


def read_sound(folder: Path) -> dict[str, Any]:
    """The sample rate and normalisation that a model's own processor says, in the file of any version.

    Raises:
        InputError: If no file says it.
    """
    if (folder / "processor_config.json").exists() and not (folder / "preprocessor_config.json").exists():
        inner = read_json(folder / "processor_config.json").get("feature_extractor")
        if isinstance(inner, dict):
            return inner
    return read_json(
        folder / "preprocessor_config.json",
        "says the sample rate and the normalisation of the sound; take all files of the model",
    )


def _class(name: str, folder: Path, config: Mapping[str, Any]) -> Any:
    """The class of the library that a folder's model is.

    Raises:
        InputError: If it is no CTC model, or was never taught to write text.
    """
    from transformers import AutoConfig, AutoModelForCTC

    try:
        settings = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModelForCTC._model_mapping[type(settings)]
    except Exception as error:  # a damaged configuration raises whatever it leads to
        raise InputError(
            f"{name}: models of the type {config.get('model_type')!r} cannot be used; {_types()}"
        ) from error
    said = [str(one) for one in config.get("architectures") or ()]
    if said and not any(one.endswith("ForCTC") for one in said):
        raise InputError(
            f"{name} is a {said[0]}, a network without an output layer for letters: it was never taught to write "
            "text; take one that was fine-tuned for speech recognition"
        )
    return kind


def _network(
    name: str,
    folder: Path,
    kind: Any,
    options: ModelOptions,
    vocabulary: Vocabulary,
    *,
    more: Mapping[str, Any] | None = None,
) -> Any:
    """The network with all its weights, those of the language too, in full precision unless `more` says otherwise.

    Whatever it computes with later, its fingerprint is that of the weights in full precision.

    Raises:
        InputError: If the folder has no safetensors and pickles are not allowed, or weights are missing.
    """
    _check_weights(name, folder, options)
    arguments: dict[str, Any] = {"local_files_only": True}
    if not options.allow_pickle:
        arguments["use_safetensors"] = True
    try:
        more = more or {"dtype": torch.float32}
        model, report = kind.from_pretrained(folder, **arguments, **more, output_loading_info=True)
    except Exception as error:  # the library raises what its parts raise: OSError, ValueError, RuntimeError, ...
        raise InputError(_unreadable(name, folder, error)) from error
    missing = [key for key in report["missing_keys"] if "masked_spec_embed" not in key]
    if missing:
        raise InputError(_incomplete(name, missing))
    if vocabulary.language and model.config.adapter_attn_dim is not None:
        _speak(name, model, vocabulary, arguments)
    return model


def _speak(name: str, model: Any, vocabulary: Vocabulary, arguments: dict[str, Any]) -> None:
    """Put the adapter and the output layer of a language into a model of many.

    Raises:
        InputError: If they are not there, or do not fit; a model of one language may have them built in.
    """
    language, folder = vocabulary.language, vocabulary.folder
    if not _adapter_files(vocabulary, allow_pickle="use_safetensors" not in arguments):
        if len(vocabulary.languages) == 1:
            return
        raise InputError(
            f"{name} has no adapter.{language}.safetensors in {folder}, the weights of that language; if it comes "
            f"from the hub, `asradapt models fetch {name} --language {language}` downloads them"
        )
    try:
        model.load_adapter(language, **arguments)
    except Exception as error:
        raise InputError(_unreadable(name, folder, error)) from error


def _adapter_files(vocabulary: Vocabulary, *, allow_pickle: bool) -> list[str]:
    """The files of the chosen language's weights, the one that is read first."""
    endings = ("safetensors", "bin") if allow_pickle else ("safetensors",)
    paths = [vocabulary.folder / f"adapter.{vocabulary.language}.{ending}" for ending in endings]
    return [str(path) for path in paths if vocabulary.language and path.exists()]


def _unreadable(name: str, folder: Path, error: Exception) -> str:
    """What is told of an error of the library."""
    chain: list[BaseException] = [error]
    while inner := chain[-1].__cause__ or chain[-1].__context__:
        chain.append(inner)
    if any(isinstance(one, pickle.UnpicklingError) for one in chain):
        return (
            f"the weights in {folder} are a pickle that holds more than tensors, or is damaged; it is not read "
            "further, and nothing in it was run"
        )
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = lines[0].strip()[:200] if lines else type(error).__name__
    again = (
        f"; `asradapt models fetch {name}` downloads what is missing" if folder.parent.name == "snapshots" else ""
    )
    return f"the model {name} in {folder} cannot be loaded: {told}{again}"


def _incomplete(name: str, missing: Sequence[str]) -> str:
    if any(key.startswith("lm_head") for key in missing):
        return f"{name} holds a pretrained network without an output layer: it was never taught to write text"
    shown = ", ".join(sorted(missing)[:5]) + (" ..." if len(missing) > 5 else "")
    return f"the weights of {name} lack {len(missing)} tensors of the network: {shown}"


def _check_weights(name: str, folder: Path, options: ModelOptions) -> None:
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"the model folder {folder} holds an adapter of PEFT besides (adapter_config.json), which the library "
            "would load unasked; move it to a folder of its own, and take it over with `asradapt speakers import`"
        )
    if any(path.suffix == ".safetensors" for path in weight_files(folder)):
        return
    pickles = [path.name for pattern in PICKLES for path in sorted(folder.glob(pattern))]
    if not pickles:
        again = f"; `asradapt models fetch {name}`" if folder.parent.name == "snapshots" else ""
        raise InputError(f"the model folder {folder} holds no weights (model.safetensors){again}")
    if not options.allow_pickle:
        raise InputError(
            f"the model folder {folder} holds its weights as {pickles[0]} only, a pickle; --allow-pickle reads "
            "the tensors in it and nothing else, if you trust where it comes from"
        )
