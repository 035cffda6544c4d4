"""The state of a training run: weights, their average, optimiser, position; saved and resumed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from asradapt.models.conformer import Conformer, ConformerOptions
from tokens import PHONES, tokens_of

POSITION = ("step", "epoch", "batch", "minutes", "hours", "sets", "losses", "best")


@dataclass
class State:
    """Everything that a continued run needs; `batch` counts the batches done of the present epoch."""

    model: Conformer
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0
    epoch: int = 1
    batch: int = 0
    minutes: float = 0.0
    hours: float = 0.0
    sets: str = ""
    losses: list[float] = field(default_factory=list)
    best: float = math.inf


def build(config: dict[str, Any]) -> Conformer:
    """The network of a configuration; with a dictionary its inner outputs are phones."""
    shape = dict(config["model"])
    shape["conditions"] = tuple(shape.get("conditions", ()))
    phones = len(PHONES) if config.get("dictionary") and shape["conditions"] else 0
    return Conformer(ConformerOptions(tokens=len(tokens_of(config)), phones=phones, **shape))


def start(config: dict[str, Any], checkpoint: Path, device: torch.device, init: Path | None = None) -> State:
    """A fresh state, one with the weights of a released model, or the one of the checkpoint."""
    torch.manual_seed(config["seed"])
    model = build(config)
    if init:
        _take(model, load_file(init))
    model = model.to(device)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    plain = [p for p in model.parameters() if p.ndim <= 1]
    options = config["optimiser"]
    groups = [{"params": decayed, "weight_decay": options["weight_decay"]}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=options["rate"], betas=(0.9, 0.98), fused=True)
    state = State(model, {k: v.clone() for k, v in model.state_dict().items()}, optimiser)
    if checkpoint.exists():
        _resume(state, torch.load(checkpoint, weights_only=True, map_location=device))
    return state


def _take(model: Conformer, weights: dict[str, Tensor]) -> None:
    """Begin with released weights; inner outputs that these lack are fed back as zeros, so nothing changes yet."""
    missing, unknown = model.load_state_dict({k: v.float() for k, v in weights.items()}, strict=False)
    if unknown or not set(missing) <= {
        f"{part}.{kind}" for part in ("inner", "feedback") for kind in ("weight", "bias")
    }:
        raise SystemExit(f"the weights do not fit the [model] of the configuration: {[*unknown, *missing][:4]}")
    if missing:
        torch.nn.init.zeros_(model.feedback.weight)
        torch.nn.init.zeros_(model.feedback.bias)


def _resume(state: State, saved: dict[str, Any]) -> None:
    state.model.load_state_dict(saved["model"])
    state.optimiser.load_state_dict(saved["optimiser"])
    state.average = saved["average"]
    for name in POSITION:
        setattr(state, name, saved.get(name, getattr(state, name)))


def save(state: State, checkpoint: Path) -> None:
    """Write the checkpoint so that a kill leaves the old one or the new one."""
    content: dict[str, Any] = {
        "model": state.model.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
    }
    for name in POSITION:
        content[name] = getattr(state, name)
    part = checkpoint.with_suffix(".part")
    torch.save(content, part)
    part.replace(checkpoint)
