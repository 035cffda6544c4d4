from __future__ import annotations

from asradapt.fingerprints import START, Distinct, Fingerprints


def test_texts_and_their_numbers_survive_a_growing_table():
    found = Fingerprints()
    for number in range(3 * START):
        found[f"text {number}"] = number
    found["text 7"] = 70
    assert len(found) == 3 * START
    assert [found.get(f"text {number}") for number in (0, 7, 3 * START - 1)] == [0, 70, 3 * START - 1]
    assert found.get("another") is None
    assert "text 8" in found
    assert "another" not in found


def test_a_text_is_new_once():
    found = Fingerprints()
    assert [found.add(text) for text in ("a", "b", "a", "", "", "\udcff.wav")] == [
        True,
        True,
        False,
        True,
        False,
        True,
    ]
    assert len(found) == 4


def test_distinct_texts_are_counted_and_the_first_ones_kept():
    found = Distinct(most=2)
    assert str(found) == "none"
    for text in ("c", "a", "b", "a"):
        found.add(text)
    assert (str(found), len(found), found.first) == ("a, b and 1 more", 3, ["a", "b"])
    assert "c" in found
    assert "d" not in found
