from __future__ import annotations

import io
import sys
import zipfile
from dataclasses import replace

import pytest
from samples import store_speaker, stored_files

from asradapt.store import SpeakerStore


@pytest.fixture
def versions(enrolled, tiny):
    """The store with two versions of `ann`: the enrolled one and a made one."""
    store_speaker(SpeakerStore(enrolled), tiny, "ann", "lowrank")
    return SpeakerStore(enrolled)


def test_list_shows_everybody_in_columns(asradapt, versions):
    done = asradapt("speakers", "list")
    head, ann, bob = done.out.splitlines()
    assert head.split() == ["speaker", "decision", "version", "recordings", "seconds", "created"]
    assert ann.split()[:4] == ["ann", "lowrank", "2", "5"]
    assert bob.startswith("bob      source kept  1        2")
    assert [entry["speaker"] for entry in asradapt("speakers", "list", "--json").json["speakers"]] == [
        "ann",
        "bob",
    ]


@pytest.mark.parametrize(("used", "shown"), [(True, "62 + 240 heard"), (False, "62")])
def test_what_was_heard_in_recordings_without_texts_is_listed_apart(asradapt, versions, used, shown):
    record = versions.record("ann")
    gate = record.gate | {"partly": {"pieces": 30, "seconds": 240.4, "used": used}}
    versions.save(replace(record, seconds=62.3, gate=gate), versions.load("ann").tensors)
    ann = asradapt("speakers", "list").out.splitlines()[1]
    assert f"  {shown}  " in ann
    (entry, _) = asradapt("speakers", "list", "--json").json["speakers"]
    assert (entry["seconds"], entry["heard_seconds"]) == (62.3, 240.4 if used else 0.0)


def test_list_of_an_empty_store_says_so_and_creates_nothing(asradapt, home):
    done = asradapt("speakers", "list")
    assert (done.code, done.out) == (0, "")
    assert f"nobody is enrolled in {home}" in done.err
    assert asradapt("speakers", "list", "--json").json == {"speakers": [], "failed": []}
    assert not home.exists()


def test_show_says_what_was_decided_and_why(asradapt, enrolled):
    record = SpeakerStore(enrolled).record("ann")
    shown = asradapt("speakers", "show", "ann").out
    assert "adapted by affine" in shown
    assert f"{record.folds['before']['wer']:.1%} before, {record.folds['after']['wer']:.1%} after" in shown
    assert record.source["fingerprint"][:16] in shown
    assert "source kept" in asradapt("speakers", "show", "bob").out
    content = asradapt("speakers", "show", "ann", "--json").json
    assert (content["speaker"], content["versions"], content["seed"]) == ("ann", [1], 0)


def test_show_of_an_earlier_version(asradapt, versions):
    assert asradapt("speakers", "show", "ann", "--json").json["method"] == "lowrank"
    assert asradapt("speakers", "show", "ann", "--version", 1, "--json").json["method"] == "affine"
    assert "(of 1, 2)" in asradapt("speakers", "show", "ann", "--version", 1).out


def test_rollback_changes_what_is_heard_and_can_be_taken_back(asradapt, versions, recordings):
    inputs = ("transcribe", recordings / "ann12.wav", "--speaker", "ann")
    second = asradapt(*inputs).out
    assert asradapt("speakers", "rollback", "ann").out == "ann: version 1 is current\n"
    first = asradapt(*inputs).out
    assert first != second
    assert asradapt("speakers", "rollback", "ann", "--to", 2, "--json").json["version"] == 2
    assert asradapt(*inputs).out == second


@pytest.mark.parametrize(
    "arguments", [("rollback", "bob"), ("rollback", "bob", "--to", "7"), ("show", "bob", "--version", "7")]
)
def test_a_version_that_does_not_exist_is_an_error_and_nothing_changes(asradapt, enrolled, arguments):
    before = stored_files(enrolled)
    done = asradapt("speakers", *arguments)
    assert (done.code, done.out) == (1, "")
    assert "stored: 1" in done.err
    assert stored_files(enrolled) == before


@pytest.mark.parametrize("command", ["show", "remove", "rollback", "export"])
def test_an_unknown_speaker_is_an_error_that_lists_the_known_ones(asradapt, enrolled, tmp_path, command):
    extra = [tmp_path / "x.zip"] if command == "export" else []
    done = asradapt("speakers", command, "an", *extra)
    assert (done.code, done.out) == (1, "")
    assert "no speaker named 'an'; known: ann, bob" in done.err


def test_remove_removes_one_speaker_with_all_versions(asradapt, versions):
    done = asradapt("speakers", "remove", "ann", "--yes")
    assert (done.code, done.out) == (0, "removed ann\n")
    assert versions.speakers() == ["bob"]
    assert asradapt("speakers", "remove", "bob", "--yes", "--json").json == {"removed": "bob"}


@pytest.mark.parametrize(
    ("answer", "code", "said", "left"),
    [
        ("y\n", 0, "Remove ann with 2 versions?", ["bob"]),
        ("n\n", 1, "ann is not removed", ["ann", "bob"]),
        ("\n", 1, "ann is not removed", ["ann", "bob"]),
        ("", 2, "give --yes", ["ann", "bob"]),
    ],
)
def test_remove_asks_first(asradapt, versions, monkeypatch, answer, code, said, left):
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    done = asradapt("speakers", "remove", "ann")
    assert done.code == code
    assert said in done.err
    assert "Remove" not in done.out
    assert versions.speakers() == left


def test_a_question_keeps_the_json_on_stdout_alone(asradapt, enrolled, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert asradapt("speakers", "remove", "ann", "--json").json == {"removed": "ann"}


def test_a_speaker_travels_to_another_store_in_a_file(asradapt, enrolled, recordings, tmp_path):
    inputs = ("transcribe", recordings / "ann12.wav", "--speaker")
    here = asradapt(*inputs, "ann").out
    done = asradapt("speakers", "export", "ann", tmp_path / "ann.zip")
    assert done.code == 0
    assert str(tmp_path / "ann.zip") in done.out
    there = ("--store", tmp_path / "there")
    assert asradapt("speakers", "import", tmp_path / "ann.zip", *there).out == "ann: imported as version 1\n"
    named = asradapt("speakers", "import", tmp_path / "ann.zip", "--name", "annabel", "--json", *there).json
    assert named["speaker"] == "annabel"
    assert asradapt(*inputs, "ann", *there).out == asradapt(*inputs, "annabel", *there).out == here


def test_export_and_import_overwrite_only_by_force(asradapt, enrolled, tmp_path):
    target = tmp_path / "ann.zip"
    target.write_text("something else")
    assert asradapt("speakers", "export", "ann", target).code == 1
    assert asradapt("speakers", "export", "ann", target, "--force").code == 1
    assert target.read_text() == "something else"
    target.unlink()
    assert asradapt("speakers", "export", "bob", target).code == 0
    assert asradapt("speakers", "export", "ann", target).code == 1
    assert asradapt("speakers", "export", "ann", target, "--force").code == 0
    before = stored_files(enrolled)
    refused = asradapt("speakers", "import", target)
    assert refused.code == 1
    assert "'ann' exists" in refused.err
    assert stored_files(enrolled) == before
    assert asradapt("speakers", "import", target, "--force", "--json").json["version"] == 2


@pytest.mark.parametrize("content", [None, b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_exported_speaker_is_not_imported(asradapt, enrolled, tmp_path, content):
    path, before = tmp_path / "x.zip", stored_files(enrolled)
    if content is not None:
        path.write_bytes(content)
    done = asradapt("speakers", "import", path)
    assert (done.code, done.out) == (1, "")
    assert str(path) in done.err
    assert stored_files(enrolled) == before


@pytest.mark.parametrize(
    "arguments", [(), ("show",), ("list", "ann"), ("remove",), ("export", "ann"), ("import",), ("fly",)]
)
def test_wrong_usage_ends_with_2(asradapt, enrolled, arguments):
    done = asradapt("speakers", *arguments)
    assert (done.code, done.out) == (2, "")
    assert "Usage: asradapt speakers" in done.err


def test_an_export_that_was_unpacked_is_told_apart(asradapt, enrolled, tmp_path):
    asradapt("export", "ann", tmp_path / "ann.zip")
    with zipfile.ZipFile(tmp_path / "ann.zip") as archive:
        archive.extractall(tmp_path / "ann")
    done = asradapt("import", tmp_path / "ann", "--name", "eve")
    assert (done.code, done.out) == (1, "")
    assert "is an exported speaker that was unpacked: give the zip itself" in done.err
    assert SpeakerStore(enrolled).speakers() == ["ann", "bob"]


def test_list_leaves_out_who_is_removed_meanwhile(asradapt, enrolled, monkeypatch):
    store = SpeakerStore(enrolled)
    monkeypatch.setattr(SpeakerStore, "speakers", lambda _: ["gone", "ann"])
    done = asradapt("speakers", "list", "--json")
    assert done.code == 0
    assert [one["speaker"] for one in done.json["speakers"]] == ["ann"]
    assert store.record("ann")


def test_versions_none_of_which_is_current_are_listed_as_failed_and_can_be_removed(
    asradapt, enrolled, monkeypatch
):
    (enrolled / "speakers" / "ann" / "current").unlink()
    done = asradapt("speakers", "list", "--json")
    assert done.code == 1
    (failure,) = [one for one in done.json["failed"] if one["item"] == "ann"]
    assert "none of its versions is current" in failure["reason"]
    assert asradapt("speakers", "remove", "ann", "--yes").code == 0
    assert asradapt("speakers", "list").code == 0
