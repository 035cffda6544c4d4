"""Reading a Whisper checkpoint in its real format: network, tokenizer, features, and what it is to be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from asradapt.errors import InputError, UsageError
from asradapt.models.hf_network import unreadable
from asradapt.models.hub import read_licence, weight_files
from asradapt.models.options import ModelOptions, no_use
from asradapt.models.pickles import REFUSED, from_a_pickle, quiet_pickles
from asradapt.models.whisper.features import MelWindow
from asradapt.models.whisper.network import WhisperNetwork
from asradapt.models.whisper.source import WhisperSource

MULTILINGUAL = (
    51865  # outputs from which a checkpoint that does not say so knows many languages, as in OpenAI's code
)
TOKENIZER = (("tokenizer.json",), ("vocab.json", "merges.txt"))


def load_whisper(name: str, folder: Path, options: ModelOptions, dtype: torch.dtype) -> WhisperSource:
    """A Whisper model of a folder.

    Args:
        name: What it is called in records.
        folder: The checkpoint, whose weights may be read.
        options: Language, task and whether a pickle may be read.
        dtype: What the network computes with.

    Raises:
        InputError: If a file is missing or damaged.
        UsageError: If language or task do not go with it, or the language is missing.
    """
    whisper = _network(folder, options)
    tokenizer = _tokenizer(folder)
    mel = _features(folder, whisper.config)
    _check_tokens(folder, whisper.config, tokenizer)
    told = _generation(name, whisper, options)
    prompt = _prompt(whisper, told)
    card = {
        "architecture": type(whisper).__name__,
        "library": "transformers",
        "licence": read_licence(folder),
        "weights": [str(path) for path in weight_files(folder)],
        "precision": options.precision,
        "folder": str(folder),
        **told,
    }
    source = WhisperSource(name, WhisperNetwork(whisper), tokenizer, mel, prompt, told, card)
    source.module.to(dtype)  # behind the fingerprint, which is that of the weights as they were trained
    return source


def _network(folder: Path, options: ModelOptions) -> Any:
    """The network with all its weights, in full precision.

    Raises:
        InputError: If it cannot be read, or weights are missing.
    """
    from transformers import WhisperForConditionalGeneration

    kind: Any = WhisperForConditionalGeneration
    arguments: dict[str, Any] = {"local_files_only": True, "dtype": torch.float32, "output_loading_info": True}
    if not options.allow_pickle:
        arguments["use_safetensors"] = True
    try:
        with quiet_pickles():
            model, report = kind.from_pretrained(folder, **arguments)
    except Exception as error:  # the library raises what its parts raise: OSError, ValueError, RuntimeError, ...
        if from_a_pickle(error):
            raise InputError(f"the weights in {folder} are {REFUSED}") from error
        raise InputError(unreadable(folder.name, folder, error)) from error
    if missing := sorted(report["missing_keys"]):
        shown = ", ".join(missing[:5]) + (" ..." if len(missing) > 5 else "")
        raise InputError(f"the weights in {folder} lack {len(missing)} tensors of the network: {shown}")
    model.generation_config.max_length = model.config.max_target_positions  # all that the decoder has room for
    return model


def _tokenizer(folder: Path) -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        InputError: If it is missing or damaged.
    """
    from transformers import WhisperTokenizer

    if not any(all((folder / name).is_file() for name in names) for names in TOKENIZER):
        raise InputError(
            f"the model folder {folder} has no tokenizer (tokenizer.json, or vocab.json and merges.txt); take it "
            "from the model that this one was made from"
        )
    try:
        return WhisperTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever its parser raises
        raise InputError(f"the tokenizer in {folder} cannot be read: {str(error).strip()[:300]}") from error


def _features(folder: Path, config: Any) -> MelWindow:
    """How its features are computed.

    Raises:
        InputError: If the description is missing, damaged, or another network's.
    """
    from transformers import WhisperFeatureExtractor

    from asradapt.models.hub import read_json

    kind: Any = WhisperFeatureExtractor
    if (folder / "preprocessor_config.json").is_file():
        said: Any = read_json(folder / "preprocessor_config.json")
    elif (folder / "processor_config.json").is_file():
        said = read_json(folder / "processor_config.json").get("feature_extractor")
    else:
        raise InputError(
            f"the model folder {folder} has no preprocessor_config.json: how its features are computed"
        )
    try:
        extractor = kind(**said)
        filters = torch.from_numpy(extractor.mel_filters).float()
        mel = MelWindow(
            int(extractor.sampling_rate),
            int(extractor.n_fft),
            int(extractor.hop_length),
            int(extractor.nb_max_frames),
            filters,
        )
    except (TypeError, ValueError, KeyError, ZeroDivisionError) as error:
        raise InputError(f"the feature settings in {folder} cannot be used: {error}") from error
    wanted = (2 * int(config.max_source_positions), int(config.num_mel_bins))
    if wanted != (mel.frames, filters.shape[1]):
        raise InputError(
            f"the feature settings in {folder} are another network's: {mel.frames} frames of {filters.shape[1]} "
            f"bands, the network takes {wanted[0]} of {wanted[1]}"
        )
    return mel


def _check_tokens(folder: Path, config: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer that is another model's.

    Raises:
        InputError: If its end of a text is another token, or it has more tokens than outputs.
    """
    end, outputs = int(config.eos_token_id), int(config.vocab_size)
    if tokenizer.eos_token_id != end or len(tokenizer) > max(outputs, end + 1):
        raise InputError(
            f"the tokenizer in {folder} does not fit: {len(tokenizer)} tokens with the end at "
            f"{tokenizer.eos_token_id}, the network has {outputs} outputs with the end at {end}"
        )


def _generation(name: str, whisper: Any, options: ModelOptions) -> dict[str, str]:
    """Language and task for the library's `generate`; nothing for a model of English alone.

    Raises:
        UsageError: If they do not go with the model, or the language is missing.
        InputError: If the checkpoint does not know its own languages.
    """
    config = whisper.generation_config
    many = getattr(config, "is_multilingual", whisper.config.vocab_size >= MULTILINGUAL)
    if not many:
        if said := [f"--{what}" for what in ("language", "task") if getattr(options, what)]:
            raise UsageError(no_use(said, f"{name}: it knows English only, and transcribes"))
        return {}
    languages: Mapping[str, int] = getattr(config, "lang_to_id", None) or {}
    if not languages or not getattr(config, "task_to_id", None):
        raise InputError(
            f"the generation_config.json of {name} is outdated: it does not list its languages and tasks; take it "
            "from the model that this one was made from"
        )
    codes = sorted(token.strip("<|>") for token in languages)
    code = _code(options.language or getattr(config, "language", None))
    if code not in codes:
        asked = f"no language {options.language!r}" if options.language else f"{name} is a model of many languages"
        shown = ", ".join(codes[:20]) + (" ..." if len(codes) > 20 else "")
        raise UsageError(f"{asked}; --language takes one of {len(codes)}: {shown}")
    task = options.task or getattr(config, "task", None) or "transcribe"
    return {"language": code, "task": task}


def _code(language: str | None) -> str:
    """The code of a language that is given by its code, its name or its token."""
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    plain = (language or "").lower().strip("<|>")
    return str(TO_LANGUAGE_CODE.get(plain, plain))


def _prompt(whisper: Any, told: Mapping[str, str]) -> list[int]:
    """What the library's `generate` gives to the decoder first."""
    config = whisper.generation_config
    prompt = [int(config.decoder_start_token_id)]
    if told:
        prompt += [config.lang_to_id[f"<|{told['language']}|>"], config.task_to_id[told["task"]]]
    silent = getattr(config, "no_timestamps_token_id", None)
    return prompt if silent is None else [*prompt, int(silent)]
