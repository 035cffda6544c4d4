"""The demo recordings."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "data" / "demo"


def _rows(manifest: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in manifest.read_text(encoding="utf-8").splitlines()]


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
