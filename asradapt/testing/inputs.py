"""What the contracts run models on, and what they keep of a model between tests.

Letters: B batch, T samples, F frames, M features, V tokens, S speakers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.models.base import SourceModel

Kept = TypeVar("Kept")

# Logits of the same row in another batch: matrix products of another shape are summed in another order in fp32.
# Measured 1.1e-5 where the logits reach 10; a leak of padding is of the size of the logits, and the adaptations of
# these tests change them by 1 to 15.
TOLERANCE = 1e-4

SPEAKERS = 5
MIXED_ROWS = [3, 0, 4, 4, 1]  # speaker 2 is not in the batch

LETTERS = "éжñøłαħאあ한漢ꙮ"  # of which no model writes all

Inputs = tuple[Tensor, Tensor]  # features (B, F', M), frame counts (B,)


def babble(seconds: float, seed: int = 0, level: float = 0.1, rate: int = 16_000) -> Tensor:
    """A waveform (T,) of syllable-like changing tones in noise, another for every seed."""
    generator = torch.Generator().manual_seed(seed)
    samples = max(1, round(seconds * rate))
    syllables = samples // (rate // 8) + 1
    hertz = 150 + 3000 * torch.rand(syllables, 3, generator=generator)
    loudness = torch.rand(syllables, 3, generator=generator)
    spread = torch.arange(samples) // (rate // 8)
    phase = 2 * torch.pi * torch.cumsum(hertz[spread] / rate, 0)
    voiced = (phase.sin() * loudness[spread]).sum(1)
    return level * (voiced + 0.1 * torch.randn(samples, generator=generator))


def batch(waveforms: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Waveforms padded to (B, T), and their lengths (B,)."""
    lengths = torch.tensor([len(waveform) for waveform in waveforms])
    return torch.nn.utils.rnn.pad_sequence(list(waveforms), batch_first=True), lengths


def same(one: Tensor, other: Tensor) -> None:
    """Fail where logits differ by more than another order of summation explains."""
    torch.testing.assert_close(one, other, rtol=0, atol=TOLERANCE)


def differ(one: Tensor, other: Tensor) -> float:
    """The greatest difference."""
    return float((one - other).abs().max())


def unwritten(model: SourceModel, count: int = 3) -> str:
    """Characters that a model cannot write, for the method that adds some."""
    return "".join([letter for letter in LETTERS if letter not in model.tokens][:count])


def row_of(inputs: Inputs, row: int) -> Inputs:
    """One row by itself, without its padding."""
    features, frames = inputs
    return features[row : row + 1, : int(frames[row])], frames[row : row + 1]


def perturbed(bank: SpeakerBank, seed: int = 0) -> SpeakerBank:
    """The same bank with random values in all tensors, of a size that changes a lot and ruins nothing."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in bank.tensors.values():
        inputs = tensor[0, ..., 0].numel() if tensor.ndim > 2 else 1
        tensor += 0.3 * inputs**-0.5 * torch.randn(tensor.shape, generator=generator)
    return bank


def rows_for(bank: SpeakerBank, rows: Sequence[int] = MIXED_ROWS) -> list[int]:
    """The rows, or only the first of them for methods that take one speaker a batch."""
    return [rows[0]] * len(rows) if bank.one_speaker else list(rows)


def state_of(model: SourceModel) -> dict[str, object]:
    """Everything of a network that attaching could leave changed, by identity."""
    found: dict[str, object] = {}
    for path, part in model.module.named_modules():
        tables = {k: dict(v) for k, v in vars(part).items() if k.startswith("_") and isinstance(v, dict)}
        found[path] = {k: {key: id(value) for key, value in table.items()} for k, table in tables.items()}
        found[f"{path} own"] = sorted(k for k in vars(part) if not k.startswith("_"))
        found[f"{path} mode"] = (part.training, id(getattr(part.forward, "__func__", part.forward)))
    return found


class _Last:
    """The model that was tested last, and what was computed with it."""

    model: object = None
    kept: dict[str, Any] = {}  # noqa: RUF012 - of the class, and there is one


def once(model: SourceModel, what: str, make: Callable[[], Kept]) -> Kept:
    """What `make` makes, made once for a model, however narrow the scope of its fixture."""
    if _Last.model is not model:
        _Last.model, _Last.kept = model, {}
    if what not in _Last.kept:
        _Last.kept[what] = make()
    made: Kept = _Last.kept[what]
    return made
