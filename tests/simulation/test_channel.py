"""Channels: what they leave, what they change, and that nothing breaks."""

from __future__ import annotations

import numpy as np
import pytest
from voices import RATE, WORDS, make_voice

from asradapt.errors import UnknownName
from asradapt.simulation.channel import (
    CHANNELS,
    Channel,
    ChannelOptions,
    Codec,
    Microphone,
    Noise,
    apply,
    draw_channel,
    find_channel,
)
from asradapt.simulation.filters import high_pass, level, shape
from asradapt.simulation.noises import NOISES
from asradapt.simulation.rooms import HIGH_DECAY, Room, draw_room, impulse_response

ROOM = Room((5.0, 4.0, 2.6), (1.0, 1.5, 1.5), (2.5, 2.5, 1.2), rt60=0.5)
VOICE = make_voice()


def rng(seed=0):
    return np.random.default_rng(seed)


def through(channel, samples=VOICE, seed=0):
    return apply(samples, channel, rng(seed))


def band(samples, low, high):
    """Share of the power between two frequencies."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return power[(hertz >= low) & (hertz < high)].sum() / power.sum()


def decibels(ratio):
    return 20 * np.log10(ratio)


@pytest.mark.parametrize("channel", [Channel(), draw_channel(rng(), CHANNELS["clean"])])
def test_an_empty_channel_leaves_every_bit(channel):
    assert channel == Channel()
    assert through(channel).tobytes() == VOICE.tobytes()


@pytest.mark.parametrize("name", [name for name in CHANNELS if name != "clean"])
def test_presets_keep_length_level_and_range_and_are_decided_by_the_seed(name):
    for seed in range(6):
        channel = draw_channel(rng(seed), CHANNELS[name])
        heard = through(channel, seed=seed)
        assert heard.shape == VOICE.shape
        assert heard.dtype == np.float32
        assert np.isfinite(heard).all()
        assert np.abs(heard).max() <= 1
        assert abs(decibels(level(heard) / level(VOICE))) < 1.5
        assert heard.tobytes() == through(channel, seed=seed).tobytes()
        assert channel == draw_channel(rng(seed), CHANNELS[name])
    assert channel != draw_channel(rng(seed + 1), CHANNELS[name])


@pytest.mark.parametrize("length", [0, 1, 80, 399, 1601])
def test_short_recordings_and_silence_come_through(length):
    short = (0.1 * rng().standard_normal(length)).astype(np.float32)
    for seed in range(12):
        channel = draw_channel(rng(seed), ChannelOptions(room=1, noise=1, microphone=1, codec=1))
        heard = through(channel, short, seed)
        assert heard.shape == short.shape
        assert np.isfinite(heard).all()
        assert not through(channel, np.zeros(length, dtype=np.float32), seed).any()


def test_shares_decide_which_parts_are_there():
    drawn = [draw_channel(rng(seed), ChannelOptions(room=0.0, noise=1.0, microphone=0.5)) for seed in range(200)]
    assert all(channel.room is None and channel.noise is not None for channel in drawn)
    assert 70 < sum(channel.microphone is not None for channel in drawn) < 130


@pytest.mark.parametrize("rt60", [0.2, 0.5, 0.8])
def test_a_room_rings_for_its_reverberation_time(rt60):
    room = Room(ROOM.size, ROOM.source, ROOM.microphone, rt60)
    response = impulse_response(room, rng())
    for low, high, wanted in ((100, 1200, rt60), (4000, 8000, HIGH_DECAY * rt60)):
        spectrum = np.fft.rfft(response)
        hertz = np.fft.rfftfreq(len(response), 1 / RATE)
        part = np.fft.irfft(np.where((hertz >= low) & (hertz < high), spectrum, 0), len(response))
        left = np.cumsum(part[50:-800][::-1] ** 2)[::-1]
        curve = 10 * np.log10(left / left[0])
        seconds = 3 * (np.argmax(curve < -25) - np.argmax(curve < -5)) / RATE
        assert seconds == pytest.approx(wanted, rel=0.25)


def test_the_direct_sound_comes_first_and_in_time():
    click = np.zeros(RATE, dtype=np.float32)
    click[4000] = 0.5
    heard = through(Channel(room=ROOM), click)
    assert np.argmax(np.abs(heard)) == 4000
    assert np.abs(heard[:3900]).max() < 0.02 * np.abs(heard).max()
    assert level(heard[6000:9000]) > 0


def test_drawn_rooms_hold_both_people_and_keep_the_distance():
    for seed in range(100):
        room = draw_room(rng(seed), (0.1, 0.8), (0.2, 2.5))
        assert 0.1 <= room.rt60 <= 0.8
        assert all(0 < place < side for place, side in zip(room.source, room.size, strict=True))
        assert all(0 < place < side for place, side in zip(room.microphone, room.size, strict=True))
        assert np.linalg.norm(np.subtract(room.source, room.microphone)) <= 2.6


@pytest.mark.parametrize("colour", NOISES)
@pytest.mark.parametrize("snr", [5.0, 20.0])
def test_noise_is_as_loud_as_asked(colour, snr):
    heard = through(Channel(noise=Noise(colour, snr)))
    gain = np.dot(heard, VOICE) / np.dot(VOICE, VOICE) if colour != "babble" else level(heard) / level(VOICE)
    if colour == "babble":  # made of the voice itself: only the sum can be told
        pause = slice(round(WORDS[0][1] * RATE) + 400, round(WORDS[1][0] * RATE) - 400)
        assert level(heard[pause]) > 3 * level(VOICE[pause])
        return
    noise = heard / gain - VOICE
    assert decibels(level(VOICE) / level(noise)) == pytest.approx(snr, abs=1.0)


def test_colours_of_noise_differ_in_where_their_power_is():
    low = {colour: band(make(VOICE, rng()), 0, 300) for colour, make in NOISES.items()}
    assert low["white"] < 0.1 < low["pink"] < low["brown"]
    assert low["hum"] > 0.8


def test_a_microphone_equalises_and_clips():
    flat = (0.0,) * 7
    bright = through(Channel(microphone=Microphone((-12.0, -12.0, -6.0, 0.0, 6.0, 9.0, 9.0), 20.0)))
    assert band(bright, 1500, 8000) > 3 * band(VOICE, 1500, 8000)
    clipped = through(Channel(microphone=Microphone(flat, 20.0, clip=0.4)))
    assert np.mean(np.abs(clipped) > 0.999 * np.abs(clipped).max()) > 0.005
    assert np.mean(np.abs(VOICE) > 0.999 * np.abs(VOICE).max()) < 0.001


def test_high_pass_has_no_delay():
    heard = shape(VOICE, high_pass(60.0))
    assert np.corrcoef(heard, VOICE)[0, 1] > 0.98


def test_a_telephone_has_its_band_and_opus_its_own():
    white = (0.05 * rng().standard_normal(2 * RATE)).astype(np.float32)
    telephone = through(Channel(codec=Codec("telephone")), white)
    assert band(telephone, 350, 3300) > 0.93
    assert band(telephone, 4100, 8000) < 0.001
    good, bad = (through(Channel(codec=Codec("opus", quality))) for quality in (1.0, 0.0))
    likeness = [np.corrcoef(heard, VOICE)[0, 1] for heard in (good, bad)]
    assert likeness[0] > 0.95
    assert likeness[0] > likeness[1]


@pytest.mark.parametrize("name", ["mu-law", "opus", "telephone"])
def test_codecs_do_not_shift_the_sound(name):
    heard = through(Channel(codec=Codec(name, 1.0)))
    spectrum = np.fft.rfft(heard) * np.conj(np.fft.rfft(VOICE))
    lag = int(np.argmax(np.fft.irfft(spectrum, len(VOICE))))
    assert min(lag, len(VOICE) - lag) <= 2
    assert heard.tobytes() != VOICE.tobytes()


def test_an_unknown_preset_lists_the_known_ones():
    assert find_channel("room") is CHANNELS["room"]
    with pytest.raises(UnknownName, match=r"no channel named 'moon'; known: clean, laptop, .*telephone"):
        find_channel("moon")
