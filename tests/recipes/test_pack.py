"""Packed training speech: whole, small enough, and readable as a manifest."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import soundfile

from asradapt.audio import load_audio
from asradapt.manifests import read_manifest
from pack import pack


def write_recordings(folder: Path, count: int) -> Path:
    """Two seconds of a tone each, at 8 kHz, half of them of another part."""
    folder.mkdir()
    rows = []
    for number in range(count):
        tone = 0.3 * np.sin(np.arange(16000) * 2 * np.pi * (200 + 50 * number) / 8000)
        soundfile.write(folder / f"{number}.wav", tone, 8000)
        part = "train" if number % 2 else "test"
        rows.append(
            {"audio_filepath": f"{number}.wav", "text": f"tone {'a' * number}", "speaker": "s", "part": part}
        )
    (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder / "manifest.jsonl"


def test_parts_hold_everything_once_and_stay_small(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "in", 12)
    parts = pack([str(manifest)], tmp_path / "out", megabytes=0.06)
    assert len(parts) > 1
    texts = []
    for part in parts:
        assert part.path.stat().st_size <= 60_000
        unpacked = tmp_path / part.path.stem
        with tarfile.open(part.path) as tar:
            tar.extractall(unpacked, filter="data")
        for one in read_manifest(unpacked / "manifest.jsonl").utterances:
            texts.append(one.text)
            audio = load_audio(one.audio)
            assert audio.samples.shape == (32000,)
            assert np.abs(audio.samples).max() > 0.2
    assert sorted(texts) == sorted(f"tone {'a' * number}" for number in range(12))


def test_rows_are_chosen_by_a_column(tmp_path: Path) -> None:
    manifest = write_recordings(tmp_path / "in", 4)
    (part,) = pack([f"{manifest}:part=train"], tmp_path / "out", megabytes=1)
    assert [row["text"] for row in part.rows] == ["tone a", "tone aaa"]
