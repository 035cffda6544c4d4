"""What models say, by their own library and here, and how equal that is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCTC, WhisperFeatureExtractor, WhisperForConditionalGeneration

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


TEXT = "The thing."
"""What Whisper is told to write: the decoder's outputs are compared for the tokens of this text."""


def plain_whisper(folder: Path) -> Any:
    """The Whisper of a folder, loaded by transformers alone."""
    return WhisperForConditionalGeneration.from_pretrained(folder).eval()


def own_written(network: Any, folder: Path, model: Any, waveform: Tensor) -> tuple[Tensor, Tensor]:
    """States (1, F, D) and logits (1, U, V) of the library's Whisper, of its own features from a folder."""
    extractor = WhisperFeatureExtractor.from_pretrained(folder)
    features = extractor(waveform[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    given = torch.tensor([[*model.prompt, *model.spell(TEXT)[1][:-1]]])
    with torch.no_grad():
        found = network(input_features=features, decoder_input_ids=given, use_cache=False)
    return found.encoder_last_hidden_state, found.logits[:, len(model.prompt) - 1 :]


def our_written(model: Any, waveform: Tensor, stored: Any = None) -> tuple[Tensor, Tensor]:
    """States and logits of the same text here, with a stored adaptation if one is given."""

    def run() -> tuple[Tensor, Tensor]:
        states = model.forward(waveform, torch.tensor([waveform.shape[1]]))[0]
        return states, model.logits(states, [torch.tensor(model.spell(TEXT)[1])])

    with torch.no_grad():
        if stored is None:
            return run()
        with standing_bank(model, stored).attach(model, torch.zeros(1, dtype=torch.int64)):
            return run()


def require_equal_written(found: Any, expected: Any, other: Any, *, encoder: bool = True) -> None:
    """`require_equal` for the encoder's states and the decoder's logits; the states may be those of the source."""
    if not encoder:
        assert float((found[0] - expected[0]).abs().max()) <= 1e-5 * float(expected[0].abs().max())
    for one, two, three in list(zip(found, expected, other, strict=True))[0 if encoder else 1 :]:
        require_equal(one, two, three)
