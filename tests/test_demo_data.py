"""The demo recordings and the tools that made them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "data" / "demo"

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def _rows(manifest: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


def _simulate(out: Path, text: Path, *options: str) -> list[dict[str, object]]:
    tool = str(ROOT / "tools" / "simulate_speech.py")
    command = [sys.executable, tool, "--text", str(text), "--out", str(out), "--espeak-share", "0", *options]
    subprocess.run(command, check=True, capture_output=True)
    return _rows(out / "manifest.jsonl")


@pytest.fixture
def sentences(tmp_path: Path) -> Path:
    path = tmp_path / "sentences.txt"
    path.write_text("open the small door\nshut up you bastard\nclose the blue window\nno\nthe cat is here\n")
    return path


def test_demo_parts() -> None:
    rows = _rows(DEMO / "manifest.jsonl")
    assert Counter(row["part"] for row in rows) == {"enroll": 30, "test": 20, "letter": 1}
    assert len({row["text"] for row in rows}) == len(rows)
    assert {row["speaker"] for row in rows} == {"robin"}


def test_demo_recordings_are_what_the_manifest_says() -> None:
    for row in _rows(DEMO / "manifest.jsonl"):
        info = soundfile.info(str(DEMO / str(row["audio_filepath"])))
        assert (info.samplerate, info.channels) == (16_000, 1)
        assert info.duration == pytest.approx(row["duration"], abs=0.01)
        assert re.fullmatch(r"[a-z' ]+", str(row["text"]))


def test_demo_is_small() -> None:
    assert sum(path.stat().st_size for path in DEMO.rglob("*")) < 1_000_000


@needs_flite
def test_simulated_speech_filters_and_is_the_same_again(tmp_path: Path, sentences: Path) -> None:
    manifest = tmp_path / "other.jsonl"
    manifest.write_text(json.dumps({"text": "The cat is here."}) + "\n")
    once = _simulate(tmp_path / "a", sentences, "--exclude-manifest", str(manifest))
    assert {row["text"] for row in once} == {"open the small door", "close the blue window"}
    assert _simulate(tmp_path / "b", sentences, "--exclude-manifest", str(manifest)) == once
    first = str(once[0]["audio_filepath"])
    assert (tmp_path / "a" / first).read_bytes() == (tmp_path / "b" / first).read_bytes()


@needs_flite
def test_simulated_speech_goes_on_after_an_interruption(tmp_path: Path, sentences: Path) -> None:
    whole = _simulate(tmp_path, sentences)
    manifest = tmp_path / "manifest.jsonl"
    lines = manifest.read_text().splitlines(keepends=True)
    manifest.write_text(lines[0] + lines[1][:15])
    assert _simulate(tmp_path, sentences) == whole
