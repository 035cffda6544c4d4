"""Residual adapter after every block, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site


@register
@dataclass(frozen=True)
class Bottleneck(Method):
    """`y + relu(y A + a) B + b` after every block: residual adapters (Houlsby et al. 2019, arXiv 1902.00751).

    Attributes:
        width: Inner width.
    """

    name = "bottleneck"
    summary = "small residual network after every block (Houlsby adapter); minutes of speech"
    kinds = frozenset({"block"})
    rate = 2e-3

    width: int = 16

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 4096:  # a stored speaker may come from anywhere: no gigabytes by a number
            raise ValueError(f"width must lie from 1 to 4096, got {self.width}")

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`down` (D, width), random, with `down_shift` (width,); `up` (width, D) and `up_shift` (D,), zero."""
        return {
            "down": TensorSpec((site.width, self.width), spread=site.width**-0.5, scaled=False),
            "down_shift": TensorSpec((self.width,), scaled=False),
            "up": TensorSpec((self.width, site.width)),
            "up_shift": TensorSpec((site.width,)),
        }

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Add the adapter's output to `y` (B, F, D)."""
        inner = functional.relu(y @ tensors["down"] + tensors["down_shift"][:, None, :])
        return y + (inner @ tensors["up"] + tensors["up_shift"][:, None, :])
