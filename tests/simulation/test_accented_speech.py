"""From a speaker with an accent to samples; skipped where flite is not installed."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asradapt.errors import SimulationError, SpeechError, TextError
from asradapt.simulation import speech
from asradapt.simulation.engines import ENGINES
from asradapt.simulation.plan import PlanOptions, fingerprint, plan
from asradapt.simulation.speech import Take, line_of, speak, speak_all
from asradapt.simulation.traits import Trait
from asradapt.simulation.voices import PseudoSpeaker, SpeakerOptions

WORDS = Path(__file__).parent / "words.dict"
TEXT = "we think about these very small things"
ANN = PseudoSpeaker("ann", "flite", "slt", tract=1.05, f0=180.0, accent="mandarin", accent_strength=1.0)
needs_flite = pytest.mark.skipif(not ENGINES["flite"].installed(), reason="flite is not installed")


def test_only_what_an_accent_changes_is_asked_of_the_engine():
    line, _ = line_of(Take(TEXT, ANN, dictionary=WORDS))
    assert line.text == TEXT
    assert line.phones
    assert set(line.phones) < set(TEXT.split())
    for person in (replace(ANN, accent_strength=0.0), replace(ANN, accent=None)):
        assert line_of(Take(TEXT, person, dictionary=WORDS))[0].phones is None


def test_a_speaker_has_one_accent_in_all_utterances_and_a_namesake_another():
    first, again = (line_of(Take(TEXT, ANN, seed=seed, dictionary=WORDS))[0].phones for seed in ("1", "2"))
    assert first == again
    assert any(line_of(Take(TEXT, replace(ANN, f0=f0), dictionary=WORDS))[0].phones != first for f0 in (150, 160))


def test_no_accent_needs_no_pronunciations(monkeypatch):
    monkeypatch.setattr(speech, "look_up", lambda *_: pytest.fail("looked up"))
    line_of(Take(TEXT, replace(ANN, accent_strength=0.0)))


def test_without_dictionary_and_flite_there_is_no_accent(monkeypatch):
    monkeypatch.setattr(type(ENGINES["flite"]), "installed", lambda self: False)
    monkeypatch.setattr("asradapt.simulation.pronunciations._known", {})
    with pytest.raises(SimulationError, match="give a dictionary"):
        speak_all([Take(TEXT, replace(ANN, engine="pico", voice="en-US"))])


@needs_flite
def test_an_accent_of_no_strength_is_bit_for_bit_none():
    none = speak(TEXT, replace(ANN, accent=None), dictionary=WORDS)
    np.testing.assert_array_equal(speak(TEXT, replace(ANN, accent_strength=0.0), dictionary=WORDS), none)
    strong = speak(TEXT, ANN, dictionary=WORDS)
    assert strong.shape != none.shape or not np.array_equal(strong, none)
    np.testing.assert_array_equal(strong, speak(TEXT, ANN, dictionary=WORDS))


@needs_flite
def test_flite_pronounces_what_no_dictionary_does():
    without = speak(TEXT, replace(ANN, accent=None))
    assert not np.array_equal(speak(TEXT, ANN), without)


@needs_flite
def test_words_of_many_lines_are_looked_up_together(monkeypatch):
    asked = []
    look_up = speech.look_up
    monkeypatch.setattr(
        speech, "look_up", lambda words, path: asked.append(words := list(words)) or look_up(words, path)
    )
    texts = ("think", "very small", "sing")
    said = speak_all([Take(text, ANN, dictionary=WORDS) for text in texts])
    assert asked[0] == ["think", "very", "small", "sing"]
    assert not any(isinstance(samples, SpeechError) for samples in said)


@needs_flite
def test_an_impediment_is_applied_with_the_seed_of_the_take(monkeypatch):
    impediments = pytest.importorskip("asradapt.simulation.impediments")
    calls = []

    def apply(samples, name, strength, rng):
        calls.append((name, strength, rng.random()))
        return samples[::-1].copy()

    monkeypatch.setattr(impediments, "apply", apply)
    person = replace(ANN, accent=None, impediment="stutter", impediment_strength=0.5)
    takes = [Take("think", person, seed=seed) for seed in ("1", "1", "2")]
    one, same, _ = speak_all(takes)
    np.testing.assert_array_equal(one, same)
    plain = speak_all([Take("think", replace(person, impediment=None), seed="1")])[0]
    np.testing.assert_allclose(one[::-1], plain, atol=1e-6)
    assert [call[:2] for call in calls] == [("stutter", 0.5)] * 3
    assert calls[0] == calls[1] != calls[2]


@needs_flite
def test_a_plan_hands_the_dictionary_and_accents_on():
    cast = SpeakerOptions(weights={"flite": 1}, accents=(Trait("spanish", 0.8),))
    options = PlanOptions(speakers=3, cast=cast, dictionary=WORDS)
    (task,) = plan([["we think so"]], options, count=1)
    assert task.take.dictionary == WORDS
    assert (task.row(1.0)["accent"], task.row(1.0)["accent_strength"]) == ("spanish", 0.8)


def test_plans_with_other_pronunciations_are_not_mixed(tmp_path):
    copy = tmp_path / "elsewhere.dict"
    copy.write_bytes(WORDS.read_bytes())
    with_words, moved, without = (
        fingerprint([["so"]], PlanOptions(dictionary=path))["dictionary"] for path in (WORDS, copy, None)
    )
    assert with_words == moved != without
    changed = tmp_path / "changed.dict"
    changed.write_text("so  S UW1\n")
    assert fingerprint([["so"]], PlanOptions(dictionary=changed))["dictionary"] != with_words
    with pytest.raises(TextError):
        fingerprint([["so"]], PlanOptions(dictionary=tmp_path / "missing"))
