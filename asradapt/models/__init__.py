"""Source models: the frozen recognisers that adaptation starts from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asradapt.errors import InputError, UsageError
from asradapt.models.names import DEFAULT_MODEL, EMBEDDED
from asradapt.models.options import ModelOptions

if TYPE_CHECKING:  # torch takes over a second to import; naming models must not
    from asradapt.models.base import SourceModel

__all__ = ["DEFAULT_MODEL", "EMBEDDED", "ModelOptions", "load_model", "resolve_device"]


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


def load_model(
    name: str = DEFAULT_MODEL, *, device: str = "auto", options: ModelOptions | None = None
) -> SourceModel:
    """Load a source model; nothing is ever downloaded.

    Args:
        name: An embedded model's name; `torchaudio:BUNDLE`; `hf:OWNER/MODEL` or the folder of a transformers
            model; a `.safetensors` file of this project's own with its JSON beside it.
        device: `auto`, `cpu`, `cuda` or `mps`.
        options: What else is said of it.

    Raises:
        UnknownName: For a name that is none of these.
        InputError: If the files are damaged, incomplete or not on this machine.
        UsageError: If the device is not available, or an option does not go with the model.
    """
    from asradapt.models.base import GIVEN
    from asradapt.models.names import given, load_named

    options = options or ModelOptions()
    place = resolve_device(device)
    model = load_named(name, options).to(place)
    try:
        model.card = {**model.card, GIVEN: given(name, options)}
    except (AttributeError, TypeError) as error:
        raise InputError(f"{name}: the model's card must be a dictionary that can be set ({error})") from error
    return model
