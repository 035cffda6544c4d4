from pathlib import Path

import pytest

from asradapt.errors import SimulationError, TextError
from asradapt.simulation import pronunciations
from asradapt.simulation.engines import ENGINES
from asradapt.simulation.pronunciations import look_up, read_dictionary

WORDS = Path(__file__).parent / "words.dict"
needs_flite = pytest.mark.skipif(not ENGINES["flite"].installed(), reason="flite is not installed")


@pytest.fixture
def no_flite(monkeypatch):
    monkeypatch.setattr(type(ENGINES["flite"]), "installed", lambda self: False)
    monkeypatch.setattr(pronunciations, "_known", {})


def test_the_first_pronunciation_of_a_dictionary_counts():
    assert read_dictionary(WORDS)["the"] == ("DH", "AH0")
    assert look_up(["think", "think"], WORDS) == {"think": ("TH", "IH1", "NG", "K")}


@pytest.mark.parametrize("content", [None, "", "not a dictionary\n", "think TH1x IH\n"])
def test_what_is_no_dictionary_is_an_error(tmp_path, content):
    path = tmp_path / "x.dict"
    if content is not None:
        path.write_text(content)
    with pytest.raises(TextError, match="dictionary"):
        read_dictionary(path)


def test_without_dictionary_and_flite_the_error_says_what_to_do(no_flite):
    with pytest.raises(SimulationError, match=r"'think'.*dictionary.*apt-get install flite"):
        look_up(["think"])


def test_without_flite_words_that_the_dictionary_lacks_are_left_out(no_flite):
    assert set(look_up(["think", "xylomag"], WORDS)) == {"think"}


@needs_flite
def test_flite_tells_what_no_dictionary_does(monkeypatch):
    monkeypatch.setattr(pronunciations, "_known", {})
    assert look_up(["think", "vision", "the", "xylomag"], None) == {
        "think": ("TH", "IH1", "NG", "K"),
        "vision": ("V", "IH1", "ZH", "AH0", "N"),
        "the": ("DH", "AH0"),
        "xylomag": ("Z", "AY1", "L", "OW0", "M", "AE0", "G"),
    }
    assert look_up(["think", "zoo"], WORDS)["think"] == ("TH", "IH1", "NG", "K")


@needs_flite
def test_flite_is_asked_once_for_many_words(monkeypatch):
    monkeypatch.setattr(pronunciations, "_known", {})
    asked = []
    run = pronunciations.run_program
    monkeypatch.setattr(pronunciations, "run_program", lambda command: asked.append(command) or run(command))
    words = ["think", "red", "john's", "don't", "bed", "fish"]
    assert set(look_up(words)) == set(words)
    assert set(look_up(words)) == set(words)
    assert len(asked) == 1
