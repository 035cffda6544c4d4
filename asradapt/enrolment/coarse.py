"""Training in bf16 where the processor multiplies in it: half the time, and gradients as good.

Only gradients are made of it. Losses and texts that decide anything are computed in full precision.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch

from asradapt.models.base import SourceModel
from asradapt.models.conformer import Conformer


@cache
def native_bf16() -> bool:
    """Whether this processor has instructions for bf16 (AVX-512 or AMX); without them it is slower than fp32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def coarse(model: SourceModel, wanted: bool | None) -> AbstractContextManager[object]:
    """A context in which the network multiplies in bf16.

    Args:
        model: The source model. Only this project's own network is computed so: attention of other libraries has
            slow gradients in bf16 on a CPU, and on a GPU nothing was measured.
        wanted: None for where it pays; otherwise whether it is done.
    """
    able = isinstance(model.module, Conformer) and model.device.type == "cpu"
    if not able or not (native_bf16() if wanted is None else wanted):
        return nullcontext()
    return torch.autocast("cpu", dtype=torch.bfloat16)
