"""Source models: the frozen recognisers that adaptation starts from."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.errors import UnknownName, UsageError

if TYPE_CHECKING:  # torch takes over a second to import; naming models must not
    from asradapt.models.source import ConformerSource

__all__ = ["DEFAULT_MODEL", "EMBEDDED", "load_model", "resolve_device"]

EMBEDDED = {"source_en": "embedded English conformer-CTC, characters, 16 kHz; works offline"}
DEFAULT_MODEL = "source_en"


def resolve_device(name: str) -> str:
    """The device of `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        UsageError: If that device is not there.
    """
    import torch

    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return next(device for device in ("cuda", "mps", "cpu") if available[device])
    if not available.get(name.split(":")[0], False):
        usable = ", ".join(device for device, there in available.items() if there)
        raise UsageError(f"device {name!r} is not available here; available: {usable}")
    return name


def load_model(name: str = DEFAULT_MODEL, *, device: str = "auto") -> ConformerSource:
    """Load a source model by name or from a `.safetensors` file with its JSON beside it.

    Args:
        name: An embedded model's name or a path.
        device: `auto`, `cpu`, `cuda` or `mps`.

    Raises:
        UnknownName: For a name that is neither embedded nor a file.
        InputError: If the files are damaged.
        UsageError: If the device is not available.
    """
    from asradapt.models.source import load_source

    if name in EMBEDDED:
        path = Path(str(files("asradapt") / "assets" / f"{name}.safetensors"))
    else:
        path = Path(name)
        if path.is_dir():
            path = next(iter(sorted(path.glob("*.safetensors"))), path / "model.safetensors")
        if not path.is_file():
            hint = "A path to a .safetensors file (with its .json beside it) works too"
            raise UnknownName("source model", name, EMBEDDED, hint)
    return load_source(path).to(resolve_device(device))
