"""Duplicates by sound, levels and noise, and texts judged for one person with few recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from asradapt.recordings.duplicates import alike, correlation, same_sounds, spectrum
from asradapt.recordings.mismatch import LEAST_RECORDINGS, judge_texts, nearest, pool_texts
from asradapt.recordings.quality import LEAST_SECONDS, measure_quality

RATE = 16_000
TOKENS = {token: number for number, token in enumerate(("", " ", "'", *"abcdefghijklmnopqrstuvwxyz"))}
TEXTS = (
    "the cat sat on a mat",
    "four boats left at noon",
    "please open every window",
    "my uncle likes old maps",
    "rain fell on the garden",
    "she sings in the kitchen",
)


def hum(count, hertz=50.0, level=0.05):
    time = np.arange(count) / RATE
    return sum(level / k * np.sin(2 * np.pi * hertz * k * time) for k in range(1, 20)).astype(np.float32)


def groups_of(sounds):
    seconds, spectra = [len(one) / RATE for one in sounds], [spectrum(one, RATE) for one in sounds]
    return same_sounds(seconds, spectra, lambda place: sounds[place])


@pytest.fixture
def sounds(babble):
    return [babble(2.0, seed).numpy() for seed in (1, 2, 3)]


def test_hum_and_dc_offset_make_nothing_alike(sounds):
    loud = [one + hum(len(one), level=0.3) + 0.4 for one in sounds]
    assert groups_of(loud) == []
    assert correlation(loud[0], loud[1]) < 0.2
    quiet = [0.001 * one + hum(len(one), level=0.3) for one in sounds]
    assert groups_of(quiet) == []


@pytest.mark.parametrize("silence", [0.05, 0.15, 0.3])
def test_a_copy_with_silence_in_front_is_a_duplicate(sounds, silence):
    late = np.concatenate([np.zeros(round(silence * RATE), np.float32), 0.5 * sounds[0]])
    assert groups_of([*sounds, late]) == [[0, 3]]


@pytest.mark.parametrize(("hertz", "seconds"), [(120.0, 3.0), (400.0, 8.0), (400.0, 0.5)])
def test_two_hums_of_one_pitch_are_alike_only_where_one_is_a_copy(hertz, seconds):
    time = np.arange(round(seconds * RATE)) / RATE
    first, second = (
        sum(0.1 / k * np.sin(2 * np.pi * k * (hertz * time + phase)) for k in range(1, 7)).astype(np.float32)
        for phase in (0.0, 0.3)
    )
    assert correlation(first, second) > 0.4  # or else the test shows nothing
    assert not alike(first, second)
    assert alike(first, 0.5 * first)


def test_a_copy_with_hum_and_noise_is_a_duplicate(sounds):
    noise = np.random.default_rng(0).normal(0, 0.005, len(sounds[1])).astype(np.float32)
    assert groups_of([*sounds, sounds[1] + hum(len(noise), level=0.02) + noise]) == [[1, 3]]


def test_what_a_telephone_leaves_out_is_not_in_the_spectrum(sounds):
    power = np.fft.rfft(sounds[0])
    hertz = np.fft.rfftfreq(len(sounds[0]), 1 / RATE)
    narrow = np.fft.irfft(np.where(hertz < 3800, power, 0), len(sounds[0])).astype(np.float32)
    whistle = sounds[0] + 0.3 * np.sin(2 * np.pi * 6000 * np.arange(len(sounds[0])) / RATE).astype(np.float32)
    for other in (narrow, whistle):
        assert np.abs(spectrum(other, RATE) - spectrum(sounds[0], RATE)).max() < 0.5  # dB
        assert groups_of([*sounds, other]) == [[0, 3]]


def test_silence_is_like_nothing():
    silence = np.zeros(RATE, np.float32)
    assert correlation(silence, silence) == 0.0


def speech_with_pauses(noise):
    generator = np.random.default_rng(1)
    loud = np.repeat([0, 1, 1, 0, 1, 1, 1, 0], RATE // 4)
    samples = 0.2 * loud * generator.standard_normal(len(loud)) + noise * generator.standard_normal(len(loud))
    return samples.astype(np.float32)


@pytest.mark.parametrize("snr", [40, 20, 10])
def test_noise_is_measured_in_decibels(snr):
    found = measure_quality(speech_with_pauses(0.2 * 10 ** (-snr / 20)), RATE, 0.0)
    assert found.snr == pytest.approx(snr - 3, abs=2)  # this speech is as loud as its loudest frames
    assert ("noisy" in found.notes) == (snr < 18)
    assert found.problem == ""


def test_silence_at_the_ends_is_measured():
    found = measure_quality(speech_with_pauses(0.001), RATE, 0.0)
    assert (found.lead, found.tail) == pytest.approx((0.25, 0.25), abs=0.03)
    assert found.notes == ()
    cut = measure_quality(speech_with_pauses(0.001)[RATE // 4 :], RATE, 0.0)
    assert cut.notes == ("cut off",)
    long = np.concatenate([speech_with_pauses(0.001), 0.001 * np.ones(4 * RATE, np.float32)])
    assert measure_quality(long, RATE, 0.0).notes == ("long silence",)


def test_quiet_and_clipped_recordings_should_be_made_again():
    samples = speech_with_pauses(0.001)
    assert "very quiet" in measure_quality(0.002 * samples, RATE, 0.0).problem
    assert "clipped: 8.0%" in measure_quality(samples, RATE, 0.08).problem
    assert measure_quality(samples, RATE, 0.01).notes == ("clipped",)


def test_in_less_than_a_second_noise_is_not_told():
    samples = speech_with_pauses(0.1)[: int(LEAST_SECONDS * RATE) - 1]
    assert measure_quality(samples, RATE, 0.0).snr is None
    assert measure_quality(samples[:10], RATE, 0.0).notes == ()


def scores(text, sure=6.0):
    """Log probabilities (F, V) of a model that hears a text: two frames a letter, a blank between."""
    logits = torch.zeros(3 * len(text), len(TOKENS))
    for place, letter in enumerate(text):
        logits[3 * place : 3 * place + 2, TOKENS[letter]] = sure
        logits[3 * place + 2, 0] = sure
    return logits.log_softmax(dim=-1)


def test_right_texts_are_believed_and_swapped_ones_are_found():
    heard = [scores(text) for text in TEXTS]
    right = judge_texts(TEXTS, heard, TOKENS)
    assert (right.told, right.suspects) == (True, ())
    swapped = [TEXTS[n] for n in (0, 4, 2, 3, 1, 5)]
    found = judge_texts(swapped, heard, TOKENS)
    assert found.suspects == (1, 4)
    assert [found.fits[n].other for n in (1, 4)] == [TEXTS[1], TEXTS[4]]


def test_a_text_that_nobody_else_reads_is_found_too():
    texts = [*TEXTS[:5], "cows eat green grass all day"]
    assert judge_texts(texts, [scores(text) for text in TEXTS], TOKENS).suspects == (5,)


def test_a_model_that_hears_nothing_cannot_tell():
    heard = [scores(text, sure=0.0) for text in TEXTS]
    found = judge_texts(TEXTS, heard, TOKENS)
    assert (found.told, found.suspects) == (False, ())
    most_wrong = judge_texts([*TEXTS[1:], TEXTS[0]], [scores(text) for text in TEXTS], TOKENS)
    assert (most_wrong.told, most_wrong.suspects) == (False, ())


def test_a_person_who_is_heard_badly_all_along_is_believed():
    heard = [scores(text, sure=3.0) for text in TEXTS]
    found = judge_texts(TEXTS, heard, TOKENS)
    assert (found.told, found.suspects) == (True, ())
    assert found.fits[0].margin < judge_texts(TEXTS, [scores(t) for t in TEXTS], TOKENS).fits[0].margin


def test_short_texts_and_few_recordings_are_not_judged():
    digits = ["one", "two", "three", "four", "five"]
    found = judge_texts(digits, [scores(text) for text in digits[1:] + digits[:1]], TOKENS)
    assert not any(fit.judged for fit in found.fits)
    assert found.suspects == ()
    few = LEAST_RECORDINGS - 1
    assert not any(fit.judged for fit in judge_texts(TEXTS[:few], [scores(t) for t in TEXTS[:few]], TOKENS).fits)


def test_other_texts_are_of_about_the_same_length():
    assert len(pool_texts()) > 300
    chosen = nearest(pool_texts(), 30, 40)
    assert len(chosen) == 40
    assert max(abs(len(text) - 30) for text in chosen) <= 5
    assert nearest(["bb", "aa", "cccc"], 2, 2) == ["aa", "bb"]


def test_a_model_that_cannot_write_the_pool_has_too_few_texts_to_tell():
    letters = {"": 0, "a": 1, "b": 2, " ": 3}
    texts = ["ab ab ab ab ab", "ba ba ba ba ba", "aa bb aa bb aa", "bb aa bb aa bb"]
    heard = [torch.zeros(60, 4).log_softmax(dim=-1)] * 4
    assert not any(fit.judged for fit in judge_texts(texts, heard, letters).fits)
