"""What `--model` may be: an embedded model, a file, a folder, or a kind of model and a name behind a colon.

Another package adds a kind of its own by an entry point of the group `asradapt.models`, named as the kind and
leading to a function of the name and the options; docs/adding-a-source-model.md.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.errors import UsageError

if TYPE_CHECKING:  # torch takes over a second to import; naming models must not
    from asradapt.models.base import SourceModel
    from asradapt.models.options import ModelOptions

EMBEDDED = {"source_en": "embedded English conformer-CTC, characters, 16 kHz; works offline"}
DEFAULT_MODEL = "source_en"
GROUP = "asradapt.models"
KINDS = {
    "torchaudio": "asradapt.models.torchaudio_bundle:load_bundle",
    "hf": "asradapt.models.huggingface:load_huggingface",
}
"""The kinds of models that come with the program, with the functions that load them."""

Loader = Callable[[str, "ModelOptions"], "SourceModel"]


def is_embedded(model: SourceModel) -> bool:
    """Whether it is the embedded model, or was merged of it and an adaptation: it writes what that one writes."""
    return model.name == DEFAULT_MODEL or ("merged" in model.card and model.name == f"{DEFAULT_MODEL}-merged")


def other_kinds() -> dict[str, str]:
    """The kinds of models that other packages add, with what loads them."""
    return {point.name: point.value for point in entry_points(group=GROUP)}


def _loader(kind: str, value: str) -> Loader:
    """The function that loads models of a kind.

    Raises:
        UsageError: If the package that names it does not have it.
    """
    module, _, function = value.partition(":")
    try:
        loader: Loader = getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"the kind {kind!r} of models ({value}) does not load: {error}") from error
    return loader


def load_named(name: str, options: ModelOptions) -> SourceModel:
    """The source model of a name, on the CPU.

    Raises:
        UnknownName: For a name that is nothing of what `--model` may be.
        InputError: If it is damaged, incomplete or not on this machine.
        UsageError: If an option does not go with it.
    """
    from asradapt.models.source import load_source

    kind, colon, rest = name.partition(":")
    kinds = {**other_kinds(), **KINDS} if colon else {}
    if kind in kinds and rest:
        return _loader(kind, kinds[kind])(rest, options)
    if name not in EMBEDDED and (Path(name).expanduser() / "config.json").is_file():
        return _loader("hf", KINDS["hf"])(name, options)
    path = weights_file(name)
    options.refuse_unused(f"the model {name}", "precision")
    return load_source(path, options.precision)


def given(name: str, options: ModelOptions) -> dict[str, str]:
    """What has to be said to get a model again from any folder: a path is made absolute.

    Returns:
        `model`, and `language` and `task` where they are given.
    """
    kind, colon, rest = name.partition(":")
    local = rest if colon and kind == "hf" else name
    if name not in EMBEDDED and Path(local).expanduser().exists():
        name = str(Path(local).expanduser().absolute())
    said = {"model": name, "language": options.language, "task": options.task}
    return {key: value for key, value in said.items() if value}


def weights_file(name: str) -> Path:
    """The `.safetensors` file of a model of this project: an embedded one, a file or a folder.

    Raises:
        InputError: If there is none of that name, with what may be meant.
        UsageError: If the name is empty.
    """
    if name in EMBEDDED:
        return Path(str(files("asradapt") / "assets" / f"{name}.safetensors"))
    path = Path(name).expanduser()
    if name and path.is_dir():
        path = next(iter(sorted(path.glob("*.safetensors"))), path)
    own = path.suffix == ".safetensors" and path.is_file()
    if own and (path.with_suffix(".json").exists() or not (path.parent / "config.json").exists()):
        return path
    from asradapt.models.odd_names import no_model

    raise no_model(name, EMBEDDED, {*KINDS, *other_kinds()})
