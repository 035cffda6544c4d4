"""Affine transform of the features, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site


@register
@dataclass(frozen=True)
class Input(Method):
    """`y + y A + b` on the features: feature-space MLLR (Gales 1998), found by gradient from the identity."""

    name = "input"
    summary = "affine transform of the features (fMLLR-like); vocal tract and channel"
    kinds = frozenset({"input"})
    rate = 3e-3

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`matrix` (D, D), the difference from the identity matrix, and `shift` (D,)."""
        return {"matrix": TensorSpec((site.width, site.width)), "shift": TensorSpec((site.width,))}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Transform the features `y` (B, F, D)."""
        return y + y @ tensors["matrix"] + tensors["shift"][:, None, :]
