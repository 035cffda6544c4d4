"""Impediments: nothing at strength 0, more with more strength, the same by the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from voices import RATE, SECONDS, make_voice

from asradapt.errors import UnknownName, UsageError
from asradapt.simulation.conversion import log_envelope, stft
from asradapt.simulation.filters import level
from asradapt.simulation.impediments import IMPEDIMENTS, apply
from asradapt.simulation.psola import with_pitch
from asradapt.simulation.timing import gaps, stretch
from asradapt.simulation.voicing import STEP, track_pitch

VOICE = make_voice()
STRENGTHS = (0.1, 0.4, 0.7, 1.0)
SLOWER = ("dysarthria", "pauses", "prolongation", "repetition", "slowness", "stutter")


def impeded(name, strength, samples=VOICE, seed=3):
    return apply(samples, name, strength, np.random.default_rng(seed))


def pitches(samples):
    f0 = track_pitch(samples)
    return f0[f0 > 0]


def harmonicity(samples):
    """Mean correlation of loud 50 ms pieces with themselves a period later."""
    found = []
    for start in range(0, len(samples) - 1200, 400):
        piece = samples[start : start + 800]
        if np.sqrt(np.mean(piece**2)) > 0.3 * level(samples):
            found.append(max(np.corrcoef(piece, samples[start + lag :][:800])[0, 1] for lag in range(80, 200)))
    return np.mean(found)


def contrast(samples):
    """How much sounds differ: the spread of spectral envelopes, without loudness, where somebody speaks."""
    envelope = log_envelope(np.log(np.abs(stft(samples)) + 1e-2))
    loud = envelope.mean(axis=1, keepdims=True)
    return (envelope - loud)[loud[:, 0] > loud.max() - 1.5].std(axis=0).mean()


def increasing(values, least=0.0):
    return bool(np.all(np.diff(values) >= 0)) and values[-1] - values[0] > least


@pytest.mark.parametrize("name", IMPEDIMENTS)
def test_strength_zero_leaves_every_bit(name):
    assert impeded(name, 0.0).tobytes() == VOICE.tobytes()


@pytest.mark.parametrize("name", IMPEDIMENTS)
def test_a_seed_decides_all(name):
    once = impeded(name, 0.6)
    assert once.tobytes() == impeded(name, 0.6).tobytes()
    assert once.tobytes() != VOICE.tobytes()


@pytest.mark.parametrize("name", IMPEDIMENTS)
@pytest.mark.parametrize("strength", STRENGTHS)
def test_samples_stay_in_range_and_about_as_loud(name, strength):
    changed = impeded(name, strength)
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    assert np.abs(changed).max() <= 1
    assert abs(20 * np.log10(level(changed) / level(VOICE))) < 3
    assert len(VOICE) <= len(changed) < 4 * len(VOICE)
    assert name in SLOWER or len(changed) == len(VOICE)


@pytest.mark.parametrize("name", IMPEDIMENTS)
def test_silence_noise_and_scraps_come_through(name):
    rng = np.random.default_rng(0)
    for length in (0, 10, 1599, 1600, 5000):
        silent, noise = np.zeros(length, np.float32), (0.1 * rng.standard_normal(length)).astype(np.float32)
        assert not impeded(name, 1.0, silent).any()
        assert np.isfinite(impeded(name, 1.0, noise)).all()


@pytest.mark.parametrize("name", SLOWER)
def test_more_strength_takes_more_time(name):
    lengths = np.array(
        [[len(impeded(name, strength, seed=seed)) / RATE for strength in STRENGTHS] for seed in range(5)]
    )
    assert (lengths.mean(axis=0) > SECONDS).all()
    assert increasing(lengths.mean(axis=0), least=0.3), lengths
    if name not in ("dysarthria", "stutter"):  # in which one part changes the places that the next one finds
        assert all(increasing(row, least=-1e-9) for row in lengths), lengths


def test_slowness_is_exact_and_keeps_the_pitch():
    slow = impeded("slowness", 0.5)
    assert len(slow) == round(1.5 * len(VOICE))
    assert np.median(pitches(slow)) == pytest.approx(np.median(pitches(VOICE)), rel=0.03)


def test_pauses_are_put_where_it_is_soft_and_hold_no_voice():
    changed = impeded("pauses", 1.0)
    added = (len(changed) - len(VOICE)) / RATE
    assert added >= 0.4
    assert len(pitches(changed)) == pytest.approx(len(pitches(VOICE)), abs=6)


def test_prolongation_and_repetition_add_voice():
    for name in ("prolongation", "repetition"):
        more = [len(pitches(impeded(name, 1.0, seed=seed))) for seed in range(4)]
        assert np.mean(more) > 1.1 * len(pitches(VOICE)), name


def test_monopitch_flattens_the_melody_and_nothing_else():
    spreads = [np.log(pitches(impeded("monopitch", strength))).std() for strength in (0.0, *STRENGTHS)]
    assert increasing([-spread for spread in spreads], least=0.05)
    assert spreads[-1] < 0.02
    flat = impeded("monopitch", 1.0)
    assert np.median(pitches(flat)) == pytest.approx(np.median(pitches(VOICE)), rel=0.03)
    likeness = np.corrcoef(*(log_envelope(np.log(np.abs(stft(x)) + 1e-2)).ravel() for x in (flat, VOICE)))[0, 1]
    assert likeness > 0.95


def test_tremor_shakes_the_pitch():
    steady = make_voice(130.0, 130.0)
    spreads = [np.log(pitches(impeded("tremor", strength, steady))).std() for strength in STRENGTHS]
    assert increasing(spreads, least=0.03)


def test_breath_takes_the_place_of_harmonics():
    voiced = [harmonicity(impeded("breathiness", strength)) for strength in (0.0, *STRENGTHS)]
    assert increasing([-value for value in voiced], least=0.4)
    assert len(pitches(impeded("breathiness", 1.0))) < 0.3 * len(pitches(VOICE))


def test_imprecise_sounds_change_less():
    contrasts = [contrast(impeded("imprecise", strength)) for strength in (0.0, *STRENGTHS)]
    assert increasing([-value for value in contrasts], least=0.1 * contrasts[0])


def test_nasality_moves_power_below_the_first_formant():
    def share(samples):
        power = np.abs(np.fft.rfft(samples)) ** 2
        hertz = np.fft.rfftfreq(len(samples), 1 / RATE)
        return power[hertz < 400].sum() / power.sum()

    assert increasing([share(impeded("nasality", strength)) for strength in (0.0, *STRENGTHS)], least=0.1)


def test_dysarthria_is_slow_flat_and_imprecise():
    severe = impeded("dysarthria", 1.0)
    assert len(severe) > 1.5 * len(VOICE)
    assert np.log(pitches(severe)).std() < 0.7 * np.log(pitches(VOICE)).std()
    assert contrast(severe) < 0.8 * contrast(VOICE)


def test_an_unknown_name_and_a_strength_out_of_range_are_told():
    with pytest.raises(UnknownName, match=r"no impediment named 'lisp'; known: breathiness, dysarthria"):
        impeded("lisp", 0.5)
    for strength in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="from 0 to 1"):
            impeded("pauses", strength)


@pytest.mark.parametrize("hertz", [80.0, 120.0, 200.0, 320.0])
def test_pitch_is_tracked(hertz):
    found = track_pitch(make_voice(hertz, hertz))
    assert np.median(found[found > 0]) == pytest.approx(hertz, rel=0.01)
    assert len(found[found > 0]) * STEP / RATE == pytest.approx(1.55, abs=0.25)


def test_pitch_is_moved_to_where_it_is_wanted():
    f0 = track_pitch(VOICE)
    for factor in (0.8, 1.25):
        moved = pitches(with_pitch(VOICE, f0, f0 * factor))
        assert np.median(moved) == pytest.approx(factor * np.median(f0[f0 > 0]), rel=0.03)


def test_stretching_by_nothing_changes_nothing_and_gaps_are_the_pauses():
    same = stretch(VOICE, [(0, 0), (len(VOICE), len(VOICE))])
    assert np.abs(same - VOICE).max() < 1e-3
    assert [round(place / RATE, 1) for place in gaps(VOICE)] == pytest.approx([0.65, 1.3], abs=0.15)
