"""What `asradapt evaluate --by` and `--dictionary` print, of hypotheses that need no model."""

from __future__ import annotations

import json

import pytest

SAID = "a b c d e f g h"
# speaker, group, age, and what three systems heard
ROWS = [
    ("ann", "f", "30", "a b c d e f g x", SAID, "a b c d e f x x"),
    ("amy", "f", "30", "a b c d e f x x", "a b c d e f g x", "x b c d e f g h"),
    ("ada", "f", "30", "a b c d e f g x", SAID, SAID),
    ("bob", "m", "abc", "a b c x x x x x", "a b c x x x x x", "a b c d x x x x"),
    ("ben", "m", "9", "a b x x x x x x", "a b c d e x x x", "a x c x x x x x"),
    ("bud", "m", "9", "a b c x x x x x", "a b c d x x x x", "a b c d x x x x"),
]


@pytest.fixture
def evaluate(asradapt, manifest, tmp_path):
    """Evaluates some of the systems; rows of speakers who are in `nameless` do not say who spoke."""

    def run(count, *arguments, nameless=()):
        rows = [
            {"audio_filepath": f"{name}.wav", "text": SAID, "group": group, "age": age}
            | ({} if name in nameless else {"speaker": name})
            for name, group, age, *_ in ROWS
        ]
        files = []
        for place in range(count):
            heard = [{"id": f"{row[0]}.wav", "text": row[3 + place]} for row in ROWS]
            files.append(tmp_path / f"s{place}.jsonl")
            files[-1].write_text("\n".join(map(json.dumps, heard)))
        systems = ",".join(map(str, files))
        return asradapt("evaluate", "--manifest", manifest(*rows), "--systems", systems, *arguments)

    return run


def lines(done, start):
    return [line for line in done.out.splitlines() if line.startswith(start)]


def test_groups_have_rates_with_intervals_and_the_systems_their_names(evaluate):
    done, content = evaluate(3, "--by", "group"), evaluate(3, "--by", "group", "--json").json
    (head,) = lines(done, "group ")
    assert "WER s0 (95%)" in head
    assert "WER s2 (95%)" in head
    assert "s1" not in head
    (found,) = content["groups"]
    assert found["systems"] == ["s0", "s2"]
    for group, line in zip(found["groups"], (lines(done, "f ")[0], lines(done, "m ")[0]), strict=True):
        for when in ("before", "after"):
            rate = group[when]
            assert f"{rate['wer']:.1%} ({100 * rate['low']:.1f} to {rate['high']:.1%})" in line
    gap = found["gap"]
    assert lines(done, f"gap of best and worst group: {gap['before']:.1%} s0, {gap['after']:.1%} s2 (")
    assert lines(done, "worse with s2 than with s0: ann 12.5% -> 25.0%")


def test_one_system_has_one_rate_and_nobody_gets_worse(evaluate):
    done = evaluate(1, "--by", "group")
    (head,) = lines(done, "group ")
    assert head.split() == ["group", "speakers", "words", "WER", "s0", "(95%)"]
    assert "+0.0%" not in done.out
    assert "worse" not in done.out.replace("best and worst", "")
    content = evaluate(1, "--by", "group", "--json").json
    assert content["changes"] == []
    assert content["groups"][0]["gap"]["after"] is None


def test_a_single_group_has_no_gap_and_odd_ages_are_told(evaluate):
    ages = evaluate(2, "--by", "age")
    assert [line.split()[0] for line in lines(ages, ("8-12", "30-49", "(unknown)"))] == [
        "8-12",
        "30-49",
        "(unknown)",
    ]
    assert "1 of 6 rows have an age that is neither years nor a known word, such as 'abc'" in ages.err
    assert evaluate(2, "--by", "age", "--json").json["warnings"][0] in ages.err
    alone = evaluate(2, "--by", "age", "--where", "group=f")
    assert lines(alone, "30-49")
    assert "gap" not in alone.out


def test_rows_without_a_speaker_are_told_and_without_any_nothing_is_said_of_other_people(evaluate):
    some = evaluate(2, "--json", nameless=("ann", "amy", "bob")).json
    assert "3 of 6 rows have no speaker and count as one person, (unnamed)" in some["warnings"][0]
    assert "3 of 6 rows have no speaker" in evaluate(2, nameless=("ann", "amy", "bob")).err
    none = evaluate(2, "--json", nameless=[row[0] for row in ROWS]).json
    assert none["warnings"] == []
    assert none["pairs"][0]["over_speakers"]["low"] is None
    assert none["pairs"][0]["over_utterances"]["low"] is not None


def test_a_dictionary_alone_prints_what_is_confused(evaluate, tmp_path):
    (tmp_path / "d.dict").write_text("e  IY1\nh  EY1 CH\nx  EH1 K S\n")
    done = evaluate(2, "--dictionary", tmp_path / "d.dict")
    (less,) = lines(done, "words confused less often with s1 than with s0: ")
    assert "h as x 6 -> 4" in less
    assert lines(done, "words confused more often with s1 than with s0: none")
    (sounds,) = lines(done, "sounds confused less often with s1 than with s0: ")
    assert "CH as S 6 -> 4" in sounds
    assert lines(done, "3 more confusions of words changed by one")
    assert lines(done, "18 misheard words left out of the sounds")
