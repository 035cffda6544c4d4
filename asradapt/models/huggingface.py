"""CTC models of Hugging Face transformers as source models (extra `[hf]`): a folder or a name of the hub's cache.

Whisper models, which are no CTC models, are found here and loaded by `whisper.loading`.

The library's own classes compute. Only the convolutional front end is taken out of the network, so that its output
can be kept, and the mask of the frames is given instead of computed from samples. What a class does beyond that
(norms, positions, gates, adapters) stays as it is.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from asradapt.errors import UsageError
from asradapt.models.ctc_vocabulary import Vocabulary, read_vocabulary
from asradapt.models.eight_bits import eight_bits, require_eight_bits, with_own_outputs
from asradapt.models.hf_network import (
    adapter_files,
    check_weights,
    load_network,
    network_class,
)
from asradapt.models.hub import INSTALL, find_folder, read_json, read_licence, weight_files
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

    options.refuse_unused(
        f"{name}, a Whisper model of transformers", "allow_pickle", "language", "task", "precision"
    )
    if options.precision == "int8":
        raise UsageError("--precision int8 is for CTC models; Whisper takes bf16 or fp16")
    shown = shown_name(name, folder)
    check_weights(shown, folder, options)
    return load_whisper(shown, folder, options, DTYPES[options.precision])


def _load_ctc(name: str, folder: Path, config: Mapping[str, Any], options: ModelOptions) -> WaveformSource:
    options.refuse_unused(f"{name}, a CTC model of transformers", "allow_pickle", "language", "precision")
    if options.precision == "int8":
        require_eight_bits()  # what is missing is told before any work
    shown = shown_name(name, folder)
    kind = network_class(shown, folder, config)
    sound = read_sound(folder)
    vocabulary = read_vocabulary(folder, shown, options.language)  # before the weights: they take long to read
    source = _assemble(shown, sound, vocabulary, load_network(shown, folder, kind, options, vocabulary), options)
    if options.precision != "int8":
        return source
    model = load_network(shown, folder, kind, options, vocabulary, more=eight_bits(source))
    with_own_outputs(model)
    return _assemble(shown, sound, vocabulary, model, options, full=source)


def _assemble(
    shown: str,
    sound: Mapping[str, Any],
    vocabulary: Vocabulary,
    model: Any,
    options: ModelOptions,
    *,
    full: WaveformSource | None = None,
) -> WaveformSource:
    """The source model of a network; `full` is the same before it was quantised."""
    alphabet = vocabulary.alphabet(model.lm_head.out_features, int(model.config.pad_token_id or 0))
    base = model.base_model
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
        dtype=DTYPES[options.precision] if full or options.precision != "int8" else torch.float32,
        quantised=full is not None,
    )
    card = {
        "architecture": type(model).__name__,
        "library": "transformers",
        "licence": read_licence(vocabulary.folder),
        "language": vocabulary.language,
        "precision": options.precision,
        "weights": [
            *map(str, weight_files(vocabulary.folder)),
            *adapter_files(vocabulary, allow_pickle=options.allow_pickle)[:1],
        ],
        "folder": str(vocabulary.folder),
    }
    return WaveformSource(shown, front, model, _runner(model), alphabet, shape, card, full)


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
    stride, kernel = (int(getattr(model.config, f"adapter_{name}", 1)) for name in ("stride", "kernel_size"))

    def run(features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        inside = torch.arange(features.shape[1], device=features.device) < frames[:, None]
        with warnings.catch_warnings():  # WavLM hands torch masks of two types
            warnings.filterwarnings("ignore", message="Support for mismatched key_padding_mask")
            logits = model(input_values=features, attention_mask=inside).logits
        for _ in range(layers):
            frames = torch.div(frames + 2 - kernel, stride, rounding_mode="floor") + 1  # padding of 1
        return logits, frames.clamp(max=logits.shape[1])

    return run


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
