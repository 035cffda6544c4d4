"""Finding the sites of a network that somebody else wrote: what really fires, on a frame axis, with a gradient.

Nothing here knows an architecture. A pass over a little noise shows which linear layers, norms and blocks see one
vector for each frame; a second one shows whether padding changes a row.

Letters: B batch, F frames, D width, V tokens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from asradapt.models.base import Site

LEAK = 1e-3
"""A change of the logits by padding, as a share of the greatest logit, from which rows need equal lengths."""

Run = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # features (B, F', C), frames (B,) to logits, frames


@dataclass(frozen=True)
class Places:
    """What was found in a network.

    Attributes:
        sites: The places where it can be adapted, from input to output.
        leak: The greatest change of the logits of a row by its padding, as a share of the greatest logit.
    """

    sites: tuple[Site, ...]
    leak: float


@dataclass(eq=False)
class _Seen:
    """One module that fired with a vector for each frame."""

    path: str
    module: nn.Module
    width_in: int
    output: Tensor
    times: int = 1


@dataclass(eq=False)
class _Watch:
    """The modules that fire while a network runs on `rows` rows, with as many vectors as they were given."""

    rows: int
    seen: dict[str, _Seen] = field(default_factory=dict)

    def hook(self, path: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        """A hook that notes a module's activations."""

        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            first = output[0] if isinstance(output, tuple) else output
            if path in self.seen:
                self.seen[path].times += 1
            elif (
                inputs and self._framed(inputs[0]) and self._framed(first) and inputs[0].shape[1] == first.shape[1]
            ):
                self.seen[path] = _Seen(path, module, inputs[0].shape[-1], first)

        return note

    def _framed(self, value: object) -> bool:
        return isinstance(value, Tensor) and value.dim() == 3 and len(value) == self.rows


def stacks(network: nn.Module) -> list[str]:
    """The paths of all lists of blocks with linear layers that lie in no other list: of encoder and decoder."""
    found: list[str] = []
    for path, part in network.named_modules():
        if not isinstance(part, nn.ModuleList) or any(path.startswith(f"{outer}.") for outer in found):
            continue
        if part and all(sum(isinstance(one, nn.Linear) for one in block.modules()) > 1 for block in part):
            found.append(path)
    return found


def longest_stack(network: nn.Module) -> str:
    """The path of the list of blocks with most of a network's linear layers; empty if it has none."""
    stacks = {
        path: part for path, part in network.named_modules() if isinstance(part, nn.ModuleList) and len(part)
    }
    linear = {path: sum(isinstance(one, nn.Linear) for one in part.modules()) for path, part in stacks.items()}
    return max(linear, key=lambda path: linear[path], default="")


def find_places(network: nn.Module, run: Run, features: Tensor, *, first: str, last: str) -> Places:
    """The sites of a network, by trying.

    Args:
        network: The network; it is not changed.
        run: What computes with it.
        features: (2, F', C) noise to run it on; F' should be unlike every width.
        first: Path of the module whose output is the model's input site.
        last: Path of the output layer.
    """
    stack = longest_stack(network)
    blocks = {f"{stack}.{name}" for name, _ in network.get_submodule(stack).named_children()} if stack else set()
    full = torch.full((2,), features.shape[1], device=features.device)
    watch = _Watch(len(features))
    handles = [
        part.register_forward_hook(watch.hook(path))
        for path, part in network.named_modules()
        if isinstance(part, nn.Linear | nn.LayerNorm) or path in blocks or path == first
    ]
    try:
        with torch.enable_grad():
            logits, _ = run(features.clone().requires_grad_(), full)
            loss = logits.float().square().sum()
    finally:
        for handle in handles:
            handle.remove()
    once = [one for one in watch.seen.values() if one.times == 1 and one.output.requires_grad]
    reached = torch.autograd.grad(loss, [one.output for one in once], allow_unused=True)
    live = [one for one, gradient in zip(once, reached, strict=True) if gradient is not None]
    return Places(_sites(live, blocks, first, last), _leak(run, features, full))


def _sites(live: list[_Seen], blocks: set[str], first: str, last: str) -> tuple[Site, ...]:
    """A site for each module; a block whose output a norm gives is represented by that norm."""
    ends = {id(one.output): one.path for one in live if one.path in blocks}
    given = {ends[id(one.output)] for one in live if one.path not in blocks and id(one.output) in ends}
    sites = []
    for one in live:
        if one.path in given:
            continue
        kind = _kind(one, blocks, first, last, is_end=id(one.output) in ends)
        sites.append(Site(one.path, kind, one.width_in, one.output.shape[-1]))
    return tuple(sites)


def _kind(one: _Seen, blocks: set[str], first: str, last: str, *, is_end: bool) -> str:
    if one.path in (first, last):
        return "input" if one.path == first else "output"
    if one.path in blocks or is_end:
        return "block"
    if isinstance(one.module, nn.LayerNorm):
        return "norm"
    return "attention" if "att" in one.path.lower() else "feed_forward"


@torch.no_grad()
def _leak(run: Run, features: Tensor, full: Tensor) -> float:
    """How much the padding behind a shorter row changes it; for all remainders of a pooling by up to four."""
    worst = 0.0
    for short in range(features.shape[1] // 2, features.shape[1] // 2 + 4):
        padded, frames = features.clone(), full.clone()
        padded[1, short:], frames[1] = 0.0, short
        together, counts = run(padded, frames)
        alone, _ = run(padded[1:, :short].contiguous(), frames[1:])
        count = int(counts[1])
        difference = (together[1, :count] - alone[0, :count]).abs().max()
        worst = max(worst, float(difference / alone.abs().max().clamp(min=1e-6)))
    return worst


def without_gradient(network: nn.Module, run: Run, features: Tensor) -> list[str]:
    """Names of the parameters that take no part in what a network says of features (B, F', C)."""
    named = list(network.named_parameters())
    trained = [parameter.requires_grad for _, parameter in named]
    try:
        network.requires_grad_(True)
        with torch.enable_grad():
            logits, _ = run(features, torch.full((len(features),), features.shape[1], device=features.device))
            loss = logits.float().square().sum()
        reached = torch.autograd.grad(loss, [parameter for _, parameter in named], allow_unused=True)
    finally:
        for (_, parameter), before in zip(named, trained, strict=True):
            parameter.requires_grad_(before)
    return [name for (name, _), gradient in zip(named, reached, strict=True) if gradient is None]
