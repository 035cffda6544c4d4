"""Impediments that come together.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asradapt.audio import Samples
from asradapt.simulation.impediments.articulation import blur, nasal
from asradapt.simulation.impediments.impediment import Change, register
from asradapt.simulation.impediments.phonation import breathe, monopitch
from asradapt.simulation.impediments.tempo import pause, prolong, repeat, slow


@register("dysarthria", "slow, flat, breathy, nasal and imprecise speech with pauses")
def dysarthria(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Most signs of spastic and mixed dysarthria, each at a share of the strength.

    Darley, Aronson and Brown, "Differential diagnostic patterns of dysarthria" (1969).
    """
    signs = ((monopitch, 0.9), (blur, 0.7), (nasal, 0.5), (breathe, 0.4), (slow, 0.6), (pause, 0.4))
    return _one_after_another(samples, signs, strength, rng)


@register("stutter", "repeated beginnings, held sounds and pauses")
def stutter(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """The core behaviours of stuttering: Yairi and Ambrose, "Early childhood stuttering I" (1999)."""
    return _one_after_another(samples, ((prolong, 0.5), (repeat, 1.0), (pause, 0.3)), strength, rng)


def _one_after_another(
    samples: Samples, signs: Sequence[tuple[Change, float]], strength: float, rng: np.random.Generator
) -> Samples:
    """Each change at its share of the strength, with a generator of its own."""
    for (change, share), own in zip(signs, rng.spawn(len(signs)), strict=True):
        samples = change(samples, share * strength, own)
    return samples
