"""Small parts of sentences."""

from __future__ import annotations

import pytest

from asradapt.wording import counted, first_of


@pytest.mark.parametrize(("number", "said"), [(0, "0 speakers"), (1, "1 speaker"), (2, "2 speakers")])
def test_one_is_not_many(number, said):
    assert counted(number, "speaker") == said


@pytest.mark.parametrize(("items", "said"), [("", ""), ("abc", "a; b; c"), ("abcde", "a; b; c; and 2 more")])
def test_the_first_are_named_and_the_others_counted(items, said):
    assert first_of(list(items), "; ") == said
