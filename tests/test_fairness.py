from __future__ import annotations

import json
import random

import pytest
from samples import made

from asradapt.comparison import Comparison, compare_pairs, fairness, spread, who_changed
from asradapt.errors import UsageError
from asradapt.scoring import score
from asradapt.scoring.groups import UNKNOWN, age_band, gap, gap_by_chance, group_of


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("6", "0-7"),
        ("8", "8-12"),
        ("12.9", "8-12"),
        ("70", "70+"),
        ("thirties", "thirties"),
        ("50-70", "50-70"),
        ("Adult", "Adult"),
        ("60+", "60+"),
        ("abc", UNKNOWN),
        ("7 years", "0-7"),
        ("25 years old", "18-29"),
        ("under 18", "under 18"),
        ("young adult", "young adult"),
        ("-1", UNKNOWN),
        ("999", UNKNOWN),
        ("nan", UNKNOWN),
    ],
)
def test_ages_come_in_bands(age, band):
    assert age_band(age) == band


def test_columns_are_crossed_and_missing_values_said():
    assert group_of({"age": "30", "gender": "f"}, "gender+age") == "f, 30-49"
    assert group_of({}, "gender") == UNKNOWN


ROWS = [
    ("ann", {"g": "f"}, "a b c d", "a b c d", "a b c d"),
    ("amy", {"g": "f"}, "a b c d", "a b c x", "a b c d"),
    ("bob", {"g": "m"}, "a b c d", "x x c d", "x b c d"),
    ("ben", {"g": "m"}, "a b c d", "x x x d", "x x x x"),
    ("cat", {}, "a b c d", "", ""),
]


def test_groups_are_pooled_and_the_unknown_do_not_make_the_gap():
    found = fairness(made(*ROWS), "g")
    assert [(g.name, g.speakers, g.counts[0].wer, g.counts[1].wer) for g in found.groups] == [
        ("f", 2, 1 / 8, 0.0),
        ("m", 2, 5 / 8, 5 / 8),
        (UNKNOWN, 1, 1.0, 1.0),
    ]
    assert (found.gap_before, found.gap_after) == (0.5, 0.625)
    assert found.groups[2].before.low is None
    # Of the 6 ways to draw two of four people, 2 give this gap or a greater one, before as after.
    assert found.chance_before == pytest.approx(1 / 3, abs=0.04)
    json.dumps(found.as_dict(), allow_nan=False)


def test_unknown_columns_are_named():
    with pytest.raises(UsageError, match="no row has the column 'accent'; the columns are g, speaker"):
        fairness(made(*ROWS), "accent+g")


def test_ages_are_ordered_by_years():
    rows = [(f"s{age}", {"age": str(age)}, "a", "a", "a") for age in (70, 9, 6, 30)]
    assert [group.name for group in fairness(made(*rows), "age").groups] == ["0-7", "8-12", "30-49", "70+"]


def test_the_gap_of_people_in_several_groups_has_no_chance():
    counts = [score("a b", "a b"), score("a b", "x y")]
    assert gap(counts, ["m", "n"]) == 1.0
    assert gap_by_chance(counts, ["m", "n"], ["ann", "ann"]) is None
    assert gap(counts, ["m", "m"]) is None


def test_real_gaps_are_seen_and_chance_is_not_called_a_gap():
    generator = random.Random(0)

    def chance(gap_size):
        speakers = [f"s{n}" for n in range(40) for _ in range(5)]
        groups = ["m" if int(s[1:]) % 2 else "f" for s in speakers]
        rates = {s: min(0.9, max(0.05, generator.gauss(0.4, 0.1))) for s in speakers}
        counts = [
            score(
                "a b c d e f",
                " ".join("x" if generator.random() < rates[s] + gap_size * (g == "m") else w for w in "abcdef"),
            )
            for s, g in zip(speakers, groups, strict=True)
        ]
        return gap_by_chance(counts, groups, speakers, samples=200)

    assert chance(0.3) < 0.02
    assert sum(chance(0.0) <= 0.1 for _ in range(40)) <= 11  # 4 expected


def test_who_got_worse_comes_first_with_the_chance_of_it():
    rows = [("bad", {}, "a b c d", "a b c d", "a b c x")] * 10 + [
        ("good", {}, "a b c d", "x b c d", "a b c d")
    ] * 10
    worse, better = who_changed(made(*rows))
    assert (worse.speaker, worse.before.wer, worse.after.wer) == ("bad", 0.0, 0.25)
    assert worse.worse == pytest.approx(2 / 2**10)  # ten of ten worse, for two people
    assert better.worse == 1.0


def test_the_spread_is_that_of_people():
    found = spread(made(*ROWS))
    assert list(found) == ["one", "two"]
    assert (found["one"]["0%"], found["one"]["50%"], found["one"]["100%"]) == (0.0, 0.5, 1.0)
    assert spread(Comparison(("one",), ())) == {"one": {}}


def test_a_group_named_by_a_sign_that_is_no_number_is_shown():
    rows = [(f"s{n}", {"place": "²12"[n % 3]}, "a b", "a x", "a b") for n in range(6)]
    assert [group.name for group in fairness(made(*rows), "place").groups] == ["²", "1", "2"]


def test_a_single_group_has_no_gap_and_the_unknown_are_no_group():
    rows = [(f"s{n}", {"age": "abc" if n < 2 else "30"}, "a b", "a x", "a b") for n in range(5)]
    found = fairness(made(*rows), "age")
    assert [(group.name, group.speakers) for group in found.groups] == [("30-49", 3), (UNKNOWN, 2)]
    assert (found.gap_before, found.gap_after, found.chance_before) == (None, None, None)
    (warning,) = found.warnings
    assert "2 of 5 rows have an age that is neither years nor a known word, such as 'abc'" in warning
    assert fairness(made(*ROWS), "g").warnings == ()


def test_two_people_have_no_interval_and_three_have_one():
    rows = [("a", {"g": "m"}, "a b c d", "x x x x", "a b c d"), ("b", {"g": "m"}, "a b c d", "a x c d", "a b c x")]
    (two,) = fairness(made(*rows), "g").groups
    assert (two.difference.low, two.before.low, two.after.high) == (None, None, None)
    assert compare_pairs(made(*rows))[0].over_speakers.low is None
    (three,) = fairness(made(*rows, ("c", {"g": "m"}, "a b c d", "a x x d", "a b x d")), "g").groups
    assert three.difference.low < three.difference.difference < three.difference.high


def test_one_system_has_groups_and_nothing_after():
    rows = [(speaker, fields, said, first) for speaker, fields, said, first, _ in ROWS]
    content = fairness(made(*rows, systems=("one",)), "g").as_dict()
    assert content["systems"] == ["one"]
    assert content["gap"] == {"before": 0.5, "after": None}
    assert all(group["after"] is None and group["difference"] is None for group in content["groups"])


def test_rows_without_a_speaker_are_nobody_in_the_gap_of_speakers():
    rows = [("ann", {}, "a b", "a b", "a b"), ("bob", {}, "a b", "a x", "a b"), (None, {}, "a b", "x x", "x x")]
    found = fairness(made(*rows), "speaker")
    assert [group.name for group in found.groups] == ["ann", "bob", UNKNOWN]
    assert (found.gap_before, found.gap_after) == (0.5, 0.0)
