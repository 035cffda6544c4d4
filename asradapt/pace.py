"""Slows down speech that is too fast for the frames of a model.

CTC needs a frame for every sound, and a blank between two that are alike. Where a model hears a sound in most of
its frames, no room is left for what it does not hear yet, and its features are stretched in time until there is.
How fast somebody speaks is heard by the source model alone: it is the same whatever a person has learned.

Letters: B batch, T samples, F frames, M mel bands, P phones and the blank.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from asradapt.decoding import BLANK
from asradapt.errors import InputError
from asradapt.features import mask
from asradapt.models.base import SourceModel, has_phones
from asradapt.models.turns import using

CARD = "pace"
"""The key of a model's card under which its `Pace` stands."""
STEP = 0.05
"""Tempos are multiples of it: they change seldom where rounding in other company turns a frame."""


@dataclass(frozen=True)
class Pace:
    """How fast speech a model hears well.

    Attributes:
        crowded: The share of frames, from the first sound to the last, in which a sound or the end of a word is
            likeliest, that a model bears; recordings with more are slowed down until they have as many.
        slowest: The least tempo.
    """

    crowded: float
    slowest: float

    @classmethod
    def of(cls, model: SourceModel) -> Pace | None:
        """What the card of a model says under `pace`; None where it says nothing.

        Raises:
            InputError: If it says something other than two shares.
        """
        if CARD not in model.card:
            return None
        said: Any = model.card[CARD]
        try:
            found = cls(**{key: float(value) for key, value in dict(said).items()})
        except (TypeError, ValueError, OverflowError):
            found = cls(0.0, 0.0)
        if not (0 < found.crowded <= 1 and STEP <= found.slowest <= 1):
            raise InputError(
                f"the card of the model {model.name} has a {CARD} without a usable share of crowded frames and a "
                f"slowest tempo from {STEP:g} to 1: {said!r}"
            )
        return found

    def tempo(self, logits: Tensor, frames: Tensor) -> Tensor:
        """The tempo (B,) at which each row is heard best, 1 or less.

        Args:
            logits: (B, F, P) of the model's first inner output; index 0 is the blank.
            frames: (B,) true frame counts.
        """
        heard = mask(frames, logits.shape[1]) & (logits.argmax(dim=-1) != BLANK)
        places = torch.arange(1, logits.shape[1] + 1, device=logits.device) * heard  # 0 where nothing is heard
        last = places.amax(dim=1)
        first = torch.where(heard, places, logits.shape[1] + 1).amin(dim=1)
        share = heard.sum(dim=1) / (last - first + 1).clamp(min=1)
        wanted = self.crowded / share.clamp(min=self.crowded)  # at most 1
        return ((wanted / STEP).round() * STEP).clamp(min=self.slowest)


@dataclass(frozen=True, eq=False)
class Prepared:
    """What `encode` takes, and how much longer it has become.

    Attributes:
        features: (B, F', M).
        frames: (B,) true frame counts.
        tempo: (B,) seconds of a row's recording in a second of its features.
    """

    features: Tensor
    frames: Tensor
    tempo: Tensor


@torch.no_grad()
def prepare(model: SourceModel, waveforms: Tensor, lengths: Tensor) -> Prepared:
    """What `model.prepare` makes of waveforms (B, T) with lengths (B,), slowed down where they are too fast.

    No adaptation may be attached: the source model says how fast somebody speaks.

    Raises:
        InputError: If the model's card says something of its pace that cannot be used.
    """
    features, frames = model.prepare(waveforms, lengths)
    tempo = torch.ones(len(features), device=features.device)
    if has_phones(model) and len(features) and (pace := Pace.of(model)):
        with using(model.module):
            tempo = pace.tempo(*model.encode_first(features, frames))
        features, frames = slowed(features, frames, tempo)
    return Prepared(features, frames, tempo)


def prepare_one(model: SourceModel, samples: npt.NDArray[np.float32]) -> tuple[Tensor, float]:
    """Features (F', M) of one recording (T,) as `prepare` makes them, and how many times as long they are."""
    waveforms = torch.from_numpy(samples)[None].to(model.device)
    made = prepare(model, waveforms, torch.tensor([len(samples)], device=model.device))
    return made.features[0, : int(made.frames[0])], 1 / float(made.tempo[0])


def slowed(features: Tensor, frames: Tensor, tempo: Tensor) -> tuple[Tensor, Tensor]:
    """Features (B, F', M) at a tempo (B,) of their own, between their frames by straight lines; and frame counts.

    Rows of a tempo of 1 stay as they are. Frames that do not exist are zero.
    """
    if bool((tempo >= 1).all()):
        return features, frames
    longer = torch.where(tempo < 1, (frames / tempo).round().to(frames.dtype), frames)
    count = max(features.shape[1], int(longer.max()))
    places = torch.arange(count, device=features.device)[None] * tempo[:, None]
    places = torch.minimum(places, (frames - 1).clamp(min=0)[:, None].to(places.dtype))
    before = places.floor().long()
    after = torch.minimum(before + 1, (frames - 1).clamp(min=0)[:, None])
    share = (places - before)[:, :, None].to(features.dtype)
    rows = torch.arange(len(features), device=features.device)[:, None]
    found = torch.lerp(features[rows, before], features[rows, after], share)
    return found * mask(longer, count)[:, :, None].to(features.dtype), longer
