"""Public models by their public names: these need the network and gigabytes, and have not been run yet.

What is expected is not of this project: transcripts that the libraries publish for these very models and clips,
with where they stand, or what the library itself writes on the spot. Error rates: test_librispeech.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from asradapt.cli import run
from asradapt.scoring import normalize

pytestmark = pytest.mark.network

# pytorch/audio, test/integration_tests/wav2vec2_pipeline_test.py (clips: conftest.py beside it): what each bundle
# must write there, greedily. The larger ones hear `have`.
TORCHAUDIO_CLIPS = "https://download.pytorch.org/torchaudio/test-assets/"
ENGLISH = "Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042.flac"
GERMAN = "20090505-0900-PLENARY-16-de_20090505-21_56_00_8.flac"
HAD, HAVE = (f"i {verb} that curiosity beside me at this moment" for verb in ("had", "have"))
BUNDLES = {
    "WAV2VEC2_ASR_BASE_960H": (ENGLISH, HAD),
    "WAV2VEC2_ASR_LARGE_960H": (ENGLISH, HAD),
    "WAV2VEC2_ASR_LARGE_LV60K_960H": (ENGLISH, HAVE),
    "HUBERT_ASR_LARGE": (ENGLISH, HAVE),
    "VOXPOPULI_ASR_BASE_10K_DE": (
        GERMAN,
        "dabei spielt auch eine sorgfältige berichterstattung eine wichtige rolle",
    ),
}

# transformers, docstring of AutomaticSpeechRecognitionPipeline (pipelines/automatic_speech_recognition.py): what
# openai/whisper-base writes of this clip
WHISPER_CLIP = "https://huggingface.co/datasets/Narsil/asr_dummy/resolve/main/1.flac"
STEW = (
    "He hoped there would be stew for dinner, turnips and carrots and bruised potatoes and fat mutton pieces to "
    "be ladled out in thick, peppered flour-fatten sauce."
)

# Families of transformers; the third has its weights as a pickle only, the last one language by language
CTC = {
    "facebook/wav2vec2-base-960h": (),
    "facebook/wav2vec2-large-960h-lv60-self": ("--allow-pickle",),
    "facebook/hubert-large-ls960-ft": ("--allow-pickle",),
    "facebook/mms-1b-all": ("--language", "eng"),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Downloads a recording: `clip(address)`."""
    folder = tmp_path_factory.mktemp("clips")

    def fetched(address: str) -> Path:
        path = folder / address.rsplit("/", 1)[-1]
        if not path.exists():
            torch.hub.download_url_to_file(address, str(path), progress=False)
        return path

    return fetched


@pytest.fixture
def text(capsys, tmp_path, monkeypatch):
    """Fetches a model, and gives the text that it writes of a clip."""
    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path))

    def heard(path, name, *options):
        assert run(["models", "fetch", name, *options]) == 0
        capsys.readouterr()
        assert run(["transcribe", str(path), "--model", name, *options, "--no-vad", "--json"]) == 0
        return json.loads(capsys.readouterr().out)["results"][0]["text"]

    return heard


@pytest.mark.parametrize("name", BUNDLES)
def test_bundles_write_what_torchaudio_publishes(text, clip, name):
    recording, expected = BUNDLES[name]
    assert text(clip(TORCHAUDIO_CLIPS + recording), f"torchaudio:{name}") == expected


@pytest.mark.parametrize("name", CTC)
def test_models_of_transformers_write_what_the_library_writes(text, clip, name):
    import soundfile
    import transformers

    path, options = clip(TORCHAUDIO_CLIPS + ENGLISH), CTC[name]
    found = text(path, f"hf:{name}", *options)
    language = options[1] if "--language" in options else None
    more = {"target_lang": language, "ignore_mismatched_sizes": True} if language else {}
    network = transformers.AutoModelForCTC.from_pretrained(name, local_files_only=True, **more).eval()
    processor = transformers.AutoProcessor.from_pretrained(name, local_files_only=True)
    if language:
        processor.tokenizer.set_target_lang(language)
    wave, rate = soundfile.read(path, dtype="float32")
    with torch.no_grad():
        logits = network(processor(wave, sampling_rate=rate, return_tensors="pt").input_values).logits
    (expected,) = processor.batch_decode(logits.argmax(-1))
    assert found == " ".join(expected.lower().split())
    assert found


def test_whisper_writes_what_transformers_publishes(text, clip):
    found = text(clip(WHISPER_CLIP), "hf:openai/whisper-base", "--language", "en")
    assert normalize(found) == normalize(STEW)
