"""Scale and shift of normalised activations, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site


@register
@dataclass(frozen=True)
class Affine(Method):
    """`y * (1 + scale) + shift`: hidden unit contributions (LHUC, Swietojanski et al. 2016) plus a shift."""

    name = "affine"
    summary = "scale and shift of every normalised activation (LHUC-like); the least data, some tens of kB"
    kinds = frozenset({"norm", "block"})
    rate = 1e-2

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`scale` and `shift`, both (D,)."""
        return {"scale": TensorSpec((site.width,)), "shift": TensorSpec((site.width,))}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Scale and shift `y` (B, F, D)."""
        return torch.addcmul(tensors["shift"][:, None, :], y, 1 + tensors["scale"][:, None, :])  # one pass
