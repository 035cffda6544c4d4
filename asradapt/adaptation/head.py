"""Change of the output layer, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site


@register
@dataclass(frozen=True)
class Head(Method):
    """`y + x W + b` on the logits: a full change of the output layer."""

    name = "head"
    summary = "full change of the output layer; which sounds become which letters"
    kinds = frozenset({"output"})
    rate = 3e-3

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`weight` (D_in, V) and `bias` (V,), both differences from the source."""
        return {"weight": TensorSpec((site.width_in, site.width)), "bias": TensorSpec((site.width,))}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Add the change to the logits `y` (B, F, V)."""
        return y + x @ tensors["weight"] + tensors["bias"][:, None, :]
