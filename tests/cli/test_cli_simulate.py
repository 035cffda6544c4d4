"""`asradapt simulate` on an engine that needs no program, so that it is tested everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from asradapt.simulation.engines import ENGINES

FAKE = Path(__file__).parents[1] / "simulation"
LINES = "open the small door\nThe cat is here!\nclose the blue window\ngood night\n"
DICTIONARY = "the  DH AH0\nthing  TH IH1 NG\nthink  TH IH1 NG K\n"


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """The one engine that is installed."""
    monkeypatch.syspath_prepend(str(FAKE))
    from fake_engine import Fake

    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(ENGINES, "fake", Fake())
    return ENGINES["fake"]


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "sentences.txt"
    path.write_text(LINES)
    return path


def rows(out):
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]


def test_each_sentence_is_said_once(fake, asradapt, text, tmp_path):
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--speakers", 3)
    assert done.code == 0, done.err
    assert done.out.startswith("4 utterances, 4 s in ")
    assert sorted(row["text"] for row in rows(tmp_path / "sim")) == [
        "close the blue window",
        "good night",
        "open the small door",
        "the cat is here",
    ]
    assert {row["part"] for row in rows(tmp_path / "sim")} == {"train"}


def test_json_tells_the_same_and_a_second_run_adds_nothing(fake, asradapt, text, tmp_path):
    words = ("simulate", text, "--out", tmp_path / "sim", "--speakers", 3, "--json")
    first, second = asradapt(*words).json, asradapt(*words).json
    assert (first["utterances"], first["new"], first["left_out"]) == (4, 4, 0)
    assert second == first | {"new": 0}
    assert len(rows(tmp_path / "sim")) == 4


def test_traits_and_channels_are_in_the_manifest(fake, asradapt, text, tmp_path):
    (tmp_path / "words.dict").write_text(DICTIONARY)
    options = ("--accent", "mandarin=1", "--accent", "random", "--dictionary", tmp_path / "words.dict")
    options += (
        "--impediment",
        "slowness=0.5",
        "--impediment-share",
        0.5,
        "--channel",
        "opus",
        "--channel",
        "room",
    )
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--speakers", 4, "--count", 12, *options)
    assert done.code == 0, done.err
    made = rows(tmp_path / "sim")
    assert all(row["accent"] == "mandarin" or 0.3 <= row["accent_strength"] <= 1 for row in made)
    assert {row["channel"] for row in made} == {"opus", "room"}
    assert {row.get("impediment") for row in made} == {None, "slowness"}
    assert {row["impediment_strength"] for row in made if "impediment" in row} == {0.5}


def test_an_accent_is_heard(fake, asradapt, text, tmp_path):
    (tmp_path / "words.dict").write_text(DICTIONARY)
    text.write_text("think the thing\n")
    for name, accent in (("plain", "german=0"), ("accent", "german=1")):
        options = ("--speakers", 1, "--dictionary", tmp_path / "words.dict", "--accent", accent)
        assert asradapt("simulate", text, "--out", tmp_path / name, *options).code == 0
    plain, accent = (next((tmp_path / name).rglob("*.flac")).read_bytes() for name in ("plain", "accent"))
    assert plain != accent


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--accent", "martian"), 1, "no accent named 'martian'; known: arabic"),
        (("--impediment", "lisp"), 1, "no impediment named 'lisp'; known: breathiness"),
        (("--channel", "moon"), 1, "no channel named 'moon'; known: clean"),
        (("--impediment", "pauses=much"), 2, "--impediment is NAME or NAME=STRENGTH"),
        (("--impediment", "pauses=2"), 2, "a strength is from 0 to 1, not pauses 2"),
        (("--impediment-share", "0.5"), 2, "--impediment-share says how many have one of --impediment NAME"),
        (("--accent", "german", "--accent-share", "1.5"), 2, "a share is from 0 to 1"),
        (("--accent", "german"), 1, "nothing tells how to pronounce words, which accents need: give a dictionary"),
        (("--engines", "fake=0"), 2, "all weights of synthesisers are 0"),
        (("--voice", "fake:nobody"), 1, "no fake voice named 'nobody'; known: high, low, spare"),
        (("--voice", "nobody:low"), 1, "no synthesiser named 'nobody'; known: espeak, fake"),
        (("--voice", "low"), 2, "a voice is ENGINE:VOICE"),
        (("--engines", "fake=much"), 2, "--engines is NAME=WEIGHT"),
        (("--words", "9-3"), 2, "--words is LEAST-MOST"),
        (("--jobs", "0"), 2, "must be above 0"),
        (("--speakers", "0"), 2, "the number of speakers must be 1 or more"),
        (("--words", "13-14"), 1, "no sentence to say"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_made(fake, asradapt, text, tmp_path, options, code, said):
    done = asradapt("simulate", text, "--out", tmp_path / "sim", *options)
    assert (done.code, done.out) == (code, "")
    assert f"error: {said}" in done.err or said in done.err.split("error: ")[1]
    assert not (tmp_path / "sim").exists()


def test_a_missing_text_and_a_missing_dictionary(fake, asradapt, text, tmp_path):
    done = asradapt("simulate", tmp_path / "no.txt", "--out", tmp_path / "sim")
    assert done.code == 1
    assert f"{tmp_path / 'no.txt'} cannot be read" in done.err
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--accent", "german", "--dictionary", "no.dict")
    assert done.code == 1
    assert "the dictionary no.dict cannot be read" in done.err
    done = asradapt("simulate", text)
    assert done.code == 2
    assert "--out DIR" in done.err


def test_an_out_that_cannot_be_written(fake, asradapt, text, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    done = asradapt("simulate", text, "--out", tmp_path / "file" / "sim", "--json")
    assert done.code == 1
    assert str(tmp_path / "file") in done.json["error"]
    done = asradapt("simulate", text, "--out", tmp_path / "file")
    assert done.code == 2
    assert f"error: {tmp_path / 'file'} is not a folder" in done.err


def test_lines_that_are_left_out_are_counted(fake, asradapt, text, tmp_path):
    text.write_text("p001\tGood night.\nroom 12b\n")
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--speakers", 1)
    assert done.err.splitlines() == ["1 line left out: 1 with digits", "1 sentence, 1 pseudo-speaker"]
    assert done.out.startswith("1 utterance, 1 s in ")
    assert [row["text"] for row in rows(tmp_path / "sim")] == ["good night"]


def test_a_full_disk_is_told(fake, asradapt, text, tmp_path, monkeypatch):
    def full(*_, **__):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile, "write", full)
    done = asradapt("simulate", text, "--out", tmp_path / "sim")
    assert done.code == 1
    assert "error: cannot write audio to " in done.err
    assert "is the disk full?" in done.err


def test_what_is_lost_is_made_again_and_a_broken_line_is_told(fake, asradapt, text, tmp_path):
    words = ("simulate", text, "--out", tmp_path / "sim", "--speakers", 3)
    asradapt(*words)
    before = rows(tmp_path / "sim")
    (tmp_path / "sim" / before[1]["audio_filepath"]).unlink()
    assert "(1 new)" in asradapt(*words).out
    assert sorted(map(str, rows(tmp_path / "sim"))) == sorted(map(str, before))
    assert all((tmp_path / "sim" / row["audio_filepath"]).is_file() for row in before)
    manifest = tmp_path / "sim" / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace("{", "", 1))
    done = asradapt(*words)
    assert done.code == 1
    assert f"error: line 1 of {manifest} is broken" in done.err


def test_without_a_synthesiser_the_packages_are_named(asradapt, text, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = asradapt("simulate", text, "--out", tmp_path / "sim")
    assert (done.code, done.out) == (1, "")
    assert "no speech synthesiser is installed. On Debian: apt-get install" in done.err
    assert all(engine.packages in done.err for engine in ENGINES.values())
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--voice", "flite:slt")
    assert done.code == 1
    assert "not installed: flite. On Debian: apt-get install flite" in done.err


def test_ctrl_c_says_what_there_is_and_the_same_command_goes_on(fake, asradapt, text, tmp_path, monkeypatch):
    words = ("simulate", text, "--out", tmp_path / "sim", "--speakers", 3, "--count", 70)
    speak, calls = fake.speak, []

    def interrupted(line):
        calls.append(line)
        if len(calls) in (40, 41):  # in the second batch of 32, and then at once
            raise KeyboardInterrupt
        return speak(line)

    monkeypatch.setattr(fake, "speak", interrupted)
    for _ in range(2):
        done = asradapt(*words)
        assert (done.code, done.out) == (130, "")
        assert f"32 utterances in {tmp_path / 'sim' / 'manifest.jsonl'}; the same command goes on" in done.err
    assert len(rows(tmp_path / "sim")) == 32
    assert "(38 new)" in asradapt(*words).out
    assert len({row["audio_filepath"] for row in rows(tmp_path / "sim")}) == 70


def test_a_killed_run_is_gone_on_with(fake, asradapt, text, tmp_path):
    words = ["simulate", str(text), "--out", str(tmp_path / "killed"), "--speakers", "3", "--count", "200"]
    code = (
        f"from fake_engine import use_only_fake; use_only_fake(0.002); from asradapt.cli import run; run({words})"
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    manifest = tmp_path / "killed" / "manifest.jsonl"
    end = time.monotonic() + 60
    paths = os.environ | {"PYTHONPATH": str(FAKE)}
    with subprocess.Popen([sys.executable, "-c", code], env=paths, **quiet) as process:
        while not (manifest.exists() and manifest.stat().st_size):
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.005)
        process.kill()
    before = manifest.read_text()
    assert before.count("\n") < 200, "the kill came too late to tell anything"
    assert asradapt(*words).code == 0
    assert asradapt(*words[:3], tmp_path / "whole", *words[4:]).code == 0
    assert manifest.read_text().startswith(before[: before.rfind("\n") + 1])
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    for path in (tmp_path / "whole").rglob("*.flac"):
        assert (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes()


def test_the_list_names_everything(asradapt, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = asradapt("simulate", "--list")
    assert (done.code, done.err) == (0, "")
    for word in ("apt-get install flite", "slt", "awb (only if named)", "mandarin", "dysarthria", "telephone"):
        assert word in done.out
    assert max(map(len, done.out.splitlines())) <= 100
    content = asradapt("simulate", "--list", "--json").json
    assert [engine["name"] for engine in content["engines"]] == sorted(ENGINES)
    assert not any(engine["installed"] for engine in content["engines"])
    assert {"clean", "random"} <= {channel["name"] for channel in content["channels"]}


@pytest.mark.skipif(not ENGINES["flite"].installed_voices(), reason="flite is not installed")
def test_a_real_engine_speaks(asradapt, text, tmp_path):
    options = ("--engines", "flite=1", "--accent", "german=1", "--impediment", "tremor", "--channel", "telephone")
    done = asradapt("simulate", text, "--out", tmp_path / "sim", "--speakers", 2, *options)
    assert done.code == 0, done.err
    assert all(0.5 < row["duration"] < 6 and row["engine"] == "flite" for row in rows(tmp_path / "sim"))
