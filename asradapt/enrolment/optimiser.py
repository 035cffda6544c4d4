"""Adam with a speaker axis: every row has its own step count, rate and moments, and the average of its path.

Letters: S speakers (rows).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor


class RowAdam:
    """Adam (Kingma and Ba 2015) on tensors (S, ...) whose rows are independent problems.

    `averages` holds the mean of each row's path, its later updates weighing more, in proportion to their number
    (Shamir and Zhang 2013): what a falling learning rate would arrive at, at every moment.

    Args:
        tensors: The tensors to train, all with the same leading axis.
        rates: Learning rate of every row (S,) by tensor name.
        decay: Share of a tensor removed per step and unit of rate: decoupled decay towards zero, the identity.
        epsilon: Added to the root of the second moment; above the noise of differently batched sums.
        average: Whether the path is averaged; without that `averages` is empty.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        rates: Mapping[str, Tensor],
        *,
        decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.98),
        epsilon: float = 1e-6,
        average: bool = True,
    ) -> None:
        self._tensors, self._rates = dict(tensors), dict(rates)
        self._decay, self._betas, self._epsilon = decay, betas, epsilon
        self._first = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
        self._second = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
        rows = next(iter(tensors.values()))
        self._steps = torch.zeros(rows.shape[0], device=rows.device)
        self.averages = {name: tensor.detach().clone() for name, tensor in tensors.items()} if average else {}

    @torch.no_grad()
    def step(self, active: Tensor) -> None:
        """Update the rows `active` (indices in ascending order) from their gradients and clear all gradients.

        A row whose gradient is not finite is left as it is, so that one bad batch ruins nobody.
        """
        healthy = torch.ones(len(active), dtype=torch.bool, device=active.device)
        everybody = slice(None) if len(active) == len(self._steps) else active
        for tensor in self._tensors.values():
            if tensor.grad is not None:  # unsqueezed, because a speaker's tensor may be a single number
                healthy &= tensor.grad[everybody].unsqueeze(-1).flatten(1).isfinite().all(dim=1)
        rows = everybody if bool(healthy.all()) else active[healthy]
        self._steps[rows] += 1
        for name, tensor in self._tensors.items():
            if tensor.grad is not None:
                self._update(name, tensor, rows)
                tensor.grad = None

    def _update(self, name: str, tensor: Tensor, rows: Tensor | slice) -> None:
        assert tensor.grad is not None
        gradient = tensor.grad[rows]
        shape = (-1, *[1] * (tensor.ndim - 1))
        steps, rate = self._steps[rows].view(shape), self._rates[name][rows].view(shape)
        keep_first, keep_second = self._betas
        first = self._first[name][rows].lerp_(gradient, 1 - keep_first)
        second = self._second[name][rows].lerp_(gradient.square(), 1 - keep_second)
        if not isinstance(rows, slice):  # of all rows these are the moments themselves, of some they are copies
            self._first[name][rows], self._second[name][rows] = first, second
        size = (second / (1 - keep_second**steps)).sqrt_() + self._epsilon
        change = first / (1 - keep_first**steps) / size
        tensor[rows] -= rate * (change + self._decay * tensor[rows])
        if self.averages:
            average = self.averages[name][rows]
            self.averages[name][rows] = average.lerp_(tensor[rows], 2 / (steps + 1))
