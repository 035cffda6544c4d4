from collections import Counter
from dataclasses import replace

import pytest

from asradapt.errors import UnknownName, UsageError
from asradapt.simulation.accents import ACCENTS
from asradapt.simulation.engines import ENGINES
from asradapt.simulation.traits import Trait, check_traits, draw_traits
from asradapt.simulation.voices import SpeakerOptions, draw_speakers


@pytest.fixture(autouse=True)
def all_installed(monkeypatch):
    for engine in ENGINES.values():
        monkeypatch.setattr(type(engine), "installed", lambda self: True)
        monkeypatch.setattr(type(engine), "has_voice", lambda self, voice: voice in self.voices)


def draw(count=40, seed=1, **options):
    return draw_speakers(count, seed, SpeakerOptions(**options))


def test_only_engines_that_take_phones_speak_with_an_accent():
    speakers = draw(60, accents=(Trait("random"),), accent_share=0.5)
    accented = [person for person in speakers if person.accent]
    assert len(accented) == 30
    assert all(ENGINES[person.engine].takes_phones for person in accented)
    assert any(not ENGINES[person.engine].takes_phones for person in speakers if not person.accent)
    assert all(person.accent_strength == 0 for person in speakers if not person.accent)


def test_everybody_has_one_of_the_accents_that_were_asked_for():
    speakers = draw(80, accents=(Trait("hindi"), Trait("german", 0.5)))
    assert {(p.accent, p.accent_strength == 0.5) for p in speakers} == {("hindi", False), ("german", True)}
    strengths = [p.accent_strength for p in speakers if p.accent == "hindi"]
    assert min(strengths) < 0.45 < 0.85 < max(strengths)
    assert all(0.3 <= strength <= 1 for strength in strengths)


def test_random_draws_from_all_accents():
    counts = Counter(person.accent for person in draw(200, accents=(Trait("random", 0.0),)))
    assert set(counts) == set(ACCENTS)
    assert draw(9, accents=(Trait("random", 0.0),))[0].accent_strength == 0.0


def test_the_seed_decides():
    options = {"accents": (Trait("random"),), "accent_share": 0.7}
    assert draw(**options) == draw(**options)
    assert [p.accent for p in draw(**options)] != [p.accent for p in draw(seed=2, **options)]


def test_without_traits_speakers_are_what_they_were():
    plain = draw()
    assert all(person.accent is person.impediment is None for person in plain)
    assert draw(accents=(Trait("random"),), accent_share=0.0) == plain
    # An accent that stays among the same engines leaves voice, pitch and vocal tract as they are.
    accented = draw(weights={"flite": 1}, accents=(Trait("french"),))
    assert [replace(p, accent=None, accent_strength=0.0) for p in accented] == draw(weights={"flite": 1})


def test_an_impediment_is_drawn_the_same_way():
    impediments = pytest.importorskip("asradapt.simulation.impediments")
    speakers = draw(80, impediments=(Trait("random"),), impediment_share=0.25)
    drawn = [person for person in speakers if person.impediment]
    assert len(drawn) == 20
    assert {person.impediment for person in drawn} <= set(impediments.IMPEDIMENTS)
    assert all(0.3 <= person.impediment_strength <= 1 for person in drawn)
    assert [replace(p, impediment=None, impediment_strength=0.0) for p in speakers] == draw(80)
    with pytest.raises(UnknownName, match="impediment named 'hiccup'"):
        draw(impediments=(Trait("hiccup"),))


def test_an_unknown_accent_lists_the_known_ones():
    with pytest.raises(UnknownName, match=r"'klingon'; known: arabic, french"):
        draw(accents=(Trait("german"), Trait("klingon")))


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_a_strength_outside_its_range_is_an_error(strength):
    with pytest.raises(UsageError, match="strength"):
        draw(accents=(Trait("german", strength),))


def test_an_engine_that_takes_no_phones_cannot_have_an_accent():
    with pytest.raises(UsageError, match=r"rhvoice cannot .* these can: espeak, festival, flite, pico"):
        draw(weights={"rhvoice": 1}, accents=(Trait("german"),))
    with pytest.raises(UsageError, match="rhvoice cannot"):
        draw(voices=("rhvoice:slt",), accents=(Trait("german"),))
    assert len(draw(weights={"rhvoice": 1}, accents=(Trait("german"),), accent_share=0.0)) == 40


def test_a_share_is_met_and_nobody_has_a_trait_without_one():
    assert draw_traits((), 1.0, ["a"], 3, "s") == [None, None, None]
    drawn = draw_traits((Trait("a", 0.5),), 0.4, ["a", "b"], 10, "s")
    assert Counter(drawn) == {None: 6, Trait("a", 0.5): 4}
    check_traits((Trait("random", 1.0),), lambda name: pytest.fail("random is no name"))
