"""Which lines of a text are said, and why others are not."""

from __future__ import annotations

import pytest

from asradapt.errors import SimulationError
from asradapt.simulation.sentences import normalise, read_sentences, sift, told


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("The café, déjà vu!", "the cafe deja vu"),
        ("Ærø’s ﬁsh Straße", "aero's fish strasse"),
        ("cafe\N{COMBINING ACUTE ACCENT} İstanbul", "cafe istanbul"),
        # As ever: signs are no letters, not even those that Unicode would spell out.
        ("Windows™ № ½ it's ' don't—so", "windows it's don't so"),
        ("Привет", ""),
    ],
)
def test_accents_are_taken_off_and_signs_left_out(text, normal):
    assert normalise(text) == normal


def test_why_lines_are_left_out(tmp_path):
    lines = ["Good night.", "room 12b", "one two three four five", "", "damn it", "good night", "call me", "Да"]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("good night\nmy house\n")
    found = sift([tmp_path / "a.txt", tmp_path / "b.txt"], words=(1, 4), excluded={"call me"})
    assert (
        found.files
        == [["good night"], ["my house"]]
        == read_sentences([tmp_path / "a.txt", tmp_path / "b.txt"], words=(1, 4), excluded={"call me"})
    )
    assert told(found.left_out) == (
        "7 lines left out: 1 with digits, 1 longer than 4 words, 1 with profanity, 2 there twice, 1 excluded, "
        "1 without a letter of English"
    )
    assert told({}) == ""
    assert told({"excluded": 1}) == "1 line left out: 1 excluded"


def test_the_lines_of_prompts_are_sentences(tmp_path):
    (tmp_path / "prompts.txt").write_text("p001\tMy blue hat.\n17\tGood night.\nx\tgood day\np2\tbus 12\n")
    assert read_sentences([tmp_path / "prompts.txt"]) == [["my blue hat", "good night", "x good day"]]


def test_no_sentence_says_why(tmp_path):
    (tmp_path / "a.txt").write_text("room 12\nroom 13\n")
    with pytest.raises(SimulationError, match=r"no sentence to say.*; 2 with digits"):
        sift([tmp_path / "a.txt"])
    (tmp_path / "a.txt").write_text("\n")
    with pytest.raises(SimulationError, match="there is no line"):
        sift([tmp_path / "a.txt"])
