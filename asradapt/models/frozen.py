"""What the source models of this project have alike, whatever their network: a name, a fingerprint, a device.

Letters: B batch, T samples, F frames, D width, V tokens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, Self, TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class FrozenSource(ABC, Generic[Network]):
    """A frozen network as the greater part of a `SourceModel`; what is left are features, tokens, sites.

    Args:
        name: What `--model` calls it.
        network: What `encode` runs; it is put into `eval()` mode and needs no gradients from here on.
        fingerprint: That of its weights, taken now and not later: an attached adaptation may change weights.
    """

    def __init__(self, name: str, network: Network, fingerprint: str) -> None:
        self._name, self._network, self._fingerprint = name, network, fingerprint
        network.eval().requires_grad_(False)

    @property
    def name(self) -> str:
        """What `--model` calls it."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """sha256 over the weights."""
        return self._fingerprint

    @property
    def equal_lengths(self) -> bool:
        """False: padding changes no row."""
        return False

    @property
    def module(self) -> Network:
        """The network."""
        return self._network

    @property
    def device(self) -> torch.device:
        """Where the network computes."""
        return next(self._network.parameters()).device

    def to(self, device: torch.device | str) -> Self:
        """Move the network; the fingerprint does not change."""
        self._network.to(device)
        return self

    @abstractmethod
    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) to what `encode` takes, and counts (B,)."""

    @abstractmethod
    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """What `prepare` gives to logits (B, F, V), states (B, F, D) where a decoder writes, and counts (B,)."""

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms (B, T) in [-1, 1] to what `encode` gives."""
        return self.encode(*self.prepare(waveforms, lengths))

    __call__ = forward
