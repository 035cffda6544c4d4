"""Augmentation of the little there is: the features of a recording, changed a little differently at every update.

Half a minute of speech is learnt by heart in a dozen updates. Another tempo, a slightly longer or shorter vocal
tract and masks in time and frequency make every pass another one, and cost next to nothing because they act on
features that are computed once. What helped is measured in docs/adaptation.md.

Letters: F frames, M mel bands.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from asradapt.models.base import SourceModel

LEAST_BANDS = 8
"""Features with fewer bands are no spectra, and are left as they are."""
LEAST_FRAMES = 16


@dataclass(frozen=True)
class Augmentation:
    """How much features are changed at most; a new `Augmentation()` is what enrolment uses.

    Attributes:
        tempo: Share by which the tempo goes up or down (Ko et al. 2015, without resampling).
        warp: Share by which the bands are stretched or squeezed: a vocal-tract length (Jaitly and Hinton 2013).
        time_masks: Number of masks in time (SpecAugment, Park et al. 2019).
        time_share: Longest time mask as a share of the recording.
        band_masks: Number of masks in frequency.
        band_share: Widest frequency mask as a share of the bands.
        noise: Standard deviation of what is added to every feature; the features have about 1 themselves.
        splices: Share of recordings in whose place new sentences are made of words of all of them
            (`enrolment.splicing`).
        splice_words: Least and greatest number of words of such a sentence.
        splice_span: Most neighbouring words that stay together.
    """

    tempo: float = 0.15
    warp: float = 0.1
    time_masks: int = 4
    time_share: float = 1 / 12
    band_masks: int = 3
    band_share: float = 0.15
    noise: float = 0.2
    splices: float = 0.8
    splice_words: tuple[int, int] = (4, 10)
    splice_span: int = 3


NO_AUGMENTATION = Augmentation(0.0, 0.0, 0, 0.0, 0, 0.0, 0.0, 0.0)


def augmentation_for(model: SourceModel, options: Augmentation) -> Augmentation:
    """What of an augmentation suits a model: learned channels have no neighbours and no common variance."""
    return options if model.spectral or options == NO_AUGMENTATION else replace(options, warp=0.0, noise=0.0)


def augment(features: Tensor, options: Augmentation, seed: str) -> Tensor:
    """Features (F, M) to others (F', M), the same for the same seed; masked parts are zero, the mean."""
    if options == NO_AUGMENTATION or features.shape[1] < LEAST_BANDS or len(features) < LEAST_FRAMES:
        return features
    chance = random.Random(seed)
    changed = _stretch(features, 1 + options.tempo * chance.uniform(-1, 1))
    changed = _warp(changed, 1 + options.warp * chance.uniform(-1, 1))
    changed = _noisy(changed, options.noise, chance)
    for _ in range(options.time_masks):
        _mask(changed, 0, int(options.time_share * len(changed)), chance)
    for _ in range(options.band_masks):
        _mask(changed, 1, int(options.band_share * changed.shape[1]), chance)
    return changed


def _stretch(features: Tensor, tempo: float) -> Tensor:
    """Said `tempo` times as fast, by interpolation between frames."""
    frames = max(LEAST_FRAMES, round(len(features) / tempo))
    return functional.interpolate(features.T[None], size=frames, mode="linear", align_corners=False)[0].T


def _warp(features: Tensor, factor: float) -> Tensor:
    """Band k from where band k * factor was: the formants of another vocal tract (on a mel axis, roughly)."""
    bands = features.shape[1]
    place = (torch.arange(bands, device=features.device) * factor).clamp(0, bands - 1)
    lower = place.floor().long()
    share = place - lower
    return features[:, lower] * (1 - share) + features[:, (lower + 1).clamp_max(bands - 1)] * share


def _noisy(features: Tensor, deviation: float, chance: random.Random) -> Tensor:
    """With Gaussian noise, drawn on the CPU so that a seed means the same on every device."""
    generator = torch.Generator().manual_seed(chance.getrandbits(63))
    return features + deviation * torch.randn(features.shape, generator=generator).to(features.device)


def _mask(features: Tensor, axis: int, longest: int, chance: random.Random) -> None:
    """Put zeros over a random stretch of up to `longest` frames (axis 0) or bands (axis 1), in place."""
    longest = min(longest, features.shape[axis] - 1)
    width = chance.randint(0, max(0, longest))
    features.narrow(axis, chance.randint(0, features.shape[axis] - width), width).zero_()
