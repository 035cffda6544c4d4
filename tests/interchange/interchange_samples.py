"""What models say, by their own library and here, and how equal that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCTC

from asradapt.enrolment.past import standing_bank
from asradapt.models.waveform import standardise


def own_logits(network: Any, model: Any, waveform: Tensor) -> Tensor:
    """What a network of transformers says (1, F, V) by itself, its outputs in this project's order."""
    lengths = torch.tensor([waveform.shape[1]])
    values = standardise(waveform, lengths, model.shape.epsilon) if model.shape.normalise else waveform
    with torch.no_grad():
        logits: Tensor = network(input_values=values).logits
    return logits[..., list(model.alphabet.order)]


def our_logits(model: Any, waveform: Tensor, stored: Any = None) -> Tensor:
    """What a source model says (1, F, V), with a stored adaptation if one is given."""
    lengths = torch.tensor([waveform.shape[1]])
    with torch.no_grad():
        if stored is None:
            return model.forward(waveform, lengths)[0]
        with standing_bank(model, stored).attach(model, torch.zeros(1, dtype=torch.int64)):
            return model.forward(waveform, lengths)[0]


def plain(folder: Path) -> Any:
    """The model of a folder, loaded by transformers alone."""
    return AutoModelForCTC.from_pretrained(folder).eval()


def require_equal(found: Tensor, expected: Tensor, other: Tensor) -> None:
    """The same within 1e-5 of the greatest logit, and far from what an unadapted model says."""
    size = float(expected.abs().max())
    assert float((found - expected).abs().max()) <= 1e-5 * size
    assert float((other - expected).abs().max()) > 1e-2 * size
