"""Low-rank change of linear layers, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site


@register
@dataclass(frozen=True)
class LowRank(Method):
    """`y + (x A) B`: low-rank adaptation of linear layers (LoRA, Hu et al. 2021, arXiv 2106.09685).

    Attributes:
        rank: Inner width.
    """

    name = "lowrank"
    summary = "low-rank change of feed-forward and attention layers (LoRA); minutes of speech"
    kinds = frozenset({"feed_forward", "attention"})
    rate = 3e-3

    rank: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.rank <= 512:  # a stored speaker may come from anywhere: no gigabytes by a number
            raise ValueError(f"rank must lie from 1 to 512, got {self.rank}")

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`down` (D_in, rank), random, and `up` (rank, D), zero."""
        return {
            "down": TensorSpec((site.width_in, self.rank), spread=site.width_in**-0.5, scaled=False),
            "up": TensorSpec((self.rank, site.width)),
        }

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Add the low-rank path of `x` (B, F, D_in) to `y` (B, F, D)."""
        return y + (x @ tensors["down"]) @ tensors["up"]
