from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import pytest
import soundfile
from samples import made, store_speaker, write_rows

from asradapt.comparison import (
    compare_pairs,
    compare_systems,
    from_evaluation,
    parse_systems,
)
from asradapt.comparison.matching import match, unmatched
from asradapt.errors import StoreError, UnknownName, UsageError
from asradapt.evaluation import evaluate
from asradapt.scoring import align, changes, confusions, holm, normalize, score, sound_alignments
from asradapt.scoring.hypotheses import trn_lines
from asradapt.scoring.remarks import UNNAMED
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
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
    ("text", "said"),
    [
        ("", "none is named"),
        ("source,source,a,a", "'a' .*'source' is named"),
        ("source,+each", r"'\+each': write NAME\+each"),
        ("ann+each@v1", "once and behind the version"),
        ("source+each+each", "once and behind the version"),
    ],
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
    assert [w for w in found.warnings if "ann@v1: this adaptation is used for another person" in w]


def test_any_of_our_systems_can_adapt_to_every_segment(tiny, store, utterances):
    read = parse_systems("source+each,adapted+each,ann+each,ann@v1+each,x+each.trn")
    assert [(s.kind, s.speaker, s.version, s.each) for s in read] == [
        ("source", "", None, True),
        ("adapted", "", None, True),
        ("speaker", "ann", None, True),
        ("speaker", "ann", 1, True),
        ("file", "", None, False),
    ]
    named = parse_systems("source,source+each,adapted,adapted+each")
    found = compare_systems(named, utterances, model=tiny, store=store)
    options = TranscriberOptions(adapt_each=EachOptions())
    for column, place in ((1, None), (3, store)):
        heard = Transcriber(tiny, place, options).transcribe(utterances)
        texts = [one.text for one in heard if isinstance(one, Transcript)]
        assert [one.texts[column] for one in found.utterances] == texts
        assert texts != [one.texts[column - 1] for one in found.utterances]


def test_missing_speakers_and_versions_are_told_before_the_work(tiny, store, utterances):
    with pytest.raises(UnknownName, match="known: ann, bob"):
        compare_systems(parse_systems("source,eve"), utterances, model=tiny, store=store)
    with pytest.raises(StoreError, match="version"):
        compare_systems(parse_systems("ann@v9"), utterances, model=tiny, store=store)
    with pytest.raises(UsageError, match="'source' needs a source model"):
        compare_systems(parse_systems("source"), utterances)


def test_a_name_that_means_two_systems_is_refused(tiny, tmp_path, utterances):
    store = SpeakerStore(tmp_path)
    for name in ("ann", "ann@v1"):
        store_speaker(store, tiny, name, "affine")
    with pytest.raises(UsageError, match="and the name of a speaker, too"):
        compare_systems(parse_systems("ann@v1"), utterances, model=tiny, store=store)


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


def test_our_own_export_of_rows_without_speakers_fits_and_what_fits_nowhere_is_refused(tmp_path):
    rows = [Utterance(tmp_path / f"{n}.wav", "one two", None) for n in "ab"]  # no audio is read
    (tmp_path / "own.trn").write_text(
        "\n".join(trn_lines(dict.fromkeys("ab", "one two"), dict.fromkeys("ab", UNNAMED)))
    )
    assert compare_systems(parse_systems(f"{tmp_path}/own.trn"), rows).total(0).errors == 0
    (tmp_path / "odd.trn").write_text("one two (eve-x)\n")
    with pytest.raises(
        UsageError, match=r"none of its 1 texts fits .* names such as 'eve-x', the manifest such as 'a'"
    ):
        compare_systems(parse_systems(f"{tmp_path}/odd.trn"), rows)


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
