"""How a recording was made: a room, noise, a microphone and a codec, each there or not.

Shapes: T samples at 16 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.errors import UnknownName
from asradapt.simulation.filters import high_pass, level, shape
from asradapt.simulation.lines import through_codec
from asradapt.simulation.noises import add_noise
from asradapt.simulation.rooms import Room, draw_room, reverberate

_OCTAVES = np.log(np.array([125.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0, 8000.0]))
_PEAK = 0.98

Range = tuple[float, float]


@dataclass(frozen=True)
class Noise:
    """Noise of a kind in `noises.NOISES`, `snr` dB below the speech."""

    colour: str
    snr: float


@dataclass(frozen=True)
class Microphone:
    """What a microphone and its amplifier do.

    Attributes:
        equaliser: Gains in dB at 125, 250, ... 8000 Hz; between them they change smoothly.
        high_pass: Hz below which it hears less.
        clip: Share of the largest peak at which the signal is cut; 1 cuts nothing.
    """

    equaliser: tuple[float, ...]
    high_pass: float
    clip: float = 1.0


@dataclass(frozen=True)
class Codec:
    """A codec of `lines.CODECS`, and its quality from 0 (worst) to 1."""

    name: str
    quality: float = 0.5


@dataclass(frozen=True)
class Channel:
    """What is done to the samples, in this order; None is left out, and all None leaves every bit."""

    room: Room | None = None
    noise: Noise | None = None
    microphone: Microphone | None = None
    codec: Codec | None = None


@dataclass(frozen=True)
class ChannelOptions:
    """What channels are drawn.

    Attributes:
        room: Share of channels with a room.
        rt60: Seconds of reverberation.
        distance: Metres from mouth to microphone.
        noise: Share with noise.
        colours: Kinds of noise.
        snr: Decibels from the speech down to the noise.
        microphone: Share with a microphone that changes the sound.
        colouring: Standard deviation in dB of its equaliser.
        clipping: Share of microphones that clip.
        codec: Share with a codec.
        codecs: Names of codecs.
        quality: Of the codec, from 0 (worst) to 1.
        summary: One line for `asradapt simulate --list`.
    """

    room: float = 0.5
    rt60: Range = (0.1, 0.8)
    distance: Range = (0.2, 2.5)
    noise: float = 0.6
    colours: tuple[str, ...] = ("babble", "brown", "hum", "pink", "white")
    snr: Range = (5.0, 30.0)
    microphone: float = 0.6
    colouring: float = 4.0
    clipping: float = 0.2
    codec: float = 0.25
    codecs: tuple[str, ...] = ("mu-law", "opus", "telephone")
    quality: Range = (0.0, 1.0)
    summary: str = "anything, or nothing: each part with its own chance"


_CLEAN = ChannelOptions(room=0.0, noise=0.0, microphone=0.0, codec=0.0, summary="as it is spoken")

CHANNELS: dict[str, ChannelOptions] = {
    "clean": _CLEAN,
    "laptop": ChannelOptions(
        room=1.0,
        rt60=(0.2, 0.5),
        distance=(0.4, 0.9),
        noise=1.0,
        colours=("hum", "pink"),
        snr=(14.0, 26.0),
        microphone=1.0,
        codec=0.0,
        summary="a small room, half a metre away, with a fan or mains hum",
    ),
    "noisy": replace(_CLEAN, noise=1.0, snr=(5.0, 15.0), summary="noise 5 to 15 dB below the speech"),
    "opus": replace(_CLEAN, codec=1.0, codecs=("opus",), quality=(0.0, 0.6), summary="Opus at 6 to 12 kbit/s"),
    "random": ChannelOptions(),
    "room": replace(_CLEAN, room=1.0, rt60=(0.3, 0.8), distance=(0.8, 2.5), summary="a reverberant room"),
    "telephone": replace(
        _CLEAN,
        noise=0.5,
        snr=(15.0, 30.0),
        microphone=1.0,
        codec=1.0,
        codecs=("telephone",),
        summary="300 to 3400 Hz in 8 bits, often with noise",
    ),
}
"""Presets: a channel is drawn from them for each recording. `clean` leaves every bit, `random` is anything."""


def find_channel(name: str) -> ChannelOptions:
    """The preset of a name.

    Raises:
        UnknownName: Listing the known ones.
    """
    if name not in CHANNELS:
        raise UnknownName("channel", name, CHANNELS)
    return CHANNELS[name]


def draw_channel(rng: np.random.Generator, options: ChannelOptions | None = None) -> Channel:
    """Draw a channel; each part is there with its own share."""
    options = options or CHANNELS["random"]
    # All are drawn, and then left out or not: a share does not change what else is drawn.
    chance = rng.random(4)
    room = draw_room(rng, options.rt60, options.distance)
    noise = Noise(str(rng.choice(options.colours)), round(float(rng.uniform(*options.snr)), 2))
    microphone = _draw_microphone(rng, options)
    codec = Codec(str(rng.choice(options.codecs)), round(float(rng.uniform(*options.quality)), 3))
    return Channel(
        room if chance[0] < options.room else None,
        noise if chance[1] < options.noise else None,
        microphone if chance[2] < options.microphone else None,
        codec if chance[3] < options.codec else None,
    )


def _draw_microphone(rng: np.random.Generator, options: ChannelOptions) -> Microphone:
    gains = rng.normal(0, options.colouring, size=len(_OCTAVES))
    cutoff, clips, cut = rng.uniform(20, 180), rng.random(), rng.uniform(0.3, 0.9)
    equaliser = tuple(round(float(gain), 2) for gain in gains)
    return Microphone(
        equaliser, round(float(cutoff), 1), round(float(cut), 2) if clips < options.clipping else 1.0
    )


def apply(samples: Samples, channel: Channel, rng: np.random.Generator) -> Samples:
    """Record samples through a channel; times stay, and so does the level of the speech, nearly.

    Args:
        samples: (T,), float32 in [-1, 1], at 16 kHz.
        channel: As `draw_channel` makes it.
        rng: Draws the noise and the late reflections.

    Returns:
        Samples (T,), float32 in [-1, 1]; silence comes back as it was.
    """
    if channel == Channel():
        return samples
    before = level(samples)
    if not before:
        return samples
    heard = samples
    if channel.room:
        heard = reverberate(heard, channel.room, rng)
    if channel.noise:
        heard = add_noise(heard, channel.noise.colour, channel.noise.snr, rng)
    if channel.microphone:
        heard = _hear(heard, channel.microphone)
    if channel.codec:
        heard = through_codec(heard, channel.codec.name, channel.codec.quality)
    return _at(heard, before)


def record(samples: Samples, name: str, seed: str) -> Samples:
    """Record samples (T,) through a channel drawn from the preset of a name, decided by the seed.

    Raises:
        UnknownName: Listing the known presets.
    """
    rng = np.random.default_rng(Random(f"channel {seed}").getrandbits(64))
    return apply(samples, draw_channel(rng, find_channel(name)), rng)


def _hear(samples: Samples, microphone: Microphone) -> Samples:
    def gains(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        decibels = np.interp(np.log(np.maximum(hertz, 1.0)), _OCTAVES, microphone.equaliser)
        return np.asarray(10 ** (decibels / 20) * high_pass(microphone.high_pass)(hertz))

    heard = shape(samples, gains)
    most = microphone.clip * float(np.abs(heard).max())
    return np.clip(heard, -most, most) if microphone.clip < 1 else heard


def _at(samples: Samples, wanted: float) -> Samples:
    """Scale to a level, or as near as the peaks allow."""
    now = level(samples)
    if not now:
        return samples
    gain = min(wanted / now, _PEAK / float(np.abs(samples).max()))
    return np.asarray(samples * np.float32(gain), dtype=np.float32)
