"""Public models by their public names: these need the network and gigabytes.

No test run of this project has had that yet: the transcripts are those that the libraries' own documentation
prints, and the bounds are stated, not measured.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asradapt.cli import run

pytestmark = pytest.mark.network
CLIP = "https://download.pytorch.org/torchaudio/tutorial-assets/Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042.wav"
SAID = "i had that curiosity beside me at this moment"  # torchaudio's tutorial prints it for BASE_960H
DEMO = Path(__file__).parents[2] / "data" / "demo" / "manifest.jsonl"


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A sentence of the VOiCES corpus, as torchaudio's tutorials use it."""
    path = tmp_path_factory.mktemp("clip") / "clip.wav"
    torch.hub.download_url_to_file(CLIP, str(path), progress=False)
    return path


@pytest.fixture
def text(clip, capsys, tmp_path, monkeypatch):
    """Fetches a model, and gives the text that it writes of the clip."""
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path))

    def heard(name, *options):
        assert run(["models", "fetch", name, *options]) == 0
        capsys.readouterr()
        assert run(["transcribe", str(clip), "--model", name, *options, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["results"][0]["text"]

    return heard


@pytest.mark.parametrize(
    "name",
    [
        "torchaudio:WAV2VEC2_ASR_BASE_960H",
        "torchaudio:WAV2VEC2_ASR_LARGE_LV60K_960H",
        "torchaudio:HUBERT_ASR_LARGE",
        "hf:facebook/wav2vec2-base-960h",
        "hf:facebook/wav2vec2-large-960h-lv60-self",
        "hf:facebook/hubert-large-ls960-ft",
    ],
)
def test_public_english_models_write_the_expected_transcript(text, name):
    assert text(name) == SAID


def test_a_public_model_of_many_languages_hears_english(text):
    heard = text("hf:facebook/mms-1b-all", "--language", "eng").split()
    assert len(set(heard) & set(SAID.split())) >= 7  # of nine words


def test_a_public_model_errs_less_on_the_demo_than_the_embedded_one(capsys):
    """The embedded model errs in 69.9% of these words before an enrolment; the bound is that; unmeasured."""
    assert run(["models", "fetch", "torchaudio:WAV2VEC2_ASR_LARGE_LV60K_960H"]) == 0
    capsys.readouterr()
    words = ["evaluate", "--manifest", str(DEMO), "--where", "part=test", "--json"]
    assert run([*words, "--model", "torchaudio:WAV2VEC2_ASR_LARGE_LV60K_960H"]) == 0
    assert json.loads(capsys.readouterr().out)["pooled"]["before"]["wer"] < 0.699
