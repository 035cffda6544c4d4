from __future__ import annotations

import pytest

from asradapt.errors import UnknownName, UsageError
from asradapt.scoring import NORMALIZER, normalize, score
from asradapt.scoring.english import ENGLISH, text_normalizer


def test_the_default_is_the_one_that_everything_uses():
    found, text = text_normalizer(), "Don\N{RIGHT SINGLE QUOTATION MARK}t!"
    assert found.name == NORMALIZER
    assert found(text) == normalize(text) == "don't"


def test_an_unknown_one_is_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match=NORMALIZER):
        text_normalizer("nonsense")


def test_without_the_library_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("asradapt.scoring.english.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"asradapt\[text\]"):
        text_normalizer(ENGLISH)


class TestEnglish:
    @pytest.fixture
    def english(self):
        pytest.importorskip("whisper_normalizer")
        return text_normalizer(ENGLISH)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("thirty six", "36"),
            ("two thousand and six", "2006"),
            ("I can't realise the colour", "i can not realize the color"),
            ("we'll see", "we will see"),
        ],
    )
    def test_other_ways_to_write_the_same_are_the_same(self, english, one, other):
        assert english(one) == english(other)
        assert score(english(one), english(other)).errors == 0
        assert score(one, other).errors > 0

    def test_different_numbers_stay_different(self, english):
        assert english("thirty six") != english("thirty seven")
        assert english("three thousand and six") != english("thirty six")

    def test_digits_in_a_row_keep_their_zeros_and_the_name_has_both_versions(self, english):
        assert english("zero three five one") == "0351"
        assert english("") == ""
        assert english.name.startswith("asradapt-english-1+whisper_normalizer-")
