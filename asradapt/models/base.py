"""The contract of a source model: what every recogniser offers to the rest of the system.

Letters: B batch, T samples, F frames, D width, V tokens.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Site:
    """A named place in a model where a hidden activation may be transformed.

    Attributes:
        name: The path of the module whose output is the activation, as in `named_modules`.
        kind: What the place is: `input`, `norm`, `feed_forward`, `attention`, `block`, `output`, `weight`.
        width_in: Width of the module's input.
        width: Width D of the activation.
        shape: The full shape where the place is a weight, not an activation.
    """

    name: str
    kind: str
    width_in: int
    width: int
    shape: tuple[int, ...] = ()


SITE_KINDS = ("input", "norm", "feed_forward", "attention", "block", "output")


@runtime_checkable
class SourceModel(Protocol):
    """A frozen acoustic model that serves as the source of adaptation.

    Row-independent: row `i` of a padded batch equals that row alone, at every batch size and order.

    Attributes:
        name: What `--model` calls it.
        sample_rate: Samples per second of its waveforms.
        tokens: The V output tokens; index 0 is the CTC blank, `" "` the word boundary.
        frame_seconds: Seconds from output frame to output frame.
        sites: The places that adaptation methods may use.
        fingerprint: sha256 over sorted name, shape, dtype and bytes of all weights.
        module: The network; always in `eval()` mode, its parameters never need gradients.
    """

    @property
    def name(self) -> str:
        """What `--model` calls it."""
        ...

    @property
    def sample_rate(self) -> int:
        """Samples per second."""
        ...

    @property
    def tokens(self) -> tuple[str, ...]:
        """The V output tokens, the blank first."""
        ...

    @property
    def frame_seconds(self) -> float:
        """Seconds from output frame to output frame."""
        ...

    @property
    def sites(self) -> tuple[Site, ...]:
        """Where a speaker may change the network."""
        ...

    @property
    def fingerprint(self) -> str:
        """sha256 over the weights."""
        ...

    @property
    def module(self) -> nn.Module:
        """The network."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    def prepare(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn waveforms (B, T) into what `encode` takes, (B, F', M) and (B,); no adaptation acts here."""
        ...

    def encode(self, features: Tensor, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Turn prepared features into logits (B, F, V) and frame counts (B,)."""
        ...

    def forward(self, waveforms: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Turn waveforms (B, T) in [-1, 1] with lengths (B,) into logits (B, F, V) and frame counts (B,)."""
        ...


def fingerprint(module: nn.Module) -> str:
    """sha256 over sorted name, shape, dtype and bytes of a module's parameters and buffers."""
    digest = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        digest.update(f"{name}|{tuple(tensor.shape)}|{tensor.dtype}|".encode())
        raw = tensor.detach().cpu().contiguous().flatten().view(torch.uint8)  # numpy knows no bfloat16
        digest.update(raw.numpy().tobytes())
    return digest.hexdigest()
