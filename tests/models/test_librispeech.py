"""Error rates of public models on LibriSpeech `test-clean`, and that they are measured as they should be.

What is expected stands in the models' cards on the hub. These runs need the network, 350 MB of recordings beside
the models, and hours without a GPU; they have not been run yet.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile
from librispeech import write_manifest

from asradapt.cli import run

# the card's WER, and by how much another normaliser of texts may change it: Whisper's spells out contractions
PUBLISHED = {
    "facebook/wav2vec2-base-960h": (0.034, 0.005, ()),
    "facebook/wav2vec2-large-960h-lv60-self": (0.019, 0.005, ("--allow-pickle",)),
    "openai/whisper-base": (0.0501, 0.03, ("--language", "en")),
}


def error_rate(manifest, capsys, *options: str) -> float:
    capsys.readouterr()
    assert run(["evaluate", "--manifest", str(manifest), "--systems", "source", *options, "--json"]) == 0
    (system,) = json.loads(capsys.readouterr().out)["systems"]
    return system["wer"]


def test_the_layout_is_read_and_scored(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path / "home"))
    folder = tmp_path / "LibriSpeech" / "test-clean" / "61" / "70968"
    folder.mkdir(parents=True)
    for number in range(2):
        noise = np.random.default_rng(number).normal(0, 0.1, 32_000)
        soundfile.write(folder / f"61-70968-{number:04d}.flac", noise, 16_000)
    lines = ("61-70968-0000 HE BEGAN A CONFUSED COMPLAINT", "61-70968-0001 GIVE NOT SO EARNEST A MIND")
    (folder / "61-70968.trans.txt").write_text("\n".join(lines) + "\n")
    manifest = tmp_path / "clean.jsonl"
    assert write_manifest(tmp_path, manifest, download=False) == 2
    assert json.loads(manifest.read_text().splitlines()[1])["text"] == "give not so earnest a mind"
    assert error_rate(manifest, capsys) > 0.5


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_public_models_make_the_errors_that_are_published(name, tmp_path, tmp_path_factory, capsys, monkeypatch):
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path))
    published, tolerance, options = PUBLISHED[name]
    manifest = tmp_path / "clean.jsonl"
    assert write_manifest(tmp_path_factory.getbasetemp(), manifest, download=True) == 2620
    assert run(["models", "fetch", f"hf:{name}", *options]) == 0
    found = error_rate(manifest, capsys, "--model", f"hf:{name}", *options)
    assert found == pytest.approx(published, abs=tolerance)
