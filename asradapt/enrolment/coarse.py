"""Training in bf16 where the processor is faster in it: half the time, and gradients as good.

Only gradients are made of it. Losses and texts that decide anything are computed in full precision.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from asradapt.models.base import SourceModel
from asradapt.models.conformer import Conformer
from asradapt.models.processor import faster_in_bf16


def coarse(model: SourceModel, wanted: bool | None) -> AbstractContextManager[object]:
    """A context in which the network multiplies in bf16.

    Args:
        model: The source model. Only this project's own network is computed so: attention of other libraries has
            slow gradients in bf16 on a CPU, and on a GPU nothing was measured.
        wanted: None for where it pays; otherwise whether it is done.
    """
    able = isinstance(model.module, Conformer) and model.device.type == "cpu"
    if not able or not (faster_in_bf16() if wanted is None else wanted):
        return nullcontext()
    return torch.autocast("cpu", dtype=torch.bfloat16)
