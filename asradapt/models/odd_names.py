"""What to say of a `--model` that is none: each slip has its own sentence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from asradapt.audio import AUDIO_SUFFIXES
from asradapt.errors import InputError, UnknownName, UsageError
from asradapt.models.bundles import BUNDLES

CONFIG, ADAPTER = "config.json", "adapter_config.json"
WEIGHTS = {".bin", ".ckpt", ".pt", ".pth"}
_HUB = re.compile(r"(?:https?://huggingface\.co/)?(\w[\w.-]*/\w[\w.-]*)/?")


def no_model(name: str, known: Iterable[str], kinds: Iterable[str]) -> InputError | UsageError:
    """The error for a name that is no model, with what may be meant.

    Args:
        name: What `--model` was given.
        known: The models that have a plain name.
        kinds: The kinds that may stand before a colon.
    """
    path = Path(name).expanduser()
    if not name.strip():
        return UsageError("--model is empty; `asradapt models` lists what there is")
    if path.is_dir():
        return InputError(_of_folder(name, path))
    if path.is_file():
        return InputError(_of_file(name, path))
    kind, colon, rest = name.partition(":")
    if colon and kind in kinds:
        return UsageError(f"{name!r} names no model: write {kind}:NAME; `asradapt models` lists what there is")
    if name in BUNDLES:
        return InputError(f"{name} is a bundle of torchaudio: write torchaudio:{name}")
    if found := _HUB.fullmatch(name):
        return InputError(f"there is no folder {name}; if a model of the hub is meant, write hf:{found[1]}")
    if colon and not rest.startswith(("/", "\\")):
        hint = "--model takes KIND:NAME of these kinds; another one may come with a package that is not installed"
        return UnknownName("kind of models", kind, kinds, hint)
    if name.startswith((".", "/", "~")):
        names = ", ".join(sorted(known))
        return InputError(f"there is no file or folder {name}; known: {names}, and what `asradapt models` lists")
    shown = ", ".join(f"{kind}:NAME" for kind in sorted(kinds))
    hint = f"Also {shown}, the folder of a transformers model, or a .safetensors file with its .json beside it"
    return UnknownName("source model", name, known, hint)


def _of_folder(name: str, path: Path) -> str:
    """What is wrong with a folder."""
    if (path / ADAPTER).is_file():
        how = f"`asradapt import {name} --name SPEAKER --model BASE` stores it as a speaker"
        return f"the folder {name} holds an adapter of PEFT, no model: {how} of the model that it was made for"
    inner = [found.parent for pattern in (f"*/{CONFIG}", f"*/*/{CONFIG}") for found in sorted(path.glob(pattern))]
    where = f"; {inner[0]} holds one: give that" if inner else ""
    return f"the folder {name} holds no model: neither {CONFIG} nor a .safetensors file with its .json{where}"


def _of_file(name: str, path: Path) -> str:
    """What is wrong with a file."""
    suffix = path.suffix.lower()
    if suffix in AUDIO_SUFFIXES:
        return f"{name} is a recording, no model; --model takes a name, a folder or a .safetensors file"
    if (path.parent / CONFIG).is_file():
        return f"{name} is one file of a model: give its folder, --model {path.parent}"
    if suffix in WEIGHTS:
        return (
            f"{name} holds weights and does not say of which network: give the folder of a transformers model, or "
            f"torchaudio:BUNDLE with --weights {name}"
        )
    return f"{name} is no model: a file must be a .safetensors with its .json beside it, or give a folder"
