"""The `lowrank` adaptation of a speaker as a LoRA folder of PEFT, and such a folder as a speaker.

Here `y + (x A) B`; in PEFT `y + s (x A^T) B^T` with A of (rank, D_in), B of (D, rank) and s made of alpha and the
rank. The library itself is not needed: the folder is one JSON file and one of safetensors.

Letters: D_in and D the widths of a linear layer, R its rank.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.lowrank import LowRank
from asradapt.errors import StoreError
from asradapt.interchange.peft_config import CONFIG_FILE, WEIGHTS_FILE, LoraConfig, config_text, read_config
from asradapt.interchange.writing import Written, new_folder, written
from asradapt.models.base import Site, SourceModel, library_network, library_prefix, source_of
from asradapt.models.whisper.network import WhisperNetwork
from asradapt.store import Adaptation, SpeakerRecord, SpeakerStore

PREFIX = "base_model.model."
WRAPPED = WhisperNetwork.prefix
"""How sites begin where the network holds the library's as a part; the library itself has no such paths."""
PICKLE_FILE = "adapter_model.bin"
MOST_BYTES = 2 * 1024**3
MOST_RANK = 512
_KEY = re.compile(re.escape(PREFIX) + r"(.+)\.lora_([AB])\.weight")


def write_peft(target: Path, adaptation: Adaptation, *, force: bool = False) -> Written:
    """Write a stored `lowrank` adaptation of a transformers model as a folder that PEFT loads.

    Args:
        target: The folder to write.
        adaptation: What is stored.
        force: Whether to replace an earlier folder of this kind.

    Raises:
        StoreError: If the adaptation is another one, or the folder cannot be written.
    """
    _require_lora(adaptation.record)
    matrices = _matrices(adaptation.tensors)
    rank = next(iter(matrices.values()))[0].shape[0]
    tensors = {}
    for site, (down, up) in matrices.items():
        tensors[f"{PREFIX}{site}.lora_A.weight"] = down
        tensors[f"{PREFIX}{site}.lora_B.weight"] = up
    name = adaptation.record.source["name"].removeprefix("hf:")
    base = name if "/" in name else None  # a name of the hub; folders are called differently elsewhere
    with new_folder(target, force=force) as folder:
        (folder / CONFIG_FILE).write_text(config_text(list(matrices), rank, base), encoding="utf-8")
        save_file(tensors, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        return written(folder, target)


def _require_lora(record: SpeakerRecord) -> None:
    """Refuse what LoRA cannot say.

    Raises:
        StoreError: With the reason.
    """
    name, source = record.speaker, record.source["name"]
    if record.decision != "adapted":
        raise StoreError(f"{name} keeps the source as it is: there is no adaptation to write")
    if not source.startswith("hf:"):
        raise StoreError(
            f"PEFT puts adapters onto models of transformers; {name} was enrolled on {source}. --merged writes "
            "that model with the adaptation in it"
        )
    if record.method != "lowrank":
        raise StoreError(
            f"LoRA is what `lowrank` is called in PEFT; {name} is adapted by {record.method}. Enrol with "
            "--method lowrank, or write the merged model with --merged"
        )


def _matrices(state: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """lora_A (R, D_in) and lora_B (D, R) by the library's path, of every changed layer; of all where none is."""
    sites = sorted(name.split("/")[1] for name in state if name.endswith("/up"))
    changed = [site for site in sites if bool(state[f"lowrank/{site}/up"].any())]
    return {
        site.removeprefix(WRAPPED): (
            state[f"lowrank/{site}/down"][0].T.float().contiguous(),
            state[f"lowrank/{site}/up"][0].T.float().contiguous(),
        )
        for site in changed or sites
    }


def import_peft(
    folder: Path, model: SourceModel, store: SpeakerStore, speaker: str, *, force: bool = False
) -> SpeakerRecord:
    """Store the LoRA folder of PEFT as a speaker of a transformers model.

    Args:
        folder: The adapter, from anywhere; nothing in it is run.
        model: The source model that it was trained on.
        store: Where to store it.
        speaker: Under which name.
        force: Whether a speaker who exists gets a new version.

    Returns:
        The record as it was stored.

    Raises:
        StoreError: If the folder is damaged, says more than `lowrank` can, or does not fit the model; or the
            speaker exists.
    """
    if not model.name.startswith("hf:"):
        raise StoreError(f"PEFT's adapters are for models of transformers, not for {model.name}; give --model")
    if speaker in store and not force:
        raise StoreError(
            f"speaker {speaker!r} exists; give another name, or force the import, which adds a version"
        )
    config = read_config(folder)
    data = _weights(folder)
    method, state = _state(model, config, _pairs(folder, data))
    record = SpeakerRecord(
        speaker=speaker,
        decision="adapted",
        method=method.name,
        options={method.name: method.options()},
        source=source_of(model),
        utterances=0,
        seconds=0.0,
        split={"imported": {"format": "PEFT LoRA", "sha256": hashlib.sha256(data).hexdigest(), **config.said}},
        seed=0,
        folds={},
        gate={"judged": False, "reason": "imported from a LoRA folder of PEFT"},
    )
    return store.save(record, state)


def _weights(folder: Path) -> bytes:
    """The bytes of the adapter's tensors."""
    path = folder / WEIGHTS_FILE
    if not path.is_file() and (folder / PICKLE_FILE).exists():
        raise StoreError(
            f"{folder} holds its tensors as {PICKLE_FILE}, a pickle, which can run anything when it is read, so "
            f"it is not read here; save the adapter again with PEFT, which writes {WEIGHTS_FILE}"
        )
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise StoreError(f"{path} has {size} bytes, the limit is {MOST_BYTES}")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"{folder} has no {WEIGHTS_FILE}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _pairs(folder: Path, data: bytes) -> dict[str, dict[str, Tensor]]:
    """lora_A and lora_B by the path of the module.

    Raises:
        StoreError: If the file is damaged, or holds any other tensor.
    """
    try:
        tensors: dict[str, Tensor] = load(data)
    except Exception as error:  # safetensors raises KeyError for types torch lacks, and bare Exceptions
        if not isinstance(error, SafetensorError | KeyError | ValueError | RuntimeError):
            raise
        raise StoreError(f"{folder / WEIGHTS_FILE} cannot be read: {str(error)[:200]}") from error
    found: dict[str, dict[str, Tensor]] = {}
    others = []
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        if match and tensor.is_floating_point():
            found.setdefault(match[1], {})[match[2]] = tensor.float()
        else:
            others.append(key)
    if others:
        raise StoreError(
            f"{folder} holds more than low-rank matrices, such as biases, whole layers or DoRA's lengths: "
            f"{_list(others)}; only LoRA's lora_A and lora_B can be imported"
        )
    if halves := [path for path, pair in found.items() if len(pair) < 2]:
        raise StoreError(f"{folder} lacks one of the two matrices of {_list(halves)}")
    if not found:
        raise StoreError(f"{folder} holds no tensors")
    return found


def _state(
    model: SourceModel, config: LoraConfig, pairs: Mapping[str, Mapping[str, Tensor]]
) -> tuple[LowRank, dict[str, Tensor]]:
    """The method and a speaker's tensors; layers that the adapter leaves alone begin as the identity.

    Different ranks become the greatest, with rows of zeros: the change is the same.
    """
    prefix = library_prefix(model)
    sites = {site.name.removeprefix(prefix): site for site in LowRank().sites(model)}  # by the library's path
    if problems := _misfits(model, sites, pairs):
        raise StoreError(f"the adapter does not fit {model.name}: {'; '.join(problems)}")
    ranks = {path: len(pair["A"]) for path, pair in pairs.items()}
    if wrong := [path for path, rank in ranks.items() if rank != config.rank_of(path)]:
        raise StoreError(f"the ranks of {_list(wrong)} are not those that {CONFIG_FILE} says")
    rank = max(ranks.values())
    if rank > MOST_RANK:
        raise StoreError(f"the adapter has the rank {rank}, at most {MOST_RANK} is allowed")
    method = LowRank(rank)
    state = SpeakerBank(model, (method,)).state(0)  # random `down`, zero `up`: so that it can be trained further
    for path, pair in pairs.items():
        name = sites[path].name
        down, up = state[f"lowrank/{name}/down"], state[f"lowrank/{name}/up"]
        down[0, :, : ranks[path]] = pair["A"].T
        up[0, : ranks[path]] = pair["B"].T * config.scale_of(path)
    return method, state


def _misfits(
    model: SourceModel, sites: Mapping[str, Site], pairs: Mapping[str, Mapping[str, Tensor]]
) -> list[str]:
    """Why an adapter cannot act in a model."""
    modules = dict(library_network(model).named_modules())
    strangers = [path for path in pairs if path not in modules]
    places = [f"{path} ({type(modules[path]).__name__})" for path in pairs.keys() & modules.keys() - sites.keys()]
    problems = [f"the model has no {_list(strangers)}"] if strangers else []
    if places:
        problems.append(f"{_list(places)} is no place where `lowrank` acts: a linear layer with an output a frame")
    for path in pairs.keys() & sites.keys():
        site, (down, up) = sites[path], (pairs[path]["A"], pairs[path]["B"])
        if down.dim() != 2 or up.dim() != 2 or len(down) != up.shape[-1]:
            problems.append(f"{path}: matrices of {tuple(down.shape)} and {tuple(up.shape)} do not go together")
        elif (down.shape[1], len(up)) != (site.width_in, site.width):
            problems.append(f"{path}: {down.shape[1]} to {len(up)}, the model has {site.width_in} to {site.width}")
    return problems[:5]


def _list(names: list[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
