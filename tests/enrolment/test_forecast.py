"""Forecasts: the exponent of a known curve, shrinkage, and when nothing is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from asradapt.enrolment import EnrolmentOptions, Setting
from asradapt.enrolment.forecast import (
    DRAWN,
    PART,
    SPREAD,
    TYPICAL,
    Accepted,
    curves,
    fit,
    foretell,
    make_forecast,
)
from asradapt.enrolment.past import Start
from asradapt.enrolment.people import make_person
from asradapt.enrolment.selection import Choice
from asradapt.scoring import ErrorCounts


def counts(rate, utterances, words=100, seed=0):
    generator = np.random.default_rng(seed)
    return tuple(
        ErrorCounts(int(n), 0, 0, words, 0, 5 * words) for n in generator.binomial(words, rate, utterances)
    )


@pytest.fixture
def accepted(examples):
    """A person whose error is `rate` after adaptation."""

    def make(rate, utterances=40, words=100, seconds=6.0):
        spoken = tuple(replace(one, seconds=seconds) for one in examples(utterances))
        person = make_person("ann", spoken, EnrolmentOptions())
        after = counts(rate, utterances, words)
        choice = Choice(Setting("input"), 4, 1.0, 1.0, after, (0.0,) * utterances, ("",) * utterances)
        return Accepted(person, choice, after)

    return make


def test_the_exponent_lies_between_that_of_the_folds_and_the_typical_one(accepted):
    one = accepted(0.2, utterances=60, words=2000)
    weight = SPREAD**2 / (SPREAD**2 + DRAWN**2)
    for seen in (0.1, 0.4):
        curve = fit(one, counts(0.2 * PART**-seen, 60, 2000, seed=1))
        assert curve.exponent == pytest.approx(weight * seen + (1 - weight) * TYPICAL, abs=0.02)
    forecast = make_forecast(curve, one.person.seconds)
    assert forecast.now < curve.rate  # everything is more than a fold trains on
    assert forecast.low < forecast.now - forecast.then < forecast.high
    assert forecast.then == pytest.approx(forecast.now * (540 / 360) ** -curve.exponent)


def test_nothing_is_foretold_where_training_began_with_a_version(accepted):
    one = accepted(0.2)
    assert one.enough
    going_on = replace(one.person, start=Start(version=1))
    assert not replace(one, person=going_on).enough


def test_with_few_words_the_folds_count_less_and_the_interval_is_wider(accepted):
    sure = fit(accepted(0.3, utterances=60, words=2000), counts(0.3, 60, 2000, seed=1))
    unsure = fit(accepted(0.3, utterances=12, words=2), counts(0.3, 12, 2, seed=1))
    assert unsure.exponents.std() > 1.2 * sure.exponents.std()
    assert min(unsure.exponents.min(), sure.exponents.min()) >= 0.0


def test_an_error_that_more_speech_does_not_lower_is_never_foretold_to_rise(accepted):
    curve = fit(accepted(0.5, utterances=60, words=2000), counts(0.2, 60, 2000, seed=1))
    assert curve.exponent == 0.0
    assert make_forecast(curve, 360.0).low >= 0.0


def test_the_same_recordings_give_the_same_forecast(accepted):
    one, less = accepted(0.3), counts(0.35, 40, seed=1)
    assert make_forecast(fit(one, less), 240) == make_forecast(fit(one, less), 240)


def test_the_sentence_names_both_rates_and_the_interval(accepted):
    text = str(make_forecast(fit(accepted(0.3), counts(0.4, 40, seed=1)), 240.0))
    assert text.startswith("3 more minutes of speech would bring about ")
    assert "80% interval" in text


def test_nothing_is_foretold_where_there_is_too_little(tone_model, accepted):
    few, short, perfect = accepted(0.3, utterances=11), accepted(0.3, seconds=1.0), accepted(0.0)
    assert foretell(tone_model, [few, short, perfect], EnrolmentOptions()) == {}


def test_a_part_of_each_fold_is_trained_on_and_judged_on_what_it_has_not_seen(tone_model, accepted):
    one = accepted(0.3, utterances=12)
    (found,) = curves(tone_model, [one], EnrolmentOptions(method="input"))
    assert found[0] is one
    assert found[1].seconds == pytest.approx(48.0)
    assert found[1].rates.shape == found[1].exponents.shape == (1000,)
