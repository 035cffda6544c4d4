"""A whole model with the adaptation of one speaker merged in, written so that others load it without this program.

A model of transformers becomes a folder of transformers, one of torchaudio a file of weights for torchaudio's own
network, an embedded one a model of this project's own format.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from asradapt.enrolment.past import standing_bank
from asradapt.errors import StoreError
from asradapt.interchange.letters import added_characters, as_written, name_outputs, widen
from asradapt.interchange.merging import logits_of_noise, merged_weights, replaced
from asradapt.interchange.writing import Written, new_folder, require_free, written
from asradapt.models.base import SourceModel, has_phones, library_network, library_prefix, writes
from asradapt.models.hub import weight_files
from asradapt.models.source import ConformerSource, save_source, with_weights
from asradapt.pace import CARD
from asradapt.store import Adaptation, check_source

WEIGHTS_FILE = "model.safetensors"
BESIDE = ("*.json", "*.txt", "*.model")
GENERATION_FILE = "generation_config.json"
LIMIT = 1e-4
"""Share of the greatest logit from which a merged model in fp32 is another one; rounding makes 1e-6."""


def write_merged(target: Path, model: SourceModel, adaptation: Adaptation, *, force: bool = False) -> Written:
    """Write the source model with a stored adaptation in its weights.

    Args:
        target: The folder to write.
        model: The source model that the adaptation was made for; it is not changed.
        adaptation: What is stored.
        force: Whether to replace an earlier folder of this kind.

    Returns:
        What was written, with the difference of the merged from the adapted model, measured.

    Raises:
        SourceMismatch: If the adaptation was made for another source.
        StoreError: If it cannot be merged, or the folder cannot be written.
    """
    require_free(target, force=force)
    record = adaptation.record
    if record.decision != "adapted":
        raise StoreError(f"{record.speaker} keeps the source as it is: there is no adaptation to merge")
    check_source(record, model.name, model.fingerprint)
    bank = standing_bank(model, adaptation)
    weights = merged_weights(model, bank.methods, adaptation.tensors)
    characters = added_characters(bank.methods)
    if characters and "folder" not in model.card:
        raise StoreError(
            f"new characters ({' '.join(characters)}) can be written into a transformers folder only, and "
            f"{model.name} is none; export the speaker to a FILE instead"
        )
    difference = _difference(model, adaptation, weights)
    with new_folder(target, force=force) as folder:
        _write(folder, target, model, weights, record.method, characters)
        return written(folder, target, difference)


def _difference(model: SourceModel, adaptation: Adaptation, weights: Mapping[str, Tensor]) -> float:
    """How far the merged model is from the adapted one.

    Raises:
        StoreError: If it is another one: a weight is used in a way that its module does not show.
    """
    bank = standing_bank(model, adaptation)
    with bank.attach(model, torch.zeros(1, dtype=torch.int64, device=model.device)):
        adapted = logits_of_noise(model)
    with replaced(model.module, weights):
        merged = logits_of_noise(model)
    difference = float((adapted - merged).abs().max() / adapted.abs().max().clamp(min=1e-6))
    coarse = model.card.get("precision", "fp32") != "fp32"
    exact = not coarse and all(value.dtype == torch.float32 for value in weights.values())
    if exact and difference > LIMIT:
        raise StoreError(
            f"the merged model would not be the adapted one: its outputs differ by {difference:.2g} of the most"
        )
    return difference


def _write(
    folder: Path,
    target: Path,
    model: SourceModel,
    weights: Mapping[str, Tensor],
    method: str,
    characters: Sequence[str],
) -> None:
    """Write the model by its kind.

    Raises:
        StoreError: If it is of a kind that cannot be written.
    """
    if isinstance(model, ConformerSource):
        whole = {**model.module.state_dict(), **weights}
        paced = CARD in model.card and has_phones(model)
        named = with_weights(model, f"{model.name}-merged", whole, {"merged": method}, paced=paced)
        save_source(named, folder / WEIGHTS_FILE, dtype=torch.float32)
    elif "folder" in model.card:
        source = Path(model.card["folder"])
        if target.exists() and target.samefile(source):
            raise StoreError(f"{target} is the folder of the source model itself; choose another name")
        _transformers(folder, source, model, weights, as_written(model, characters, source))
    elif model.card.get("library") == "torchaudio":
        front: Any = model.front  # type: ignore[attr-defined]
        convolutions = {f"feature_extractor.{k}": v for k, v in front.convolutions.state_dict().items()}
        whole = {**convolutions, **model.module.state_dict(), **weights}
        plain = {name: value.detach().cpu().contiguous() for name, value in whole.items()}
        save_file(plain, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    else:
        raise StoreError(f"how models like {model.name} are written is not known; only its own package can")


def _transformers(
    folder: Path, source: Path, model: SourceModel, weights: Mapping[str, Tensor], characters: Sequence[str]
) -> None:
    """The library's own network as it is on the disk, with the changed weights; and what belongs to it.

    Loaded again, because the one in use has its convolutions taken out and other parts replaced.
    """
    # a decoder is told its language with every recording, from settings that are copied; its weights know them all
    language = None if writes(model) else model.card.get("language")
    network = _loaded_again(source, model, language)
    widen(network, len(characters))
    own = {name.removeprefix(library_prefix(model)): value for name, value in weights.items()}
    _untie(network, own)
    held = dict(network.named_parameters())
    if strange := [k for k, v in own.items() if k not in held or held[k].shape != v.shape]:
        raise StoreError(f"the network in {source} is not the one that was adapted: {', '.join(strange[:5])}")
    with torch.no_grad():
        for name, value in own.items():
            held[name].copy_(value)
    _copy_beside(source, folder, language)
    name_outputs(folder, characters, len(model.tokens))
    network.save_pretrained(folder)
    if (source / GENERATION_FILE).is_file():  # as it was: the library writes it anew, with what it thinks of it
        shutil.copyfile(source / GENERATION_FILE, folder / GENERATION_FILE)


def _untie(network: Any, changed: Mapping[str, Tensor]) -> None:
    """Make changed weights that are another place's too their own; the library then reads them as such."""
    held = dict(network.named_parameters())
    tied = {name: value for name, value in network.named_parameters(remove_duplicate=False) if name not in held}
    for name in tied.keys() & changed.keys():
        path, _, last = name.rpartition(".")
        setattr(network.get_submodule(path), last, torch.nn.Parameter(tied[name].detach().clone()))
        network.config.tie_word_embeddings = False


def _loaded_again(source: Path, model: SourceModel, language: str | None) -> Any:
    """The library's network as it is on the disk, in the precision of the one in use.

    Raises:
        StoreError: If it cannot be read any more.
    """
    used: Any = library_network(model)
    arguments: dict[str, Any] = {"local_files_only": True, "dtype": used.dtype}
    if language:
        arguments |= {"target_lang": language, "ignore_mismatched_sizes": True}
    if any(path.suffix == ".safetensors" for path in weight_files(source)):  # not a mere adapter of a language
        arguments["use_safetensors"] = True
    try:
        return type(used).from_pretrained(source, **arguments)
    except Exception as error:  # the library raises what its parts raise: OSError, ValueError, RuntimeError, ...
        raise StoreError(f"the model {source} cannot be loaded again: {str(error).strip()[:300]}") from error


def _copy_beside(source: Path, folder: Path, language: str | None) -> None:
    """The tokenizer, the feature extractor and all settings; no weights, no code."""
    for pattern in BESIDE:
        for path in source.glob(pattern):
            if path.is_file() and not path.name.endswith((".index.json", "adapter_config.json")):
                shutil.copyfile(path, folder / path.name)
    if language:  # its weights are now those of this language, and of no other
        _change(folder / "tokenizer_config.json", lambda content: content | {"target_lang": language})
        _change(folder / "vocab.json", lambda content: {language: content.get(language, content)})


def _change(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change the JSON object in a file, where there is one."""
    if path.exists():
        content = change(json.loads(path.read_text(encoding="utf-8")))
        path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
