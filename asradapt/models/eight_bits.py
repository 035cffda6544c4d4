"""Linear layers in eight bits (Dettmers et al. 2022, arXiv 2208.07339), as transformers loads them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from asradapt.errors import UsageError
from asradapt.models.waveform import WaveformSource

NEEDED = ("bitsandbytes", "accelerate")


def require_eight_bits() -> None:
    """Refuse eight bits where they cannot be loaded.

    Raises:
        UsageError: If bitsandbytes, or what transformers loads it with, is not installed.
    """
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        raise UsageError(
            f"--precision int8 needs {' and '.join(lacking)}: pip install {' '.join(lacking)}; or use --precision "
            "bf16, which takes twice the memory of int8 and half that of fp32"
        )


def eight_bits(full: WaveformSource) -> dict[str, Any]:
    """What makes the library load linear layers in eight bits, where they will compute: the GPU if there is one.

    Layers that never fire are left as they are: their weights are read by somebody else (WavLM's attention), who
    knows nothing of eight bits. So is the output layer.

    Args:
        full: The same model in full precision.
    """
    from transformers import BitsAndBytesConfig

    fires = {site.name for site in full.sites}
    modules = full.module.named_modules()
    silent = [path for path, part in modules if isinstance(part, nn.Linear) and path not in fires]
    wanted = BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_8bit=True, llm_int8_skip_modules=[full.shape.last, *silent]
    )
    place = 0 if torch.cuda.is_available() else "cpu"
    return {"quantization_config": wanted, "device_map": {"": place}, "dtype": torch.float16}


def with_own_outputs(network: nn.Module) -> None:
    """Give every quantised layer an output that may be changed in place.

    What their autograd function returns is a view, and encoders that write zeros behind a recording into it would
    be refused by torch as soon as gradients are wanted.
    """
    for part in network.modules():
        if isinstance(part, nn.Linear) and not part.weight.is_floating_point():
            part.register_forward_hook(_copied)


def _copied(_: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
    return output.clone()
