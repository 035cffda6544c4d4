from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest
import soundfile
from samples import store_speaker, write_rows

from asradapt.comparison import (
    Comparison,
    Scored,
    compare_pairs,
    compare_systems,
    fairness,
    from_evaluation,
    parse_systems,
    spread,
    who_changed,
)
from asradapt.comparison.matching import match, unmatched
from asradapt.errors import StoreError, UnknownName, UsageError
from asradapt.evaluation import evaluate
from asradapt.scoring import align, changes, confusions, holm, normalize, score, sound_alignments
from asradapt.scoring.groups import UNKNOWN, age_band, gap, gap_by_chance, group_of
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.types import Utterance

SAID = ("red", "the blue hats", "one two three four five")


@pytest.fixture(scope="module")
def tiny(tiny_model):
    return tiny_model(kernel=5)


@pytest.fixture(scope="module")
def store(tmp_path_factory, tiny):
    store = SpeakerStore(tmp_path_factory.mktemp("store"))
    for seed in (0, 1):  # two versions
        store_speaker(store, tiny, "ann", "affine", seed=seed)
    store_speaker(store, tiny, "bob", "affine", seed=2)
    return store


@pytest.fixture(scope="module")
def utterances(tmp_path_factory, babble):
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for number, text in enumerate(SAID):
        for index, speaker in enumerate(["ann", "bob"]):
            path = folder / f"{speaker}{number}.wav"
            soundfile.write(path, babble(0.5 + 0.2 * number, 2 * number + index).numpy(), 16_000)
            found.append(Utterance(path, text, speaker, fields={"age": str(6 + 30 * index)}))
    return found


def made(*rows, systems=("one", "two")):
    """A comparison by hand: rows of (speaker, fields, said, heard by each)."""
    scored = []
    for number, (speaker, fields, said, *heard) in enumerate(rows):
        utterance = Utterance(f"u{number}.wav", said, speaker, fields=fields)  # type: ignore[arg-type]
        scored.append(Scored(utterance, tuple(heard), tuple(score(said, text) for text in heard)))
    return Comparison(systems, tuple(scored))


# Systems


def test_systems_are_read():
    kinds = [
        (s.name, s.kind, s.speaker, s.version) for s in parse_systems("source, adapted,ann,ann@v2,b/x.trn,y=z.txt")
    ]
    assert kinds == [
        ("source", "source", "", None),
        ("adapted", "adapted", "", None),
        ("ann", "speaker", "ann", None),
        ("ann@v2", "speaker", "ann", 2),
        ("x", "file", "", None),
        ("y", "file", "", None),
    ]


@pytest.mark.parametrize(
    ("text", "said"), [("", "none is named"), ("source,source,a,a", "'a' .*'source' is named")]
)
def test_wrong_systems_are_refused(text, said):
    with pytest.raises(UsageError, match=said):
        parse_systems(text)


def test_our_systems_hear_what_the_transcriber_hears(tiny, store, utterances):
    found = compare_systems(parse_systems("source,adapted,ann,ann@v1"), utterances, model=tiny, store=store)
    plain = from_evaluation(evaluate(Transcriber(tiny, store), utterances))
    by_audio = {one.utterance.audio: one.texts for one in plain.utterances}
    for one in found.utterances:
        assert one.texts[:2] == by_audio[one.utterance.audio]
    own = [one for one in found.utterances if one.speaker == "ann"]
    assert all(one.texts[1] == one.texts[2] for one in own)  # the current version is the second
    assert any(one.texts[2] != one.texts[3] for one in own)  # and the first is another
    bob = [one for one in found.utterances if one.speaker == "bob"]
    assert any(one.texts[1] != one.texts[2] for one in bob)  # ann's adaptation for everybody
    assert [w for w in found.warnings if "ann@v1: this adaptation is used for 1 other people" in w]


def test_missing_speakers_and_versions_are_told_before_the_work(tiny, store, utterances):
    with pytest.raises(UnknownName, match="known: ann, bob"):
        compare_systems(parse_systems("source,eve"), utterances, model=tiny, store=store)
    with pytest.raises(StoreError, match="version"):
        compare_systems(parse_systems("ann@v9"), utterances, model=tiny, store=store)
    with pytest.raises(UsageError, match="'source' needs a source model"):
        compare_systems(parse_systems("source"), utterances)


def test_hypotheses_are_matched_by_any_name_and_missing_ones_are_deletions(tmp_path, utterances):
    names = [str(utterances[0].audio), utterances[1].audio.name, "ann1", "bob-bob1", "/elsewhere/x.wav"]
    path = write_rows(tmp_path / "other.jsonl", [{"id": n, "text": "the blue hats"} for n in names])
    found = compare_systems(parse_systems(str(path)), utterances)
    assert [one.texts[0] for one in found.utterances] == ["the blue hats"] * 4 + [""] * 2
    assert found.utterances[4].counts[0].deletions == 5
    missing, extra = found.warnings
    assert "2 of 6 utterances have no hypothesis" in missing
    assert "ann2, bob2" in missing
    assert "1 hypotheses belong to no utterance here: /elsewhere/x.wav" in extra
    assert found.systems == ("other",)


def test_marks_are_left_out_alternatives_chosen_and_both_told(tmp_path):
    rows = [Utterance(tmp_path / f"{n}.wav", "one two three") for n in "ab"]  # no audio is read
    (tmp_path / "x.trn").write_text("<sil> one { too / two } three (a)\n[noise] one two (three) <sil> (b)\n")
    write_rows(tmp_path / "y.jsonl", [{"id": n, "text": "one two [noise] (three) { four }"} for n in "ab"])
    found = compare_systems(parse_systems(f"{tmp_path}/x.trn,{tmp_path}/y.jsonl"), rows)
    assert found.total(0).errors == 0
    assert found.total(1).insertions == 2  # braces and round brackets of running text stand around words
    assert found.warnings == (
        "x: 3 marks in its texts are no words and are left out: <sil>, [noise]",
        "x: gives alternatives or words that may be left out 2 times; what fits best counts",
        "y: 2 marks in its texts are no words and are left out: [noise]",
    )


def test_only_what_every_file_has_can_be_compared(tmp_path, utterances):
    for name, rows in (("x", utterances[:4]), ("y", utterances[2:])):
        write_rows(tmp_path / f"{name}.jsonl", [{"id": str(one.audio), "text": one.text} for one in rows])
    systems = parse_systems(f"{tmp_path}/x.jsonl,{tmp_path}/y.jsonl")
    found = compare_systems(systems, utterances, common=True)
    assert [one.utterance for one in found.utterances] == utterances[2:4]
    assert (found.total(0).errors, found.total(1).errors) == (0, 0)
    assert found.warnings == (
        "4 of 6 utterances are left out: a file has no hypothesis for them",
        "x: 2 hypotheses belong to no utterance here: " + ", ".join(str(one.audio) for one in utterances[:2]),
        "y: 2 hypotheses belong to no utterance here: " + ", ".join(str(one.audio) for one in utterances[4:]),
    )
    with pytest.raises(UsageError, match="no utterance of the manifest has a hypothesis in every one of x, y"):
        compare_systems(systems, utterances[:1], common=True)


def test_a_name_that_several_utterances_have_belongs_to_none(tmp_path):
    rows = [Utterance(tmp_path / folder / "a.wav", "one two") for folder in ("x", "y")]  # no audio is read
    path = write_rows(tmp_path / "o.jsonl", [{"id": "a", "text": "one"}, {"id": "y/a.wav", "text": "two"}])
    found = compare_systems(parse_systems(str(path)), rows)
    assert [one.texts[0] for one in found.utterances] == ["", "two"]


def test_what_our_systems_cannot_read_is_left_out_for_all(tiny, tmp_path, utterances):
    path = write_rows(tmp_path / "o.jsonl", [{"id": one.audio.stem, "text": "x"} for one in utterances])
    rows = [*utterances, Utterance(tmp_path / "no.wav", "one"), dataclasses.replace(utterances[0], text="?")]
    found = compare_systems(parse_systems(f"{path},source"), rows, model=tiny)
    assert len(found.utterances) == 6
    assert {failure.item for failure in found.failed} == {str(tmp_path / "no.wav"), str(utterances[0].audio)}


# Pairs


def test_every_two_systems_are_compared_and_corrected():
    generator = random.Random(0)

    def hear(text, rate):
        return " ".join("x" if generator.random() < rate else word for word in text.split())

    text = "a b c d e f g h"
    rows = [(f"s{n % 5}", {}, text, hear(text, 0.5), hear(text, 0.5), hear(text, 0.1)) for n in range(60)]
    tests = compare_pairs(made(*rows, systems=("one", "two", "three")))
    assert [(t.first, t.second) for t in tests] == [("one", "two"), ("one", "three"), ("two", "three")]
    assert tests[0].p > 0.05 > tests[1].p
    assert tests[1].corrected == pytest.approx(holm([t.p for t in tests])[1], abs=0)
    assert tests[1].corrected > 1.9 * tests[1].p
    assert all(t.corrected >= t.p for t in tests)
    assert tests[1].over_speakers.high < 0
    assert all(t.words is None for t in tests)
    json.dumps([t.as_dict() for t in tests], allow_nan=False)


def test_isolated_words_are_tested_by_mcnemar():
    rows = [("a", {}, "yes", "yes" if n < 2 else "no", "yes") for n in range(10)]
    (test,) = compare_pairs(made(*rows))
    assert test.words.only_second == 8
    assert test.p == test.corrected == pytest.approx(1 / 2**8)
    assert test.as_dict()["mcnemar"]["exact"] == pytest.approx(2 / 2**8)


# Groups


@pytest.mark.parametrize(
    ("age", "band"),
    [
        ("6", "0-7"),
        ("8", "8-12"),
        ("12.9", "8-12"),
        ("70", "70+"),
        ("thirties", "thirties"),
        ("50-70", "50-70"),
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
    assert gap(counts, ["m", "m"]) == 0.0


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


# Confusions


def test_mistakes_lost_and_gained():
    before = confusions([align("the cat sat", "a bat sat"), align("the cat", "a cat")])
    after = confusions([align("the cat sat", "the bat sat on"), align("the cat", "the bat")])
    found = changes(before, after)
    assert [(c.said, c.heard, c.before, c.after) for c in found.lost] == [("the", "a", 2, 0)]
    assert [(c.said, c.heard, c.before, c.after) for c in found.gained] == [("", "on", 0, 1), ("cat", "bat", 1, 2)]


def test_sounds_of_misheard_words_are_aligned():
    sounds = {"cat": ("K", "AE", "T"), "bat": ("B", "AE", "T"), "think": ("TH", "IH", "NG", "K")}
    found, unknown = sound_alignments([align("the cat think", "the bat blink"), align("cat", "")], sounds)
    assert confusions(found) == {("K", "B"): 1}
    assert unknown == 1


def test_alignments_count_what_the_score_counts():
    generator = random.Random(1)
    for _ in range(300):
        said, heard = (" ".join(generator.choices("abcd", k=generator.randrange(6))) for _ in range(2))
        steps = align(said, heard)
        counts = score(said, heard)
        kinds = [sum(s.kind == k for s in steps) for k in ("substitution", "deletion", "insertion")]
        assert kinds == [counts.substitutions, counts.deletions, counts.insertions]
        assert " ".join(s.said for s in steps if s.said) == normalize(said)
        assert " ".join(s.heard for s in steps if s.heard) == normalize(heard)


def test_a_group_named_by_a_sign_that_is_no_number_is_shown():
    rows = [(f"s{n}", {"place": "²12"[n % 3]}, "a b", "a x", "a b") for n in range(6)]
    assert [group.name for group in fairness(made(*rows), "place").groups] == ["²", "1", "2"]


def test_names_of_hypotheses_ambiguous_surplus_and_without_ending():
    rows = [Utterance(Path(f"/data/{folder}/1.wav"), "a", folder) for folder in ("x", "y", "z")]
    given = {"x-1": "unsure", "x/1.wav": "sure", "y/1": "short", "1": "any", "q": "none"}
    found = match(rows, given)
    assert found == {0: "sure", 1: "short"}
    told = list(unmatched("other", rows, given, found))
    assert len(told) == 4
    assert "1 of 3 utterances have no hypothesis" in told[0]
    assert told[1].endswith("1 names fit several utterances and so none: 1")
    assert told[2].endswith("the surest name counts: 1")
    assert told[3].endswith("1 hypotheses belong to no utterance here: q")
