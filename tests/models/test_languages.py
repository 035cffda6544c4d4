from __future__ import annotations

import json
import shutil

import pytest
import torch

from asradapt.decoding import greedy_decode
from asradapt.errors import InputError, UsageError
from asradapt.models import ModelOptions, load_model

transformers = pytest.importorskip("transformers")
from families import LANGUAGES, save_ctc, save_mms  # noqa: E402 - needs the extra [hf]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_mms(tmp_path_factory.mktemp("many") / "mms")


@pytest.fixture
def copy(folder, tmp_path):
    return shutil.copytree(folder, tmp_path / "mms")


def load(folder, language=None, **options):
    return load_model(str(folder), device="cpu", options=ModelOptions(language=language, **options))


@pytest.mark.parametrize("default", ["eng", "fra"], ids=lambda name: f"default {name}")
@pytest.mark.parametrize("language", LANGUAGES)
@torch.no_grad()
def test_logits_and_text_are_the_librarys_own_in_each_language(tmp_path, babble, language, default):
    folder = save_mms(tmp_path / "mms", default=default)
    own = transformers.Wav2Vec2ForCTC.from_pretrained(folder, target_lang=language, ignore_mismatched_sizes=True)
    processor = transformers.AutoProcessor.from_pretrained(folder)
    processor.tokenizer.set_target_lang(language)
    clip = babble(1.5, 3)
    theirs = own.eval()(**processor(clip.numpy(), sampling_rate=16000, return_tensors="pt")).logits
    model = load(folder, language)
    ours, frames = model.forward(clip[None], torch.tensor([len(clip)]))
    assert theirs.shape[-1] == len(LANGUAGES[language]) == len(model.tokens)
    torch.testing.assert_close(ours, theirs[..., model.alphabet.order], rtol=0, atol=1e-4)
    (expected,) = processor.batch_decode(theirs.argmax(-1))
    text = greedy_decode(ours, frames, model.tokens)[0]
    assert text == expected
    assert len(text) > 3
    for token, number in zip(model.tokens[1:], model.alphabet.order[1:], strict=True):
        assert (processor.tokenizer.decode([number]) or " ") == token
    assert model.card["language"] == language


@torch.no_grad()
def test_the_languages_of_a_model_hear_differently(folder, babble):
    english, french = (load(folder, language) for language in LANGUAGES)
    assert english.fingerprint != french.fingerprint
    assert set("éàç") < set(french.tokens)
    assert not set("éàç") & set(english.tokens)


def test_without_a_language_all_of_them_are_told(folder):
    with pytest.raises(UsageError, match=r"hf:mms writes many languages; --language takes one of 2: eng, fra"):
        load(folder)


def test_an_unknown_language_is_told_with_the_known_ones(folder):
    with pytest.raises(UsageError, match=r"hf:mms has no language 'deu'; --language takes one of 2: eng, fra"):
        load(folder, "deu")


def test_a_language_without_its_weights_is_told(copy):
    (copy / "adapter.fra.safetensors").unlink()
    with pytest.raises(
        InputError, match=r"hf:mms has no adapter\.fra\.safetensors .* fetch hf:mms --language fra"
    ):
        load(copy, "fra")
    assert load(copy, "eng").card["language"] == "eng"


def test_a_language_whose_weights_are_a_pickle_needs_to_be_allowed(copy, babble):
    from safetensors.torch import load_file

    whole = load(copy, "fra")
    path = copy / "adapter.fra.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(InputError, match=r"has no adapter\.fra\.safetensors"):
        load(copy, "fra")
    assert load(copy, "fra", allow_pickle=True).fingerprint == whole.fingerprint


def test_a_damaged_adapter_is_told(copy):
    path = copy / "adapter.fra.safetensors"
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(InputError, match=r"hf:mms in .* cannot be loaded"):
        load(copy, "fra")


def test_a_vocabulary_of_one_language_needs_no_language(copy):
    vocabulary = json.loads((copy / "vocab.json").read_text())
    (copy / "vocab.json").write_text(json.dumps({"fra": vocabulary["fra"]}))
    assert load(copy).fingerprint == load(copy, "fra").fingerprint
    assert load(copy).card["language"] == "fra"


def test_a_model_of_one_language_has_no_use_for_a_language(tmp_path):
    with pytest.raises(UsageError, match="--language is of no use for hf:one: it knows one language"):
        load(save_ctc(tmp_path / "one", "wav2vec2-base"), "eng")
