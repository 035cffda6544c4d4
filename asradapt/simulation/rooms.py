"""The sound of a room: image sources for the early reflections, decaying noise for the late ones.

Shapes: T samples at 16 kHz, R samples of an impulse response.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asradapt.audio import Samples
from asradapt.simulation.conversion import SAMPLE_RATE
from asradapt.simulation.filters import fast_size, frequencies, high_pass, low_pass

SPEED = 343.0
"""Of sound, in metres a second."""
CROSSOVER = 2000.0
"""Hz above which walls and air swallow more."""
HIGH_DECAY = 0.65
"""The reverberation time above `CROSSOVER`, as a factor."""
_EARLY_S = 0.05
_BLEND_S = 0.02
_WALL = 0.3  # metres that nobody comes nearer to a wall

Position = tuple[float, float, float]


@dataclass(frozen=True)
class Room:
    """A shoebox with somebody who speaks and a microphone.

    Attributes:
        size: Length, width and height in metres.
        source: Where the mouth is, in metres from one corner.
        microphone: Where the microphone is.
        rt60: Seconds in which the sound falls by 60 dB, below `CROSSOVER`.
    """

    size: Position
    source: Position
    microphone: Position
    rt60: float


def draw_room(rng: np.random.Generator, rt60: tuple[float, float], distance: tuple[float, float]) -> Room:
    """Draw a room by ranges of its reverberation time (seconds) and of the microphone's distance (metres)."""
    size = rng.uniform((2.5, 2.5, 2.3), (8.0, 6.0, 3.4))
    microphone = rng.uniform(_WALL, size - _WALL)
    direction = rng.normal(size=3) * (1, 1, 0.3)
    away = math.exp(rng.uniform(*np.log(distance))) * direction / np.linalg.norm(direction)
    # A step that would leave the room is taken the other way.
    inside = np.abs(microphone + away - size / 2) < size / 2 - _WALL
    source = np.clip(np.where(inside, microphone + away, microphone - away), _WALL, size - _WALL)
    return Room(_position(size), _position(source), _position(microphone), float(rng.uniform(*rt60)))


def _position(values: NDArray[np.float64]) -> Position:
    x, y, z = (round(float(value), 3) for value in values)
    return x, y, z


def reverberate(samples: Samples, room: Room, rng: np.random.Generator) -> Samples:
    """Put samples (T,) into a room; the direct sound stays where it was, and what rings after the end is cut."""
    response = impulse_response(room, rng)
    size = fast_size(len(samples) + len(response))
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(samples)], dtype=np.float32)


def impulse_response(room: Room, rng: np.random.Generator) -> NDArray[np.float64]:
    """The response (R,) of a room, that starts with the direct sound as 1.

    Early reflections are the image sources of Allen and Berkley, "Image method for efficiently simulating
    small-room acoustics" (1979). The late ones are noise of the same power, as in Lehmann and Johansson,
    "Diffuse reverberation model for efficient image-source simulation of room impulse responses" (2010).
    Walls absorb as Eyring's formula says for the reverberation time; low and high frequencies are made apart.
    """
    length = int((room.rt60 + _EARLY_S) * SAMPLE_RATE)
    noise = rng.standard_normal(length)
    low = _response(room, room.rt60, length, noise)
    high = _response(room, HIGH_DECAY * room.rt60, length, noise)
    size = fast_size(2 * length)
    share = low_pass(CROSSOVER)(frequencies(size))
    spectrum = np.fft.rfft(low, size) * share + np.fft.rfft(high, size) * (1 - share)
    # All images have one sign, which adds up to a level that no room has (Allen and Berkley).
    spectrum *= high_pass(60.0)(frequencies(size))
    mixed = np.fft.irfft(spectrum, size)[:length]
    mixed[0] = 1.0
    return mixed


def _response(room: Room, rt60: float, length: int, noise: NDArray[np.float64]) -> NDArray[np.float64]:
    """One frequency band: images first, then noise, with the direct sound as 1 at the start."""
    volume = math.prod(room.size)
    direct = max(math.dist(room.source, room.microphone), 0.05)
    start = direct / SPEED
    seconds = np.arange(length) / SAMPLE_RATE
    early = np.clip((_EARLY_S - seconds) / _BLEND_S, 0, 1)
    # Images lie evenly in space: so many arrive in a sample, times the power (1 / distance)^2 of each.
    power = 4 * math.pi * SPEED / (volume * SAMPLE_RATE) * 10 ** (-6 * (seconds + start) / rt60)
    response = np.sqrt(early) * _images(room, rt60, length) + np.sqrt((1 - early) * power) * noise
    return np.asarray(response * direct)


def _images(room: Room, rt60: float, length: int) -> NDArray[np.float64]:
    """Image sources of the first `_EARLY_S`, in samples (R,) after the direct sound."""
    squares, bounces = np.zeros((1, 1, 1)), np.zeros((1, 1, 1))
    direct = math.dist(room.source, room.microphone)
    reach = direct + SPEED * _EARLY_S
    for axis, (side, source, microphone) in enumerate(zip(room.size, room.source, room.microphone, strict=True)):
        places, crossed = _along(side, source, reach)
        rest = [1, 1, 1]
        rest[axis] = -1
        squares = squares + np.square(places - microphone).reshape(rest)
        bounces = bounces + crossed.reshape(rest)
    distances = np.sqrt(squares).ravel()
    near = distances < reach
    distances, bounces = distances[near], bounces.ravel()[near]
    amplitudes = _reflection(room, rt60) ** bounces / np.maximum(distances, 0.05)
    delays = (distances - direct) / SPEED * SAMPLE_RATE
    response = np.bincount(np.round(delays).astype(int), amplitudes, minlength=length)[:length]
    return response.astype(np.float64)


def _along(side: float, source: float, reach: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the images along one side, and how many walls each has crossed."""
    turns = np.arange(-math.ceil(reach / (2 * side)) - 1, math.ceil(reach / (2 * side)) + 2)
    places = np.concatenate([2 * turns * side + source, 2 * turns * side - source])
    return places, np.concatenate([np.abs(2 * turns), np.abs(2 * turns - 1)]).astype(float)


def _reflection(room: Room, rt60: float) -> float:
    """The factor on the amplitude at each wall, by Eyring's formula."""
    x, y, z = room.size
    surface = 2 * (x * y + y * z + x * z)
    return math.exp(-0.5 * 0.161 * x * y * z / (surface * rt60))
