"""Small models of this project's own network with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from asradapt.features import FeatureOptions
from asradapt.models.conformer import Conformer, ConformerOptions
from asradapt.models.source import ConformerSource

ALPHABET = ("<blank>", " ", "'", *"abcdefghijklmnopqrstuvwxyz")


def make_model(
    *, seed: int = 0, name: str = "tiny", mels: int = 80, tokens: Sequence[str] = ALPHABET, **shape: Any
) -> ConformerSource:
    """A source model with random weights that are large enough for every frame to say something else."""
    options = ConformerOptions(mels=mels, tokens=len(tokens), **({"width": 16, "blocks": 2, "heads": 2} | shape))
    network = Conformer(options)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, weight in network.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            if weight.ndim > 1:
                inputs = weight[0].numel()
                weight.copy_(noise * (3.0 if path.startswith("output") else 1.0) * inputs**-0.5)
            elif path.endswith("norm.weight"):
                weight.copy_(1 + 0.2 * noise)
            else:
                weight.copy_(0.2 * noise)
    return ConformerSource(name, network, FeatureOptions(mels=mels), tuple(tokens), {"kind": "random"})
