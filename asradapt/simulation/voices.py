"""Pseudo-speakers: a free synthesiser's voice with a vocal tract, a pitch and habits of its own."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random

from asradapt.errors import SimulationError, UsageError
from asradapt.simulation.accents import ACCENTS, find_accent
from asradapt.simulation.engines import ENGINES, Engine, Voice, find_engine, find_voice
from asradapt.simulation.traits import Trait, check_traits, draw_traits, mark

__all__ = ["PseudoSpeaker", "SpeakerOptions", "Trait", "draw_speakers", "own_voice", "speaking"]

TRACTS = (0.88, 1.14)
"""Factors on the formants of a voice that adults get: the range of human vocal tracts."""
CHILD_TRACTS = {"m": (1.18, 1.35), "f": (1.06, 1.25)}
"""Factors on the formants of a voice, by its sex, that sound like a child."""
CHILD_F0 = (210.0, 350.0)
RATES = (0.85, 1.2)
CHILD_RATES = (0.95, 1.4)


@dataclass(frozen=True)
class PseudoSpeaker:
    """Somebody who does not exist.

    Attributes:
        name: Written to the manifest.
        engine: Name of the synthesiser.
        voice: Name of its voice.
        tract: How much higher the formants are than the voice's own; above 1 is a shorter vocal tract.
        f0: Mean pitch in Hz.
        rate: Duration factor of the habitual tempo, 1.2 is slower.
        child: Whether drawn to sound like a child.
        accent: Name in `accents.ACCENTS`; None for none.
        accent_strength: 0 to 1.
        impediment: Name in `impediments.IMPEDIMENTS`; None for none.
        impediment_strength: 0 to 1.
    """

    name: str
    engine: str
    voice: str
    tract: float = 1.0
    f0: float | None = None
    rate: float = 1.0
    child: bool = False
    accent: str | None = None
    accent_strength: float = 0.0
    impediment: str | None = None
    impediment_strength: float = 0.0


@dataclass(frozen=True)
class SpeakerOptions:
    """Whom to draw.

    Attributes:
        weights: Share of each engine among the speakers, by name; empty takes the engines' own weights and
            those that are installed.
        voices: `ENGINE:VOICE` names to restrict to; empty takes all that are meant for it.
        children: Share of speakers that sound like children.
        accents: One of these is drawn for a speaker with an accent, who speaks by an engine that can be told
            how to pronounce words.
        accent_share: Share of speakers with an accent.
        impediments: One of these is drawn for a speaker with an impediment.
        impediment_share: Share of speakers with an impediment.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    voices: tuple[str, ...] = ()
    children: float = 0.0
    accents: tuple[Trait, ...] = ()
    accent_share: float = 1.0
    impediments: tuple[Trait, ...] = ()
    impediment_share: float = 1.0


def draw_speakers(count: int, seed: int, options: SpeakerOptions | None = None) -> list[PseudoSpeaker]:
    """Draw pseudo-speakers; the same seed and options draw the same ones.

    Raises:
        UnknownName: An engine, voice, accent or impediment that does not exist.
        UsageError: A share or strength outside 0 to 1, no speaker, or accents for engines that take none.
        SimulationError: No synthesiser is installed.
    """
    options = options or SpeakerOptions()
    if count < 1:
        raise UsageError(f"the number of speakers must be 1 or more, got {count}")
    _check_shares(options)
    accents, impediments = _accents(options, count, seed), _impediments(options, count, seed)
    cast = _cast(options)
    rng = Random(f"speakers {seed}")
    engines = _engines({name: weight for name, (weight, _) in cast.items()}, accents, rng)
    children = mark(options.children, count, rng)
    turns = dict.fromkeys(cast, 0)
    speakers = []
    for number, (engine, child) in enumerate(zip(engines, children, strict=True)):
        voices = cast[engine][1]
        voice = voices[turns[engine] % len(voices)]
        turns[engine] += 1
        own = Random(f"speaker {seed} {number}")
        person = _draw(own, f"sim{number:04d}-{engine}-{voice.name}", engine, voice, child=child)
        speakers.append(_with_traits(person, accents[number], impediments[number]))
    return speakers


def speaking(options: SpeakerOptions) -> dict[str, list[str]]:
    """The installed voices, by engine, that speakers are drawn from; none where the voices were named."""
    if options.voices:
        return {}
    names = sorted(options.weights or ENGINES)
    usual = {name: [voice.name for voice in _usual(find_engine(name))] for name in names}
    return {name: voices for name, voices in usual.items() if voices}


def own_voice(name: str) -> PseudoSpeaker:
    """The speaker who is a voice as it comes, by `ENGINE:VOICE`."""
    engine, voice = find_voice(name)
    return PseudoSpeaker(name.replace(":", "-"), engine.name, voice.name)


def _check_shares(options: SpeakerOptions) -> None:
    shares = {"children": options.children, "accent": options.accent_share, "impediment": options.impediment_share}
    bad = [f"{name} {share:g}" for name, share in shares.items() if not 0 <= share <= 1]
    bad += [f"{name}={weight:g}" for name, weight in options.weights.items() if not weight >= 0]
    if bad:
        raise UsageError(f"a share is from 0 to 1 and a weight 0 or more, not {', '.join(bad)}")


def _accents(options: SpeakerOptions, count: int, seed: int) -> list[Trait | None]:
    check_traits(options.accents, find_accent)
    return draw_traits(options.accents, options.accent_share, ACCENTS, count, f"accents {seed}")


def _impediments(options: SpeakerOptions, count: int, seed: int) -> list[Trait | None]:
    if not options.impediments:
        return [None] * count
    from asradapt.simulation.impediments import IMPEDIMENTS, find_impediment

    check_traits(options.impediments, find_impediment)
    return draw_traits(options.impediments, options.impediment_share, IMPEDIMENTS, count, f"impediments {seed}")


def _with_traits(person: PseudoSpeaker, accent: Trait | None, impediment: Trait | None) -> PseudoSpeaker:
    if accent:
        person = replace(person, accent=accent.name, accent_strength=accent.strength or 0.0)
    if impediment:
        person = replace(person, impediment=impediment.name, impediment_strength=impediment.strength or 0.0)
    return person


def _engines(weights: Mapping[str, float], accents: Sequence[Trait | None], rng: Random) -> list[str]:
    """The engine of each speaker; whoever has an accent gets one that takes phones."""
    able = {name: weight for name, weight in weights.items() if ENGINES[name].takes_phones}
    number = len(accents) - accents.count(None)
    if number and not able:
        takers = [name for name in sorted(ENGINES) if ENGINES[name].takes_phones]
        raise UsageError(
            f"{', '.join(weights)} cannot be told how to pronounce words, so cannot have an accent; "
            f"these can: {', '.join(takers)}"
        )
    plain = iter(_by_quota(weights, len(accents) - number, rng))
    told = iter(_by_quota(able, number, rng))
    return [next(told if accent else plain) for accent in accents]


def _cast(options: SpeakerOptions) -> dict[str, tuple[float, list[Voice]]]:
    """The weight and the voices of each engine that is used."""
    for name in options.weights:
        find_engine(name)
    if options.voices:
        named: dict[str, list[Voice]] = {}
        for engine, voice in map(find_voice, options.voices):
            named.setdefault(engine.name, []).append(voice)
        chosen = {name: options.weights.get(name, ENGINES[name].weight) for name in named}
    else:
        named = {name: _usual(engine) for name, engine in ENGINES.items()}
        chosen = dict(options.weights) or {name: ENGINES[name].weight for name, usual in named.items() if usual}
    chosen = {name: weight for name, weight in chosen.items() if weight > 0}
    if options.weights and not chosen:
        raise UsageError("all weights of synthesisers are 0, so nobody can speak: give one a weight above 0")
    _require(chosen, named)
    return {name: (weight, named[name]) for name, weight in sorted(chosen.items())}


def _usual(engine: Engine) -> list[Voice]:
    return [voice for voice in engine.installed_voices() if voice.by_default]


def _require(chosen: Mapping[str, float], named: Mapping[str, Sequence[Voice]]) -> None:
    if not chosen:
        packages = " ".join(ENGINES[name].packages for name in sorted(ENGINES))
        raise SimulationError(f"no speech synthesiser is installed. On Debian: apt-get install {packages}")
    missing = [
        name
        for name in sorted(chosen)
        if not named.get(name) or not set(named[name]) <= set(ENGINES[name].installed_voices())
    ]
    if missing:
        packages = " ".join(ENGINES[name].packages for name in missing)
        raise SimulationError(f"not installed: {', '.join(missing)}. On Debian: apt-get install {packages}")


def _by_quota(weights: Mapping[str, float], count: int, rng: Random) -> list[str]:
    """`count` names in random order, each as often as its weight says, as exactly as possible."""
    total = sum(weights.values())
    given = dict.fromkeys(weights, 0)
    names = []
    for number in range(1, count + 1):
        behind = {name: number * weight / total - given[name] for name, weight in weights.items()}
        name = max(behind, key=lambda one: behind[one])
        given[name] += 1
        names.append(name)
    return rng.sample(names, count)


def _draw(rng: Random, name: str, engine: str, voice: Voice, *, child: bool) -> PseudoSpeaker:
    tract = _log_uniform(rng, *(CHILD_TRACTS[voice.sex] if child else TRACTS))
    rate = _log_uniform(rng, *(CHILD_RATES if child else RATES))
    if child:
        f0 = _log_uniform(rng, *CHILD_F0)
    else:
        # Pitch goes with the vocal tract; the more so where the engine keeps its own pitch.
        low, high = (0.72, 1.38) if voice.f0_range else (0.9, 1.1)
        f0 = voice.f0 * tract * _log_uniform(rng, low, high)
    return PseudoSpeaker(name, engine, voice.name, round(tract, 4), round(f0, 1), round(rate, 4), child)


def _log_uniform(rng: Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))
