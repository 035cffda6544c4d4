"""An adaptation merged into the weights of its model: which methods can be, and how.

What a method does to an activation is a change of weights only where the activation is the output of a linear
layer or of a LayerNorm and the change is linear. Everything goes by the path of a module; no model is known here.

Letters: D_in and D the widths of a site.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from asradapt.adaptation import Method
from asradapt.adaptation.tokens import MARGIN
from asradapt.errors import StoreError
from asradapt.interchange.consumers import only_consumer, only_giver, outputs_of_noise
from asradapt.models.base import Site, SourceModel

MOST_ROUNDING = 1e4
"""How many times its own size the terms may have that a bias is the sum of: 1e-7 of fp32 becomes 1e-3 at most."""


class _Unmergeable(Exception):
    """Why a method at a site is no change of weights."""


class _Weights:
    """The parameters of a model's network, and those of them that were changed; computed in double precision."""

    def __init__(self, model: SourceModel) -> None:
        self.model = model
        self._held: dict[str, nn.Parameter] = dict(model.module.named_parameters(remove_duplicate=False))
        self._changed: dict[str, Tensor] = {}

    def module(self, path: str) -> nn.Module:
        """The module of a path."""
        return self.model.module.get_submodule(path)

    def has(self, name: str) -> bool:
        """Whether the network has a parameter of that name."""
        return name in self._held

    def shared(self, name: str) -> list[str]:
        """The other names of a parameter that several places use."""
        return [key for key, value in self._held.items() if value is self._held[name] and key != name]

    def update(self, name: str, change: Callable[[Tensor], Tensor], *, untie: bool = False) -> None:
        """Change a parameter.

        Args:
            name: The parameter.
            change: Gives its new value.
            untie: Whether one that another place uses too becomes this place's own.

        Raises:
            _Unmergeable: If the network has no such parameter, computes it, or uses it in another place too.
        """
        if not self.has(name):
            raise _Unmergeable(f"it has no {name.rpartition('.')[2]} of its own that could be changed")
        if not untie and (shared := self.shared(name)):
            raise _Unmergeable(f"{name} is the same tensor as {shared[0]}, which must stay as it is")
        if not self._held[name].is_floating_point():
            raise _Unmergeable(f"{name} is stored as {self._held[name].dtype}; load the model without 8 bits")
        self._changed[name] = change(self.value(name)).float()  # doubles of a whole encoder would be gigabytes

    def exact(self, name: str) -> bool:
        """Whether a parameter is stored in full precision."""
        return self._held[name].dtype == torch.float32

    def value(self, name: str) -> Tensor:
        """A parameter as it is by now, on the CPU."""
        return (self._changed[name] if name in self._changed else self._held[name].detach().cpu()).double()

    def result(self) -> dict[str, Tensor]:
        """The changed parameters in the types that they had."""
        return {name: value.to(self._held[name].dtype).contiguous() for name, value in self._changed.items()}


Merge = Callable[[Site, Mapping[str, Tensor], _Weights], None]


def _linear(site: Site, weights: _Weights, matrix: Tensor, shift: Tensor | None = None) -> None:
    """`y + x matrix + shift` behind a linear layer; `matrix` (D_in, D), `shift` (D,)."""
    if not isinstance(weights.module(site.name), nn.Linear):
        raise _Unmergeable("it is no linear layer")
    weights.update(f"{site.name}.weight", lambda weight: weight + matrix.T)
    if shift is not None and bool(shift.any()):
        weights.update(f"{site.name}.bias", lambda bias: bias + shift)


def _lowrank(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    _linear(site, weights, tensors["down"] @ tensors["up"])


def _head(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    """`y + x matrix + shift` in the output layer, which becomes a layer of its own if it is the embeddings too."""
    matrix, shift = tensors["weight"], tensors["bias"]
    if not isinstance(weights.module(site.name), nn.Linear):
        raise _Unmergeable("it is no linear layer")
    if weights.has(f"{site.name}.bias"):
        weights.update(f"{site.name}.bias", lambda bias: bias + shift)
    elif bool(shift.any()):
        matrix = matrix + always_one(weights, site.name)[:, None] * shift
    weights.update(f"{site.name}.weight", lambda weight: weight + matrix.T, untie=True)


def always_one(weights: _Weights, path: str) -> Tensor:
    """A vector u (D_in,) with `x u = 1` for all that a layer without a bias is given: what a bias can stand on.

    A LayerNorm gives `x = n w + c`, where n has mean 0; so the sum of `x / w` is that of `c / w`, whatever x is.

    Raises:
        _Unmergeable: If a LayerNorm does not give the input, or so little is always the same that it drowns in
            the rounding.
    """
    giver = only_giver(weights.model, path)
    if giver is None or not weights.has(f"{giver}.bias") or not weights.has(f"{giver}.weight"):
        raise _Unmergeable("it has no bias, and no LayerNorm before it that one could be made of")
    if not weights.exact(f"{path}.weight"):
        raise _Unmergeable("it has no bias, and one can be made of the norm before it with --precision fp32 only")
    scale, offset = weights.value(f"{giver}.weight"), weights.value(f"{giver}.bias")
    total = (offset / scale).sum()
    if not bool(total.isfinite()) or float(total.abs()) * MOST_ROUNDING < len(scale):
        raise _Unmergeable("it has no bias, and the norm before it gives too little that is always the same")
    return 1 / (scale * total)


def _encoder(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    weights.update(site.name, lambda weight: weight + tensors["change"])


def _affine(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    """`y (1 + scale) + shift` where y is `normed weight + bias`."""
    if not isinstance(weights.module(site.name), nn.LayerNorm):
        raise _Unmergeable("it is no LayerNorm but a whole block, behind which the input is added again")
    factor = 1 + tensors["scale"]
    weights.update(f"{site.name}.weight", lambda weight: weight * factor)
    weights.update(f"{site.name}.bias", lambda bias: bias * factor + tensors["shift"])


def _bottleneck(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    raise _Unmergeable("it is a small network of its own, which no change of weights can stand for")


def _input(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    """`(y + y matrix + shift) W^T + c` in the one linear layer that takes y, where there is one."""
    taker = only_consumer(weights.model, site.name)
    if taker is None:
        raise _Unmergeable("no single linear layer takes what it gives, so no weights can take the change in")
    matrix, shift = tensors["matrix"], tensors["shift"]
    if bool(shift.any()):
        before = weights.value(f"{taker}.weight")
        weights.update(f"{taker}.bias", lambda bias: bias + before @ shift)
    weights.update(f"{taker}.weight", lambda weight: weight + weight @ matrix.T)


def _tokens(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    """`y[like] - margin + x W / sqrt(D) + b` behind y, where each new character is likened to one letter."""
    if not isinstance(weights.module(site.name), nn.Linear):
        raise _Unmergeable("it is no linear layer")
    like = tensors["like"].long()  # (N, K)
    if bool((like != like[:, :1]).any()):
        raise _Unmergeable(
            "a new character without a letter that it is made of follows the greatest of all letters"
        )
    letters = like[:, 0]
    own = tensors["weight"].T * site.width_in**-0.5
    weights.update(f"{site.name}.weight", lambda weight: torch.cat((weight, weight[letters] + own)))
    shift = tensors["bias"] - MARGIN
    weights.update(f"{site.name}.bias", lambda bias: torch.cat((bias, bias[letters] + shift)))


MERGES: dict[str, Merge] = {
    "lowrank": _lowrank,
    "head": _head,
    "encoder": _encoder,
    "affine": _affine,
    "bottleneck": _bottleneck,
    "input": _input,
    "tokens": _tokens,
}


LATE = {"head": 1, "input": 2, "tokens": 3}
"""Methods whose merging looks at weights that others change: `head` may be made of a norm that `affine` changes,
`input` goes into a layer behind it with whatever else changes that, `tokens` are made of what others leave."""


def merged_weights(
    model: SourceModel, methods: Sequence[Method], state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The parameters of `model.module` that change when an adaptation is merged into them, on the CPU.

    Args:
        model: The source model; it is not changed.
        methods: The methods, in the order in which they act.
        state: The speaker's tensors, (1, ...) each.

    Raises:
        StoreError: If a method is no change of weights at a site where it does anything; names both.
    """
    weights = _Weights(model)
    problems: dict[tuple[str, str], list[str]] = {}
    for method in sorted(methods, key=lambda method: LATE.get(method.name, 0)):
        for site in method.sites(model):
            specs = method.tensors(site)
            tensors = {part: state[f"{method.name}/{site.name}/{part}"][0].cpu().double() for part in specs}
            if not method.added and not any(
                bool(tensors[part].any()) for part, spec in specs.items() if spec.scaled
            ):
                continue  # the identity
            tensors |= {part: value.cpu() for part, value in method.constants(model, site).items()}
            try:
                MERGES.get(method.name, _unknown)(site, tensors, weights)
            except _Unmergeable as error:
                problems.setdefault((method.name, str(error)), []).append(site.name)
    if problems:
        raise StoreError("; ".join(_sentence(name, why, sites) for (name, why), sites in problems.items()))
    return weights.result()


def _unknown(site: Site, tensors: Mapping[str, Tensor], weights: _Weights) -> None:
    raise _Unmergeable("nothing is known of how that method would be merged")


def _sentence(method: str, why: str, sites: Sequence[str]) -> str:
    more = f" (and {len(sites) - 1} more)" if len(sites) > 1 else ""
    return f"method {method!r} cannot be merged at {sites[0]}{more}: {why}"


@contextmanager
def replaced(network: nn.Module, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Let a network compute with other values of some parameters until the context ends."""
    before = {}
    try:
        for name, value in weights.items():
            path, _, last = name.rpartition(".")
            held = network.get_submodule(path)._parameters
            source = held[last]
            assert source is not None
            before[name] = (held, last, source)
            held[last] = nn.Parameter(value.to(source), requires_grad=False)
        yield
    finally:
        for held, last, source in before.values():
            held[last] = source


@torch.no_grad()
def logits_of_noise(model: SourceModel) -> Tensor:
    """What a model says to a second of noise, the same for everybody: (1, F, V), or (1, U, V) of a decoder."""
    return outputs_of_noise(model).float().cpu()
