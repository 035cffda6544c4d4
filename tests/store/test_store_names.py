"""Which speaker names are accepted, and what the refusals say."""

from __future__ import annotations

import pytest

from asradapt.errors import InvalidSpeakerName
from asradapt.store import validate_speaker


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "7",
        "ann",
        "Ann B",
        "o'brien",
        "ann@example.org",
        "speaker-01_b.c",
        "日本",
        "Zoë",
        "प्रिया",
        "Ольга",
        "محمد",
        "console",
        "com10",
        "x" * 64,
        "é" * 64,
        "a.con",
    ],
)
def test_valid_names(name: str) -> None:
    assert validate_speaker(name) == name


def test_names_are_composed() -> None:
    assert validate_speaker("Zoe\u0308") == "Zo\u00eb"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is empty"),
        ("a/b", "contains '/'; allowed are 1 to 64 letters"),
        ("a\\b", r"contains '\\\\'"),
        ("a\nb", r"contains '\\n'"),
        ("a\0b", r"contains '\\x00'"),
        ("a:b*c", r"contains '\*', ':'"),
        ("\ud800a", r"contains '\\ud800'"),
        ("a\u202eb", r"contains '\\u202e'"),
        ("🙂", "contains '🙂'"),
        ("..", "does not begin .* does not end .* contains '..'"),
        (".", "does not begin"),
        (".hidden", "does not begin"),
        (" a", "does not begin"),
        ("\u0301a", "does not begin"),
        ("a ", "does not end"),
        ("a.", "does not end"),
        ("a..b", "contains '..'"),
        ("x" * 65, "has 65 characters, the limit is 64"),
        ("x" * 300, r"'x{40}\.\.\.' has 300 characters"),
        ("𠀀" * 51, "takes 204 bytes, the limit is 200"),
        ("con", "reserved device name"),
        ("NUL.txt", "reserved device name"),
        ("lpt1 .x", "reserved device name"),
    ],
)
def test_invalid_names(name: str, said: str) -> None:
    with pytest.raises(InvalidSpeakerName, match=said):
        validate_speaker(name)


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("a/b", "a-b"),
        ("../../etc/passwd", "etc-passwd"),
        (" ann ", "ann"),
        ("O’Brien", "O'Brien"),
        ("con", "speaker-con"),
        ("x" * 300, "x" * 64),
        ("a....b", "a.b"),
        ("ann (left)", "ann -left"),
    ],
)
def test_a_similar_valid_name_is_suggested(name: str, suggestion: str) -> None:
    assert validate_speaker(suggestion) == suggestion
    with pytest.raises(InvalidSpeakerName, match=f"Try {suggestion!r}$"):
        validate_speaker(name)


def test_no_suggestion_where_nothing_is_left() -> None:
    with pytest.raises(InvalidSpeakerName) as caught:
        validate_speaker("🙂")
    assert "Try" not in str(caught.value)
