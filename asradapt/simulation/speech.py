"""One utterance of a pseudo-speaker: what is asked of the engine, and what is done to its samples.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np

from asradapt.audio import Samples
from asradapt.errors import SpeechError
from asradapt.simulation.accents import accented, words_of
from asradapt.simulation.conversion import SAMPLE_RATE, at_level, resample, shift_formants
from asradapt.simulation.engines import ENGINES, Line, Spoken, Voice
from asradapt.simulation.engines.engine import find_engine
from asradapt.simulation.phones import Phones
from asradapt.simulation.pronunciations import look_up
from asradapt.simulation.voices import PseudoSpeaker

LEVEL = -23.0
_MIN_SECONDS_A_LETTER = 0.03  # below it something was left out: the fastest voice and rate stay above 0.04


@dataclass(frozen=True)
class Take:
    """One utterance to make.

    Attributes:
        text: Words.
        speaker: Who says them.
        rate: Duration factor on the speaker's own, 1.2 is slower.
        pitch: Factor on the speaker's mean pitch.
        level: Loudness in dB relative to full scale (root mean square).
        seed: Decides all that is random in it, but not an accent, which is the speaker's own.
        dictionary: Pronunciations that an accent changes, in cmudict's format; None asks flite.
    """

    text: str
    speaker: PseudoSpeaker
    rate: float = 1.0
    pitch: float = 1.0
    level: float = LEVEL
    seed: str = "0"
    dictionary: Path | None = None


@dataclass(frozen=True)
class Shaping:
    """What is done to the samples of an engine.

    Attributes:
        resampled: Factor on pitch and formants by resampling.
        formants: Factor on the formants alone.
    """

    resampled: float
    formants: float


def speak(text: str, speaker: PseudoSpeaker, *, seed: int = 0, dictionary: Path | None = None) -> Samples:
    """Say a text as a pseudo-speaker, in a way that the seed decides.

    Args:
        text: Words.
        speaker: Who says them, as `draw_speakers` makes them.
        seed: Another one gives another tempo, pitch and impediment.
        dictionary: Pronunciations that an accent changes, in cmudict's format; None asks flite.

    Returns:
        Samples (T,), float32 in [-1, 1], at 16 kHz.

    Raises:
        SpeechError: The engine failed, or said nothing.
        SimulationError: The engine is not installed, or nothing tells how words are pronounced.
        TextError: The dictionary cannot be read.
    """
    take_seed = f"speak {seed} {speaker.name} {text}"
    take = draw_take(text, speaker, take_seed, level=LEVEL, dictionary=dictionary)
    (samples,) = speak_all([take])
    if isinstance(samples, SpeechError):
        raise samples
    return samples


def draw_take(
    text: str,
    speaker: PseudoSpeaker,
    seed: str,
    *,
    level: float | None = None,
    dictionary: Path | None = None,
) -> Take:
    """Vary tempo, pitch and loudness from utterance to utterance."""
    rng = Random(seed)
    rate, pitch, loudness = math.exp(rng.gauss(0, 0.06)), math.exp(rng.gauss(0, 0.05)), rng.uniform(-32, -18)
    return Take(text, speaker, rate, pitch, loudness if level is None else level, seed, dictionary)


def speak_all(takes: Sequence[Take]) -> list[Samples | SpeechError]:
    """Say many texts, all those of one engine in one go; what cannot be said is an error in its place."""
    _learn_words(takes)
    lines = [line_of(take) for take in takes]
    results: list[Samples | SpeechError] = [SpeechError("not said")] * len(takes)
    for name in sorted({take.speaker.engine for take in takes}):
        places = [place for place, take in enumerate(takes) if take.speaker.engine == name]
        said = ENGINES[name].speak_all([lines[place][0] for place in places])
        for place, spoken in zip(places, said, strict=True):
            results[place] = _finished(takes[place], spoken, lines[place][1])
    return results


def line_of(take: Take) -> tuple[Line, Shaping]:
    """What to ask of the engine so that, shaped, it sounds like the speaker."""
    person = take.speaker
    voice = find_engine(person.engine).find_voice(person.voice)
    f0 = None if person.f0 is None else person.f0 * take.pitch
    asked, shaping = _divide(voice, f0, person.tract)
    stretch = person.rate * take.rate * shaping.resampled
    return Line(take.text, voice, stretch, asked, _phones(take) or None), shaping


def _learn_words(takes: Sequence[Take]) -> None:
    """Look up the words of all accents in one go, which is one process; they are remembered."""
    accents = [take for take in takes if _has_accent(take)]
    for dictionary in {take.dictionary for take in accents}:
        look_up((w for take in accents if take.dictionary == dictionary for w in words_of(take.text)), dictionary)


def _phones(take: Take) -> dict[str, Phones]:
    """The words that an accent changes; others are left to the engine."""
    if not _has_accent(take):
        return {}
    words = words_of(take.text)
    return accented(words, take.speaker, look_up(words, take.dictionary))


def _has_accent(take: Take) -> bool:
    return take.speaker.accent is not None and take.speaker.accent_strength > 0


def _divide(voice: Voice, f0: float | None, tract: float) -> tuple[float | None, Shaping]:
    """Split a pitch and a vocal tract between what the engine does, resampling, and shifting of formants."""
    if f0 is None:
        return None, Shaping(tract, 1.0)
    if voice.f0_range is None:
        ratio = f0 / voice.f0
        return None, Shaping(ratio, tract / ratio)
    low, high = voice.f0_range
    asked = min(max(f0 / tract, low), high)
    ratio = f0 / asked
    return asked, Shaping(ratio, 1.0 if low < asked < high else tract / ratio)


def _finished(take: Take, spoken: Spoken | SpeechError, shaping: Shaping) -> Samples | SpeechError:
    if isinstance(spoken, SpeechError):
        return spoken
    try:
        return _shaped(take, *spoken, shaping)
    except SpeechError as error:
        return error


def _shaped(take: Take, samples: Samples, rate: int, shaping: Shaping) -> Samples:
    samples = at_level(resample(samples, rate, factor=shaping.resampled), LEVEL)
    if len(samples) / SAMPLE_RATE < _MIN_SECONDS_A_LETTER * len(take.text.replace(" ", "")):
        raise SpeechError(f"{take.speaker.voice} left something out of {take.text!r}")
    return at_level(_impeded(take, shift_formants(samples, shaping.formants)), take.level)


def _impeded(take: Take, samples: Samples) -> Samples:
    person = take.speaker
    if person.impediment is None:
        return samples
    from asradapt.simulation.impediments import apply

    seed = Random(f"impediment {take.seed}").getrandbits(64)
    return apply(samples, person.impediment, person.impediment_strength, np.random.default_rng(seed))
