"""Speech that takes longer: slow, with pauses, with long or repeated sounds.

Dysarthric speech is slow and paused: Darley, Aronson and Brown, "Differential diagnostic patterns of
dysarthria" (1969). Prolongations, repetitions and blocks are the core of stuttering: Yairi and Ambrose,
"Early childhood stuttering I" (1999).

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

import numpy as np

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.impediments.impediment import register
from asradapt.simulation.timing import gaps, insert, room_tone, stretch
from asradapt.simulation.voicing import STEP, loudness, runs, track_pitch

_SLOWEST = 2.0
_PAUSE = (0.2, 0.9)  # seconds
_LONGEST = 8.0  # times as long is a prolonged sound
_HELD = 0.06  # seconds of a sound that are held
_PIECE = (0.08, 0.2)  # seconds that are repeated
_BETWEEN = (0.03, 0.15)  # seconds between repetitions
_MOST_REPEATS = 4


@register("slowness", "everything said slowly, up to twice as long")
def slow(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Stretch all of it, by 2 at most."""
    factor = 1 + (_SLOWEST - 1) * strength
    return stretch(samples, [(0, 0), (len(samples), factor * len(samples))])


@register("pauses", "pauses of up to 0.9 s between words, and within them")
def pause(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Insert silence, or what passes for it in the recording, at soft moments."""
    pieces = []
    for place in gaps(samples):
        chance, seconds = rng.random(), rng.uniform(*_PAUSE)
        tone = room_tone(samples, int(seconds * SAMPLE_RATE), rng)
        if chance < strength:
            pieces.append((place, tone))
    return insert(samples, pieces)


@register("prolongation", "single vowels and voiced consonants held for up to half a second")
def prolong(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Hold some of the voiced sounds."""
    half = _HELD / 2 * SAMPLE_RATE
    knots = [(0.0, 0.0)]
    for centre in _nuclei(samples):
        chance, share = rng.random(), rng.uniform(0.4, 1)
        if chance < 0.2 + 0.5 * strength:
            _hold(knots, centre - half, centre + half, 1 + (_LONGEST - 1) * share * strength)
    _hold(knots, len(samples), len(samples), 1.0)
    return stretch(samples, knots)


def _hold(knots: list[tuple[float, float]], start: float, end: float, factor: float) -> None:
    """Go on as before up to `start`, and from there to `end` slower by a factor."""
    before, after = knots[-1]
    at = after + max(start, before) - before
    knots.append((max(start, before + 1e-6), at + 1e-6))
    if end > start:
        knots.append((end, at + factor * (end - max(start, before))))


def _nuclei(samples: Samples) -> list[int]:
    """The loudest moments of voiced stretches, at least 0.15 s from each other and from the ends."""
    power = loudness(samples)
    places: list[int] = []
    for start, end in runs(track_pitch(samples) > 0):
        for first in range(start, end, 20):
            part = power[first : min(first + 20, end)]
            place = (first + int(np.argmax(part))) * STEP
            near = places[-1] if places else 0
            if len(part) >= 5 and place - near >= 0.15 * SAMPLE_RATE and place < len(samples) - 0.15 * SAMPLE_RATE:
                places.append(place)
    return places


@register("repetition", "the beginning of a word said up to five times")
def repeat(samples: Samples, strength: float, rng: np.random.Generator) -> Samples:
    """Say the first 80-200 ms after some gaps again, 1 to 4 times, with short breaks."""
    pieces = []
    for onset in _onsets(samples):
        chance, length = rng.random(), int(rng.uniform(*_PIECE) * SAMPLE_RATE)
        breaks = (rng.uniform(*_BETWEEN, size=_MOST_REPEATS) * SAMPLE_RATE).astype(int)
        tones = [room_tone(samples, int(size), rng) for size in breaks]
        times = 1 + round((_MOST_REPEATS - 1) * strength * rng.random())
        piece = samples[onset : onset + length]
        if chance < 0.15 + 0.6 * strength and len(piece) == length:
            pieces += [(onset, part) for tone in tones[:times] for part in (piece, tone)]
    return insert(samples, pieces)


def _onsets(samples: Samples) -> list[int]:
    """Where sound begins: at the start, and where it gets loud after a gap."""
    power = loudness(samples)
    heard = power > power.max() - 30
    onsets = []
    for gap in [0, *gaps(samples)]:
        frame = gap // STEP
        rises = np.flatnonzero(heard[frame:] & (power[frame:] > power[frame] + 3))
        if len(rises):
            onsets.append(max(frame + int(rises[0]) - 1, 0) * STEP)
    return sorted(set(onsets))
