"""The files of Hugging Face models: folders, the hub's cache, and what is downloaded into it (extra `[hf]`).

Loading never downloads. `fetch_hub` is what `asradapt models fetch hf:OWNER/MODEL` calls.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asradapt.errors import AsradaptError, InputError, UsageError
from asradapt.models.download import ROOM

INSTALL = "install the extra for Hugging Face models: pip install 'asradapt[hf]'"
TEXTS = (".json", ".txt", ".model", "README.md")  # endings
WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")
PICKLES = ("*.bin", "*.pt", "*.pth")
RECOGNISERS = ("ForCTC", "WhisperForConditionalGeneration")  # what their classes are called


def find_folder(name: str) -> Path:
    """The folder of a model: a path, or a name whose files are in the hub's cache; nothing is downloaded.

    Raises:
        InputError: If it is neither.
        UsageError: If the extra is not installed.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    if path.is_file():
        raise InputError(f"{name} is a file; give the folder of the model, hf:{path.parent}")
    if name.startswith((".", "/", "~")):
        raise InputError(f"there is no folder {name}")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    except ImportError as error:
        raise UsageError(INSTALL) from error
    try:  # of a repository only some files are fetched; asked for all of them, the library finds them incomplete
        return Path(snapshot_download(name, local_files_only=True, allow_patterns=["config.json"]))
    except HFValidationError as error:
        raise InputError(_no_name(name)) from error
    except LocalEntryNotFoundError as error:
        raise InputError(
            f"the model {name!r} is not on this machine; with a network, `asradapt models fetch hf:{name}` "
            "downloads it once"
        ) from error


def _no_name(name: str) -> str:
    return f"{name!r} is neither a folder nor a name as the hub has them, OWNER/MODEL"


def read_json(path: Path, why: str = "") -> dict[str, Any]:
    """A JSON object of a model folder.

    Args:
        path: The file.
        why: What it is needed for, told where it is missing.

    Raises:
        InputError: If it is missing or no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        told = f", which {why}" if why else ""
        raise InputError(f"the model folder {path.parent} has no {path.name}{told}") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no JSON object")
    return content


def read_licence(folder: Path) -> str | None:
    """The licence that the head of a model's README states, if there is one."""
    try:
        text = (folder / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    _, *head = text.split("---", 2)
    found = re.search(r"^license(?:_name)?:\s*(\S+)", head[0], re.MULTILINE) if head else None
    return found[1].strip("\"'") if found else None


def weight_files(folder: Path) -> list[Path]:
    """The files that hold the weights of a model folder, safetensors if it has any."""
    for pattern in WEIGHTS:
        if found := sorted(folder.glob(pattern)):
            return found
    return []


def cached_models() -> dict[str, str]:
    """The recognisers in the hub's cache, OWNER/MODEL to the name of their class; empty without the extra."""
    try:
        from huggingface_hub.constants import HF_HUB_CACHE
    except ImportError:
        return {}
    found = {}
    for folder in sorted(Path(HF_HUB_CACHE).glob("models--*/")):
        name = folder.name.removeprefix("models--").replace("--", "/")
        try:
            own = find_folder(name)  # the snapshot that would be loaded
            (kind, *_) = json.loads((own / "config.json").read_text("utf-8")).get("architectures") or [""]
        except (AsradaptError, OSError, ValueError, AttributeError):
            continue
        if str(kind).endswith(RECOGNISERS) and weight_files(own):
            found[name] = str(kind)
    return found


def wanted_files(sizes: Mapping[str, int], *, allow_pickle: bool, language: str | None) -> list[str]:
    """The files of a repository that loading needs: texts, weights, the adapter of one language.

    Args:
        sizes: Bytes of every file by its path.
        allow_pickle: Whether a pickle may do where there are no safetensors.
        language: The language whose adapter is wanted, of models that have an adapter for each.

    Raises:
        InputError: If it holds no weights that may be read, or no adapter of the language.
    """
    here = [path for path in sizes if "/" not in path]
    texts = [path for path in here if path.endswith(TEXTS)]
    weights = [path for path in here if Path(path).match(WEIGHTS[0])]
    pickles = [path for path in here if Path(path).match(WEIGHTS[1])]
    if not weights and pickles and not allow_pickle:
        raise InputError(
            f"its weights are only there as {pickles[0]}, a pickle; --allow-pickle downloads it and reads the "
            "tensors in it and nothing else, if you trust where it comes from"
        )
    if not weights and not pickles:
        raise InputError("it holds no weights (model.safetensors)")
    return texts + (weights or pickles) + _adapter(here, language, allow_pickle)


def _adapter(here: Sequence[str], language: str | None, allow_pickle: bool) -> list[str]:
    """The file of the adapter of a language; a model of a thousand languages has a thousand of them."""
    if language is None:
        return []
    endings = (".safetensors", ".bin") if allow_pickle else (".safetensors",)
    for ending in endings:
        if f"adapter.{language}{ending}" in here:
            return [f"adapter.{language}{ending}"]
    known = sorted(path.split(".")[1] for path in here if path.startswith("adapter.") and path.endswith(endings))
    shown = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
    raise InputError(
        f"it has no adapter of the language {language!r}; it has {len(known)}: {shown}"
        if known
        else "it has no adapters of languages; --language is of no use"
    )


def fetch_hub(name: str, *, allow_pickle: bool = False, language: str | None = None, quiet: bool = False) -> Path:
    """Download a model into the hub's cache, as far as it is not there, and give its folder.

    Args:
        name: OWNER/MODEL.
        allow_pickle: Whether a pickle may do where there are no safetensors.
        language: The language whose adapter is wanted too.
        quiet: Whether the library shows no progress.

    Raises:
        InputError: In one sentence, whatever goes wrong: name, access, network, room.
        UsageError: If the extra is not installed.
    """
    try:
        from huggingface_hub import HfApi, constants, snapshot_download
        from huggingface_hub.utils.tqdm import disable_progress_bars
    except ImportError as error:
        raise UsageError(INSTALL) from error
    if constants.HF_HUB_OFFLINE:
        raise InputError("HF_HUB_OFFLINE is set, so nothing is downloaded from the hub; unset it to fetch models")
    if quiet:
        disable_progress_bars()
    try:
        info = HfApi().model_info(name, files_metadata=True, timeout=constants.HF_HUB_ETAG_TIMEOUT)
        sizes = {entry.rfilename: entry.size or 0 for entry in info.siblings or ()}
        try:
            _check_kind(info.config or {})
            wanted = wanted_files(sizes, allow_pickle=allow_pickle, language=language)
        except InputError as error:
            raise InputError(f"hf:{name}: {error}") from error
        _check_room(Path(constants.HF_HUB_CACHE), name, {path: sizes[path] for path in wanted})
        return Path(snapshot_download(name, allow_patterns=wanted))
    except InputError:
        raise
    except Exception as error:  # of the hub's library, of its HTTP client, of the disk
        raise InputError(f"hf:{name} cannot be downloaded: {_reason(name, error)}") from error


def _check_kind(config: Mapping[str, Any]) -> None:
    """Refuse what the hub knows to be no recogniser, before gigabytes of it come.

    Raises:
        InputError: With what it is.
    """
    kinds = [str(kind) for kind in config.get("architectures") or ()]
    if kinds and not any(kind.endswith(RECOGNISERS) for kind in kinds):
        raise InputError(f"it is a {kinds[0]}, no speech recogniser of a kind that can be used (CTC or Whisper)")


def _check_room(cache: Path, name: str, sizes: Mapping[str, int]) -> None:
    """Refuse a download that does not fit on the disk; what is there already counts as if it were not.

    Raises:
        InputError: With the bytes.
    """
    there = next(path for path in (cache, *cache.parents) if path.exists())
    blobs = cache / f"models--{name.replace('/', '--')}" / "blobs"
    held = sum(path.stat().st_size for path in blobs.glob("*")) if blobs.is_dir() else 0
    needed, free = sum(sizes.values()) - held + ROOM, shutil.disk_usage(there).free
    if needed > free and sum(sizes.values()) > held:
        raise InputError(
            f"hf:{name} takes {needed / 1e6:.0f} MB more and {there} has {free / 1e6:.0f} MB free; free some "
            "space, or set HF_HOME to a folder on another disk"
        )


def _reason(name: str, error: Exception) -> str:
    """One sentence for what the hub's library raises."""
    from huggingface_hub import errors

    chain = [error]
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and isinstance(inner, Exception):
        chain.append(inner)
    if isinstance(error, errors.HFValidationError):
        return _no_name(name)
    if isinstance(error, errors.GatedRepoError):
        return "its owner asks for consent first; accept the terms on its page, then log in with `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "the hub has no such model, or it is private; check the name, or log in with `hf auth login`"
    if any(isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT) for one in chain):
        return "the disk is full; free some space and fetch it again, it goes on where it stopped"
    kinds = " ".join(type(one).__name__ for one in chain)
    if "Timeout" in kinds:
        return "the hub does not answer in time; try again later, it goes on where it stopped"
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the hub answers with the error {status}; try again later"
    if "Connect" in kinds or "Protocol" in kinds or "ReadError" in kinds or "LocalEntryNotFound" in kinds:
        where = os.environ.get("HF_ENDPOINT", "the hub")
        return f"the connection to {where} fails or broke off; check the network and fetch it again"
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200] if str(error).strip() else ''}"
