"""Impediments that come together.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np

from asradapt.audio import Samples
from asradapt.simulation.impediments.articulation import blur, nasal
from asradapt.simulation.impediments.impediment import register
from asradapt.simulation.impediments.phonation import breathe, monopitch
from asradapt.simulation.impediments.tempo import pause, prolong, repeat, slow


@register("dysarthria", "slow, flat, breathy, nasal and imprecise speech with pauses")
def dysarthria(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Most signs of spastic and mixed dysarthria, each at a share of the strength.

    Darley, Aronson and Brown, "Differential diagnostic patterns of dysarthria" (1969).
    """
    for change, share in ((monopitch, 0.9), (blur, 0.7), (nasal, 0.5), (breathe, 0.4), (slow, 0.6), (pause, 0.4)):
        samples = change(samples, share * strength, rng)
    return samples


@register("stutter", "repeated beginnings, held sounds and pauses")
def stutter(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """The core behaviours of stuttering: Yairi and Ambrose, "Early childhood stuttering I" (1999)."""
    for change, share in ((prolong, 0.5), (repeat, 1.0), (pause, 0.3)):
        samples = change(samples, share * strength, rng)
    return samples
