"""The network of a transformers CTC model with all its weights, or a sentence about what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from asradapt.errors import InputError
from asradapt.models.ctc_vocabulary import Vocabulary
from asradapt.models.hub import PICKLES, weight_files
from asradapt.models.options import ModelOptions
from asradapt.models.pickles import REFUSED, causes, from_a_pickle, quiet_pickles

MASK = "masked_spec_embed"
"""What stands for masked frames while a network is trained; published checkpoints may lack it."""


def usable_types() -> str:
    """The types of models that can be used, for messages."""
    return (
        "usable are wav2vec2 (also XLSR, MMS), hubert, wavlm, data2vec-audio, wav2vec2-conformer, sew, sew-d, "
        "unispeech, unispeech-sat and whisper"
    )


def network_class(name: str, folder: Path, config: Mapping[str, Any]) -> Any:
    """The class of the library that a folder's model is.

    Raises:
        InputError: If it is no CTC model, takes no waveforms, or was never taught to write text.
    """
    from transformers import AutoConfig, AutoModelForCTC

    try:
        settings = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        kind = AutoModelForCTC._model_mapping[type(settings)]
    except Exception as error:  # a damaged configuration raises whatever it leads to
        raise InputError(
            f"{name}: models of the type {config.get('model_type')!r} cannot be used; {usable_types()}"
        ) from error
    if not all(hasattr(settings, one) for one in ("conv_dim", "conv_kernel", "conv_stride")):
        raise InputError(
            f"{name}: models of the type {settings.model_type!r} do not take waveforms through convolutions as "
            f"wav2vec 2.0 does; {usable_types()}"
        )
    said = [str(one) for one in config.get("architectures") or ()]
    if said and not any(one.endswith("ForCTC") for one in said):
        raise InputError(
            f"{name} is a {said[0]}, a network without an output layer for letters: it was never taught to write "
            "text; take one that was fine-tuned for speech recognition"
        )
    return kind


def load_network(
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
    check_weights(name, folder, options)
    arguments: dict[str, Any] = {"local_files_only": True}
    if not options.allow_pickle:
        arguments["use_safetensors"] = True
    try:
        more = more or {"dtype": torch.float32}
        with quiet_pickles():
            model, report = kind.from_pretrained(folder, **arguments, **more, output_loading_info=True)
    except Exception as error:  # the library raises what its parts raise: OSError, ValueError, RuntimeError, ...
        raise InputError(unreadable(name, folder, error)) from error
    missing = [key for key in report["missing_keys"] if MASK not in key]
    if missing:
        raise InputError(_incomplete(name, missing))
    _settle(model, report["missing_keys"])
    if vocabulary.language and model.config.adapter_attn_dim is not None:
        _speak(name, model, vocabulary, arguments)
    return model


def _settle(model: Any, keys: Iterable[str]) -> None:
    """Let what a checkpoint lacks, and recognition has no use for, be zero: the library draws it anew every time.

    What is drawn would be a part of the fingerprint, and no speaker would ever fit the model again.
    """
    own = dict(model.named_parameters())
    with torch.no_grad():
        for key in keys:
            own[key].zero_()


def _speak(name: str, model: Any, vocabulary: Vocabulary, arguments: dict[str, Any]) -> None:
    """Put the adapter and the output layer of a language into a model of many.

    Raises:
        InputError: If they are not there, or do not fit; a model of one language may have them built in.
    """
    language, folder = vocabulary.language, vocabulary.folder
    if not adapter_files(vocabulary, allow_pickle="use_safetensors" not in arguments):
        if len(vocabulary.languages) == 1:
            return
        raise InputError(
            f"{name} has no adapter.{language}.safetensors in {folder}, the weights of that language; if it comes "
            f"from the hub, `asradapt models fetch {name} --language {language}` downloads them"
        )
    try:
        with quiet_pickles():
            model.load_adapter(language, **arguments)
    except Exception as error:
        raise InputError(unreadable(name, folder, error)) from error


def adapter_files(vocabulary: Vocabulary, *, allow_pickle: bool) -> list[str]:
    """The files of the chosen language's weights, the one that is read first."""
    endings = ("safetensors", "bin") if allow_pickle else ("safetensors",)
    paths = [vocabulary.folder / f"adapter.{vocabulary.language}.{ending}" for ending in endings]
    return [str(path) for path in paths if vocabulary.language and path.exists()]


def unreadable(name: str, folder: Path, error: Exception) -> str:
    """What is told of an error of the library."""
    chain = causes(error)
    if from_a_pickle(error):
        return f"the weights in {folder} are {REFUSED}"
    refused = f"the model {name} in {folder} cannot be loaded"
    if "ignore_mismatched_sizes" in str(error):
        return f"{refused}: its weights are another network's, of other shapes than config.json says"
    if any(type(one).__name__ == "SafetensorError" for one in chain) or "deserializing header" in str(error):
        return f"{refused}: its weights are cut off or damaged; copy or fetch them again"
    lines = [line for line in str(error).splitlines() if line.strip()]
    told = lines[0].strip()[:200] if lines else type(error).__name__
    again = (
        f"; `asradapt models fetch {name}` downloads what is missing" if folder.parent.name == "snapshots" else ""
    )
    return f"{refused}: {told}{again}"


def _incomplete(name: str, missing: Sequence[str]) -> str:
    if any(key.startswith("lm_head") for key in missing):
        return f"{name} holds a pretrained network without an output layer: it was never taught to write text"
    shown = ", ".join(sorted(missing)[:5]) + (" ..." if len(missing) > 5 else "")
    return f"the weights of {name} lack {len(missing)} tensors of the network: {shown}"


def check_weights(name: str, folder: Path, options: ModelOptions) -> None:
    """Look at the files of a model's weights before they are read.

    Raises:
        InputError: If there are none, only a pickle that is not allowed, or an adapter besides.
    """
    if (folder / "adapter_config.json").exists():
        raise InputError(
            f"the model folder {folder} holds an adapter of PEFT besides (adapter_config.json), which the library "
            "would load unasked; move it to a folder of its own, and take it over with `asradapt import`"
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
