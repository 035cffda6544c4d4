"""Adam with a speaker axis: every row has its own step count, rate and moments, and the average of its path.

An adaptation is a hundred small tensors: they are updated side by side, many by each operation.

Letters: S speakers (rows), N numbers of a row.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

TOGETHER = 2**22
"""Numbers of all rows that are updated at once, at most, where they are of several tensors: it takes memory."""


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
        self._decay, self._betas, self._epsilon = decay, betas, epsilon
        rows = next(iter(tensors.values()))
        self._steps = torch.zeros(rows.shape[0], device=rows.device)
        self._parts = [
            _Part({name: tensors[name] for name in names}, rates[names[0]], average)
            for names in _together(tensors, rates)
        ]
        self.averages = {name: tensor for part in self._parts for name, tensor in part.averages().items()}

    @torch.no_grad()
    def step(self, active: Tensor) -> None:
        """Update the rows `active` (indices in ascending order) from their gradients and clear all gradients.

        A row whose gradient is not finite is left as it is, so that one bad batch ruins nobody. A tensor without a
        gradient has one of zero, where others that it is updated with have any.
        """
        everybody = slice(None) if len(active) == len(self._steps) else active
        healthy = torch.ones(len(active), dtype=torch.bool, device=active.device)
        parts = [part for part in self._parts if part.has_gradients()]
        for part in parts:
            healthy &= part.gradients(everybody).isfinite().all(dim=1)
        rows = everybody if bool(healthy.all()) else active[healthy]
        self._steps[rows] += 1
        for part in parts:
            self._update(part, rows)
            part.clear()

    def _update(self, part: _Part, rows: Tensor | slice) -> None:
        gradients, numbers = part.gradients(rows), part.numbers(rows)
        steps, rate = self._steps[rows, None], part.rates[rows, None]
        keep_first, keep_second = self._betas
        first = part.first[rows].lerp_(gradients, 1 - keep_first)
        second = part.second[rows].lerp_(gradients.square_(), 1 - keep_second)
        if not isinstance(rows, slice):  # of all rows these are the moments themselves, of some they are copies
            part.first[rows], part.second[rows] = first, second
        size = (second / (1 - keep_second**steps)).sqrt_() + self._epsilon
        change = first / (1 - keep_first**steps) / size
        numbers -= rate * (change + self._decay * numbers)
        part.write(rows, numbers)
        if part.average is not None:
            part.average[rows] = part.average[rows].lerp_(numbers, 2 / (steps + 1))


def _together(tensors: Mapping[str, Tensor], rates: Mapping[str, Tensor]) -> list[list[str]]:
    """Names of tensors that are updated at once: neighbours of one rate, within the bound."""
    groups: list[list[str]] = []
    size = 0
    for name, tensor in tensors.items():
        size += tensor.numel()
        if groups and size <= TOGETHER and torch.equal(rates[name], rates[groups[-1][0]]):
            groups[-1].append(name)
        else:
            groups.append([name])
            size = tensor.numel()
    return groups


class _Part:
    """Some tensors as one (S, N), with moments and average.

    Args:
        tensors: The tensors (S, ...).
        rates: Learning rates (S,) of all of them.
        average: Whether there is an average.
    """

    def __init__(self, tensors: Mapping[str, Tensor], rates: Tensor, average: bool) -> None:
        self._tensors, self.rates = dict(tensors), rates
        start = self.numbers(slice(None))
        self.first, self.second = torch.zeros_like(start), torch.zeros_like(start)
        self.average = start if average else None

    def averages(self) -> dict[str, Tensor]:
        """The average of every tensor, in its shape: views."""
        if self.average is None:
            return {}
        pieces = torch.split(self.average, self._sizes(), dim=1)
        return {
            name: piece.view(tensor.shape)
            for (name, tensor), piece in zip(self._tensors.items(), pieces, strict=True)
        }

    def has_gradients(self) -> bool:
        """Whether any tensor has one."""
        return any(tensor.grad is not None for tensor in self._tensors.values())

    def gradients(self, rows: Tensor | slice) -> Tensor:
        """A copy (rows, N) of the gradients."""
        held = [torch.zeros_like(one) if one.grad is None else one.grad for one in self._tensors.values()]
        return torch.cat([one.reshape(len(one), -1)[rows] for one in held], dim=1)

    def numbers(self, rows: Tensor | slice) -> Tensor:
        """A copy (rows, N) of the tensors."""
        return torch.cat([_flat(tensor.detach())[rows] for tensor in self._tensors.values()], dim=1)

    def write(self, rows: Tensor | slice, numbers: Tensor) -> None:
        """Put numbers (rows, N) into the tensors."""
        for tensor, piece in zip(self._tensors.values(), torch.split(numbers, self._sizes(), dim=1), strict=True):
            _flat(tensor)[rows] = piece

    def clear(self) -> None:
        """Forget the gradients."""
        for tensor in self._tensors.values():
            tensor.grad = None

    def _sizes(self) -> list[int]:
        return [_flat(tensor).shape[1] for tensor in self._tensors.values()]


def _flat(tensor: Tensor) -> Tensor:
    """A tensor (S, ...) as (S, N), a view; a speaker's tensor may be a single number."""
    return tensor.view(len(tensor), -1)
