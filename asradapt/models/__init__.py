"""Source models: the frozen recognisers that adaptation starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asradapt.errors import InputError, UsageError
from asradapt.models.names import DEFAULT_MODEL, EMBEDDED
from asradapt.models.options import ModelOptions

if TYPE_CHECKING:  # torch takes over a second to import; naming models must not
    from pathlib import Path

    import torch

    from asradapt.models.base import SourceModel

__all__ = ["DEFAULT_MODEL", "EMBEDDED", "ModelOptions", "load_model", "require_fp32", "resolve_device"]


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


def require_fp32() -> None:
    """Refuse a process whose tensors are of another type by default: half of what is computed would be so, too.

    Raises:
        UsageError: If they are.
    """
    import torch

    if torch.get_default_dtype() != torch.float32:
        kind = torch.get_default_dtype()
        raise UsageError(f"tensors are {kind} by default here; call torch.set_default_dtype(torch.float32)")


def load_model(
    name: str | Path = DEFAULT_MODEL,
    *,
    device: str | torch.device = "auto",
    options: ModelOptions | None = None,
) -> SourceModel:
    """Load a source model; nothing is ever downloaded.

    Threads may share it. Random numbers of the caller are not touched.

    Args:
        name: An embedded model's name; `torchaudio:BUNDLE`; `hf:OWNER/MODEL` or the folder of a transformers
            model; a `.safetensors` file of this project's own with its JSON beside it.
        device: `auto`, `cpu`, `cuda` or `mps`.
        options: What else is said of it.

    Raises:
        UnknownName: For a name that is none of these.
        InputError: If the files are damaged, incomplete or not on this machine.
        UsageError: If the device is not available, an option does not go with the model, or tensors are made in
            another type than fp32 by default.
    """
    import torch

    from asradapt.models.base import GIVEN
    from asradapt.models.names import given, load_named

    require_fp32()
    name, options = str(name), options or ModelOptions()
    place = resolve_device(str(device))
    with torch.inference_mode(mode=False), torch.random.fork_rng(devices=[]):
        model = load_named(name, options).to(place)
    try:
        model.card = {**model.card, GIVEN: given(name, options)}
    except (AttributeError, TypeError) as error:
        raise InputError(f"{name}: the model's card must be a dictionary that can be set ({error})") from error
    return model
