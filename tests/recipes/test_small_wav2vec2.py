"""The recipe of a small wav2vec 2.0 runs as a command, and what it saves is a source model."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

pytest.importorskip("transformers")

from samples import write_rows
from tones import RATE, spoken

from asradapt.models import load_model

SCRIPT = Path(__file__).parents[2] / "recipes" / "small_wav2vec2" / "small_wav2vec2.py"


def test_a_few_updates_give_a_model_of_the_letters_of_the_texts(tmp_path):
    texts = ["ab c", "d e", "bad", "cab"]
    for number, text in enumerate(texts):
        soundfile.write(tmp_path / f"{number}.wav", spoken(text, 0.0, number).numpy(), RATE)
    rows = [{"audio_filepath": f"{n}.wav", "text": text, "speaker": "a"} for n, text in enumerate(texts)]
    manifest = write_rows(tmp_path / "manifest.jsonl", rows)
    command = [sys.executable, str(SCRIPT), str(manifest), "--out", str(tmp_path / "model"), "--steps", "2"]
    subprocess.run([*command, "--rows", "2"], check=True, capture_output=True, timeout=120)
    model = load_model(str(tmp_path / "model"), device="cpu")
    assert model.tokens == ("<blank>", " ", "a", "b", "c", "d", "e")
    assert not model.equal_lengths
