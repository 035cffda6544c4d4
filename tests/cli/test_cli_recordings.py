"""Left-out recordings, --strict and the prompts for a speaker, on the embedded model and the demo's recordings."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from samples import write_rows

from asradapt.prompts import load_prompts
from asradapt.store import SpeakerStore

DEMO = Path(__file__).parents[2] / "data" / "demo"
QUICK = ("--model", "source_en", "--method", "affine", "--folds", "2")


@pytest.fixture
def mixed_up(tmp_path):
    """A manifest of six recordings in which two have each other's text."""
    rows = [json.loads(line) for line in (DEMO / "manifest.jsonl").read_text().splitlines()]
    rows = [row | {"audio_filepath": str(DEMO / row["audio_filepath"])} for row in rows if row["part"] == "enroll"]
    chosen = [*rows[1:5], rows[7], rows[8]]
    chosen[1]["text"], chosen[4]["text"] = chosen[4]["text"], chosen[1]["text"]
    return write_rows(tmp_path / "m.jsonl", chosen), chosen


def test_what_does_not_say_its_text_is_left_out_and_named(asradapt, mixed_up, home):
    manifest, rows = mixed_up
    done = asradapt("enroll", "robin", "--manifest", manifest, *QUICK, "--json")
    assert done.code == 0
    (entry,) = done.json["speakers"]
    assert entry["utterances"] == 4
    assert [one["audio"] for one in entry["left_out"]] == [rows[n]["audio_filepath"] for n in (1, 4)]
    assert {one["kind"] for one in entry["left_out"]} == {"text-mismatch"}
    assert entry["left_out"][0]["text"] == rows[1]["text"]
    texts = SpeakerStore(home).record("robin").split["texts"]
    assert rows[1]["text"] not in texts


def test_strict_stores_nobody_and_names_the_recordings(asradapt, mixed_up, home, tmp_path):
    manifest, rows = mixed_up
    done = asradapt("enroll", "robin", "--manifest", manifest, *QUICK, "--strict")
    assert (done.code, done.out) == (1, "")
    assert "nobody was enrolled" in done.err
    for place in (1, 4):
        assert rows[place]["audio_filepath"] in done.err
        assert rows[place]["text"] in done.err
    assert not SpeakerStore(home).speakers()
    missing = asradapt("enroll", "robin", DEMO / "no.wav", DEMO / "letter.opus", *QUICK, "--strict")
    assert missing.code == 1
    assert not SpeakerStore(home).speakers()
    for row in rows[:2]:
        shutil.copy(row["audio_filepath"], tmp_path)
    (tmp_path / Path(rows[0]["audio_filepath"]).with_suffix(".txt").name).write_text(rows[0]["text"])
    one_text = asradapt("enroll", "robin", tmp_path, *QUICK, "--strict")
    assert one_text.code == 1
    assert "--strict: the other recordings were not checked any further" in one_text.err
    assert not SpeakerStore(home).speakers()


@pytest.fixture
def misheard(enrolled, monkeypatch):
    """A store in which `ann` read two prompts and the source misheard words of them."""
    monkeypatch.setenv("PATH", "")  # the same whether flite is installed or not
    store, (first, second, *_) = SpeakerStore(enrolled), load_prompts()
    current = store.load("ann")
    texts = [" ".join(prompt.words) for prompt in (first, second)]
    folds = current.record.folds | {"misheard": {"chair": 1, "qqq": 1}}
    record = replace(current.record, split={"folds": [[0], [1]], "texts": texts}, folds=folds)
    store.save(record, current.tensors)
    return first, second


def test_prompts_for_a_speaker_say_why_and_leave_out_what_was_read(asradapt, misheard):
    done = asradapt("prompts", "--for", "ann", "--count", "5")
    assert done.code == 0
    assert "1 of 2 misheard words have no known sounds" in done.err
    assert "most misheard sounds: " in done.err
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert not {name for name, *_ in lines} & {prompt.id for prompt in misheard}
    assert all(re.match(r"[A-Z]+(, [A-Z]+)*", why) for _, _, why in lines)
    content = asradapt("prompts", "--for", "ann", "--count", "5", "--json").json
    assert [row["id"] for row in content["prompts"]] == [name for name, *_ in lines]
    assert content["speaker"] == "ann"
    assert set(content["prompts"][0]["why"]) == {"sounds", "words"}


def test_a_dictionary_gives_the_sounds_of_other_words(asradapt, misheard, enrolled, tmp_path):
    store = SpeakerStore(enrolled)
    current = store.load("ann")
    store.save(replace(current.record, split=current.record.split | {"texts": ["qqq"]}), current.tensors)
    (tmp_path / "words.dict").write_text("qqq K Y UW1\nchair CH EH1 R\n")
    done = asradapt("prompts", "--for", "ann", "--count", "1", "--dictionary", tmp_path / "words.dict")
    assert "no known sounds" not in done.err


@pytest.mark.parametrize("content", [None, "this is no dictionary\n"])
def test_what_is_no_dictionary_is_told_where_nothing_is_looked_up(asradapt, misheard, enrolled, tmp_path, content):
    if content:
        (tmp_path / "x.dict").write_text(content)
    done = asradapt("prompts", "--for", "ann", "--count", "1", "--dictionary", tmp_path / "x.dict")
    assert (done.code, "dictionary" in done.err) == (1, True)


def test_a_record_without_misheard_words_gives_the_usual_order(asradapt, enrolled):
    store = SpeakerStore(enrolled)
    current = store.load("ann")
    old = {key: value for key, value in current.record.folds.items() if key != "misheard"}
    store.save(replace(current.record, folds=old), current.tensors)
    done = asradapt("prompts", "--for", "ann", "--count", "3")
    assert "enrol with texts" in done.err
    assert done.out == asradapt("prompts", "--count", "3").out


def test_wrong_usage(asradapt, enrolled, tmp_path):
    assert asradapt("prompts", "--for", "nobody").code == 1
    done = asradapt("prompts", "--dictionary", tmp_path / "x.dict")
    assert done.code == 2
    assert "--for" in done.err
