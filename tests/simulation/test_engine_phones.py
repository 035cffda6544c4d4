"""Phones that are given to a synthesiser must be heard; skipped where it is not installed."""

import numpy as np
import pytest

from asradapt.simulation.engines import ENGINES, Line
from asradapt.simulation.engines.spelling import marked, radio, respelt
from asradapt.simulation.phones import CONSONANTS, VOWELS

SINK = ("S", "IH1", "NG", "K")
SOME = {"espeak": ("en-us+m2", "en-gb-scotland+f1")}  # of many voices that do the same
VOICES = [
    pytest.param(
        name,
        voice,
        id=f"{name}-{voice.name}",
        marks=pytest.mark.skipif(not engine.installed() or not engine.has_voice(voice), reason="not installed"),
    )
    for name, engine in ENGINES.items()
    if engine.takes_phones
    for voice in engine.voices
    if name not in SOME or voice.name in SOME[name]
]


def spectra(samples):
    """Log energies (F, 32) of 10 ms frames."""
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 200), 400)[::160] * np.hanning(400)
    power = np.abs(np.fft.rfft(frames, axis=1))[:, :192] ** 2
    return np.log(power.reshape(len(power), 32, 6).sum(axis=2) + 1e-4)


def distance(one, other):
    """Mean spectral distance along the best alignment (dynamic time warping)."""
    one, other = spectra(one), spectra(other)
    local = np.sqrt(np.square(one[:, None] - other).mean(axis=2))
    total = np.full((len(one) + 1, len(other) + 1), np.inf)
    total[0, 0] = 0
    for i, j in np.ndindex(local.shape):
        total[i + 1, j + 1] = local[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    return total[-1, -1] / (len(one) + len(other))


def say(name, *lines):
    return [samples for samples, _ in ENGINES[name].speak_all(lines)]


@pytest.mark.parametrize(("name", "voice"), VOICES)
def test_think_with_the_phones_of_sink_sounds_like_sink(name, voice):
    think, sink, told = say(
        name,
        Line("we think so", voice),
        Line("we sink so", voice),
        Line("we think so", voice, phones={"think": SINK}),
    )
    if name == "pico":  # no lexicon: tells a word and phones apart in prosody
        assert distance(told, sink) < 0.6 * distance(told, think)
    else:
        np.testing.assert_array_equal(told, sink)
        assert not np.array_equal(told, think)


@pytest.mark.parametrize(("name", "voice"), VOICES)
def test_phones_do_not_leak_into_the_next_line(name, voice):
    alone, *rest = say(
        name,
        Line("we think so", voice),
        Line("we think so", voice, phones={"think": SINK}),
        Line("we think so", voice, phones={"so": ("N", "OW1")}),
        Line("we think so", voice),
        Line("we think so", voice, phones={}),
    )
    assert not np.array_equal(rest[0], alone)
    assert not np.array_equal(rest[1], rest[0])
    np.testing.assert_array_equal(rest[2], alone)
    np.testing.assert_array_equal(rest[3], alone)


@pytest.mark.parametrize(("name", "voice"), VOICES)
def test_every_phone_is_heard(name, voice):
    # A phone under a wrong name is silently left out, so that the word would sound as without it.
    vowels = [f"{vowel}1" for vowel in sorted(VOWELS)] + ["AH0", "ER0"]
    words = [("T", vowel) for vowel in vowels] + [("IY1", consonant, "AH0") for consonant in sorted(CONSONANTS)]
    lines = [Line("the thing is", voice, phones={"thing": word}) for word in (*words, ("IY1", "AH0"), ("T",))]
    *said, hiatus, stop = (samples.tobytes() for samples in say(name, *lines))
    assert not {hiatus, stop} & set(said)
    assert len(set(said)) >= len(said) - 1  # Scottish English has one vowel in foot and goose


@pytest.mark.parametrize(("name", "voice"), VOICES)
def test_a_word_with_an_apostrophe_is_told_too(name, voice):
    plain, told = say(
        name,
        Line("i don't know john's name", voice),
        Line("i don't know john's name", voice, phones={"don't": ("S", "UW1"), "john's": ("M", "AA1")}),
    )
    assert distance(plain, told) > 0.1


def test_the_text_is_marked_and_respelt():
    line = Line("we don't & dont, We!", ENGINES["flite"].voices[0], phones={"don't": SINK, "we": ("W", "IY2")})
    assert respelt(line) == ("we donth & dont, we!", {"donth": SINK, "we": ("W", "IY2")})
    assert marked(line, lambda phones: f"<{'.'.join(phones)}>", lambda text: text.replace("&", "+")) == (
        "<W.IY2> <S.IH1.NG.K> + dont, <W.IY2>!"
    )
    assert radio(("AH0", "B", "AW2", "T", "ER0")) == "ax0 b aw1 t er0"
