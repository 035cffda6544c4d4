"""Low-rank change of linear layers, per speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

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
    rate = 4.5e-3
    products_only = True

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
        down, up = tensors["down"], tensors["up"]
        if down.shape[0] == 1:  # one speaker: plain products of all frames are faster than a batch of small ones
            narrow = x.flatten(0, 1) @ down[0]
            return _add(y.flatten(0, 1), narrow, up[0]).view_as(y)
        return _add(y, torch.bmm(x, down), up)

    def averaged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The closest change of this rank to the mean of the changes (Eckart and Young 1936).

        The means of `down` and `up` would do less than that: they turn against each other from one to the other.
        """
        if len(tensors["down"]) == 1:
            return dict(tensors)
        # on the CPU: not every device computes in fp64
        down, up = (tensors[name].cpu().double() for name in ("down", "up"))  # (S, D_in, rank), (S, rank, D)
        left, inner = torch.linalg.qr(down.permute(1, 0, 2).flatten(1))  # all ranks, side by side
        right, outer = torch.linalg.qr(up.flatten(0, 1).T / len(up))
        turned, sizes, other = torch.linalg.svd(inner @ outer.T, full_matrices=False)
        narrow = left @ turned[:, : self.rank]
        wide = sizes[: self.rank, None] * (other[: self.rank] @ right.T)
        missing = self.rank - narrow.shape[1]  # where a site is narrower than the rank
        narrow, wide = functional.pad(narrow, (0, missing)), functional.pad(wide, (0, 0, 0, missing))
        return {"down": narrow[None].to(tensors["down"]), "up": wide[None].to(tensors["up"])}


def _add(y: Tensor, narrow: Tensor, up: Tensor) -> Tensor:
    """`y + narrow @ up` in one pass; without gradients in place: the output of a linear layer is nobody else's."""
    add = torch.addmm if y.dim() == 2 else torch.baddbmm
    if torch.is_grad_enabled() or not y.dtype == narrow.dtype == up.dtype:
        return add(y, narrow, up)
    return add(y, narrow, up, out=y)
