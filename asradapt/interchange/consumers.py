"""Who takes the output of a module, and who gives its input: found by running the network, not by reading it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from asradapt.models.base import SourceModel, writes

WRITTEN = "one two"
"""What a decoder is told to write about noise: words that every model can spell."""


def noise(model: SourceModel) -> tuple[Tensor, Tensor]:
    """A second of noise (1, T) with its length, the same for everybody."""
    generator = torch.Generator().manual_seed(0)
    samples = 0.1 * torch.randn(1, model.sample_rate, generator=generator)
    return samples.to(model.device), torch.tensor([model.sample_rate], device=model.device)


def outputs_of_noise(model: SourceModel) -> Tensor:
    """The logits of noise: (1, F, V) of a model with CTC outputs, (1, U, V) of a decoder that is given a text."""
    states = model.forward(*noise(model))[0]
    if not writes(model):
        return states
    return model.logits(states, [torch.tensor(model.spell(WRITTEN)[1])])


def only_consumer(model: SourceModel, path: str) -> str | None:
    """The linear layer that takes the output of a module as it is, if nothing else in the network depends on it.

    Two passes: the first finds the layers that are given that very tensor; in the second the layer is given a copy
    without gradient, and if then no gradient is left between the module and the logits, there is no other way.

    Args:
        model: The source model; it is not changed.
        path: The module.

    Returns:
        The path of the layer, or None.
    """
    takers: list[str] = []
    outputs: list[Tensor] = []

    def leaf(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        outputs.append(output.detach().requires_grad_())
        return outputs[-1]

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and any(inputs[0] is one for one in outputs):
                takers.append(name)

        return note

    linear = {name: part for name, part in model.module.named_modules() if isinstance(part, nn.Linear)}
    _run(model, path, leaf, {name: watch(name) for name in linear})
    if len(takers) != 1 or len(outputs) != 1:
        return None
    rest = _run(model, path, leaf, {takers[0]: lambda _, inputs: (inputs[0].detach(), *inputs[1:])})
    return None if rest.requires_grad else takers[0]


@torch.no_grad()
def only_giver(model: SourceModel, path: str) -> str | None:
    """The LayerNorm whose output a module takes as it is, if there is one.

    Args:
        model: The source model; it is not changed.
        path: The module.

    Returns:
        The path of the norm, or None.
    """
    given: dict[str, Tensor] = {}
    found: list[str] = []

    def note(_: nn.Module, inputs: tuple[Any, ...]) -> None:
        found.extend(name for name, output in given.items() if inputs and inputs[0] is output)

    with ExitStack() as stack:
        for name, part in model.module.named_modules():
            if isinstance(part, nn.LayerNorm):
                keep = partial(_keep, given, name)
                stack.callback(part.register_forward_hook(keep).remove)
        stack.callback(model.module.get_submodule(path).register_forward_pre_hook(note).remove)
        outputs_of_noise(model)
    return found[0] if len(found) == 1 else None


def _keep(given: dict[str, Tensor], name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
    given[name] = output


def _run(
    model: SourceModel, path: str, after: Callable[..., Any], before: Mapping[str, Callable[..., Any]]
) -> Tensor:
    """The logits of noise, with a hook behind one module and hooks in front of others."""
    with ExitStack() as stack, torch.enable_grad():
        handle = model.module.get_submodule(path).register_forward_hook(after)
        stack.callback(handle.remove)
        for name, hook in before.items():
            stack.callback(model.module.get_submodule(name).register_forward_pre_hook(hook).remove)
        return outputs_of_noise(model)
