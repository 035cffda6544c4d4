"""Whisper to and from PEFT, and merged: its encoder and decoder, under the library's own paths."""

from __future__ import annotations

import json

import peft
import pytest
import torch
import transformers
from interchange_samples import (
    TEXT,
    our_written,
    own_written,
    plain_whisper,
    require_equal,
    require_equal_written,
)
from safetensors.torch import load_file, save_file
from samples import random_state, store_speaker
from whisper_samples import save_whisper

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.past import standing_bank
from asradapt.errors import StoreError
from asradapt.interchange import import_peft, merged_folder, write_merged, write_peft
from asradapt.interchange.merging import logits_of_noise, merged_weights, replaced
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import fingerprint

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # of PEFT about itself
SAVED = {"config.json", "generation_config.json", "model.safetensors", "preprocessor_config.json"}
GERMAN = ModelOptions(language="de")


def lora(folder, **settings):
    """A Whisper of transformers with a LoRA of PEFT whose matrices are random."""
    torch.manual_seed(3)
    config = peft.LoraConfig(**({"r": 4, "target_modules": ["q_proj", "v_proj"]} | settings))
    network = peft.get_peft_model(plain_whisper(folder), config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name:
                weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
    return network.eval()


def test_peft_loads_an_exported_whisper_adapter_with_equal_outputs(checkpoint, source, store, waveform, tmp_path):
    model, folder = source("whisper"), checkpoint("whisper")
    store_speaker(store, model, "ann", "lowrank")
    write_peft(tmp_path / "lora", store.load("ann"))
    network = peft.PeftModel.from_pretrained(plain_whisper(folder), tmp_path / "lora").eval()
    expected = our_written(model, waveform, store.load("ann"))
    require_equal_written(own_written(network, folder, model, waveform), expected, our_written(model, waveform))
    written = load_file(tmp_path / "lora" / "adapter_model.safetensors")
    assert "base_model.model.model.decoder.layers.1.encoder_attn.k_proj.lora_A.weight" in written
    assert peft.get_peft_model_state_dict(network).keys() == written.keys()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"task_type": "SEQ_2_SEQ_LM", "use_rslora": True, "r": 6},
        {"target_modules": ["fc1", "out_proj"], "rank_pattern": {"model.decoder.layers.1.fc1": 7}},
        {"alpha_pattern": {"^model.encoder.layers.0.self_attn.q_proj": 24}},
    ],
)
def test_a_whisper_adapter_made_by_peft_is_imported_with_equal_outputs(
    checkpoint, source, store, waveform, tmp_path, settings
):
    model, folder = source("whisper"), checkpoint("whisper")
    network = lora(folder, **settings)
    network.save_pretrained(tmp_path / "lora")
    assert import_peft(tmp_path / "lora", model, store, "ann").method == "lowrank"
    found, unadapted = our_written(model, waveform, store.load("ann")), our_written(model, waveform)
    library = network.base_model  # the wrapper that PEFT has for SEQ_2_SEQ_LM takes texts only
    require_equal_written(found, own_written(library, folder, model, waveform), unadapted)
    write_peft(tmp_path / "again", store.load("ann"))
    again = peft.PeftModel.from_pretrained(plain_whisper(folder), tmp_path / "again").eval()
    require_equal_written(own_written(again, folder, model, waveform), found, unadapted)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("proj_out", r"proj_out \(Linear\) is no place where `lowrank` acts"),
        ("conv1", r"model.encoder.conv1 \(Conv1d\) is no place where `lowrank` acts"),
    ],
)
def test_an_adapter_of_whisper_that_acts_elsewhere_is_refused(checkpoint, source, store, tmp_path, target, said):
    network = lora(checkpoint("whisper"), target_modules=[target])
    network.save_pretrained(tmp_path / "lora", save_embedding_layers=False)
    with pytest.raises(StoreError, match=said):
        import_peft(tmp_path / "lora", source("whisper"), store, "ann")


def test_paths_that_are_not_the_librarys_are_refused(checkpoint, source, store, tmp_path):
    lora(checkpoint("whisper")).save_pretrained(tmp_path / "lora")
    path = tmp_path / "lora" / "adapter_model.safetensors"
    content = load_file(path)
    save_file({k.replace("base_model.model.", "base_model.model.whisper."): v for k, v in content.items()}, path)
    with pytest.raises(StoreError, match=r"the model has no whisper\.model"):
        import_peft(tmp_path / "lora", source("whisper"), store, "ann")


@pytest.mark.parametrize("method", ["lowrank", "encoder", "head", "lowrank+head"])
def test_transformers_alone_loads_a_merged_whisper_with_equal_outputs(
    checkpoint, source, store, waveform, tmp_path, method
):
    model, folder, target = source("whisper"), checkpoint("whisper"), tmp_path / "merged"
    before = fingerprint(model.module)
    store_speaker(store, model, "ann", method)
    done = write_merged(target, model, store.load("ann"))
    expected, unadapted = our_written(model, waveform, store.load("ann")), our_written(model, waveform)
    encoder = method != "head"
    found = own_written(plain_whisper(target), target, model, waveform)
    require_equal_written(found, expected, unadapted, encoder=encoder)
    assert done.difference < 1e-5
    assert fingerprint(model.module) == before
    assert set(done.files) == {path.name for path in target.iterdir()} >= SAVED
    assert set(done.files) == {path.name for path in folder.iterdir()}
    assert all("whisper." not in key for key in load_file(target / "model.safetensors"))
    again = load_model(str(target), device="cpu")
    require_equal_written(our_written(again, waveform), expected, unadapted, encoder=encoder)


def test_a_merged_whisper_of_many_languages_keeps_them_and_writes_the_same_text(store, waveform, tmp_path):
    folder, target = save_whisper(tmp_path / "many", many=True), tmp_path / "merged"
    model = load_model(str(folder), device="cpu", options=GERMAN)
    store_speaker(store, model, "ann", "lowrank")
    write_merged(target, model, store.load("ann"))
    for name in ("generation_config.json", "tokenizer_config.json", "tokenizer.json", "preprocessor_config.json"):
        assert (target / name).read_bytes() == (folder / name).read_bytes()
    assert "target_lang" not in json.loads((target / "tokenizer_config.json").read_text())
    lengths = torch.tensor([waveform.shape[1]])
    with standing_bank(model, store.load("ann")).attach(model, torch.zeros(1, dtype=torch.int64)):
        expected = model.texts(model.forward(waveform, lengths)[0])
    processor = transformers.WhisperProcessor.from_pretrained(target)
    features = processor(waveform[0].numpy(), sampling_rate=16000, return_tensors="pt").input_features
    numbers = plain_whisper(target).generate(features, language="de", task="transcribe", max_length=24)
    assert [
        " ".join(text.split()) for text in processor.batch_decode(numbers, skip_special_tokens=True)
    ] == expected
    assert expected[0]
    for code in ("de", "fr"):
        again = load_model(str(target), device="cpu", options=ModelOptions(language=code))
        assert again.spell(TEXT) == model.spell(TEXT)


def test_a_merged_head_is_a_layer_of_its_own_and_the_embeddings_stay(checkpoint, source, store, tmp_path):
    model, target = source("whisper"), tmp_path / "merged"
    store_speaker(store, model, "ann", "head")
    write_merged(target, model, store.load("ann"))
    before, after = plain_whisper(checkpoint("whisper")), plain_whisper(target)
    embeddings = before.model.decoder.embed_tokens.weight
    assert before.proj_out.weight is embeddings
    assert torch.equal(after.model.decoder.embed_tokens.weight, embeddings)
    assert not torch.allclose(after.proj_out.weight, embeddings)
    assert json.loads((target / "config.json").read_text())["tie_word_embeddings"] is False
    assert model.module.whisper.proj_out.weight is model.module.whisper.model.decoder.embed_tokens.weight


def test_the_norms_of_affine_are_merged_where_the_blocks_stay(source):
    """What stands in the way of `affine` are the blocks alone; a head then stands on the norm as it became."""
    model, methods = source("whisper"), create("affine+head")
    state = random_state(model, "affine+head")
    for name, tensor in state.items():
        if name.startswith("affine") and "norm" not in name:
            tensor.zero_()
    bank = SpeakerBank(model, methods)
    bank.load(0, state)
    with bank.attach(model, torch.zeros(1, dtype=torch.int64)):
        adapted = logits_of_noise(model)
    with replaced(model.module, merged_weights(model, methods, state)):
        merged = logits_of_noise(model)
    require_equal(merged, adapted, logits_of_noise(model))


def test_a_head_without_anything_constant_before_it_is_refused(tmp_path):
    folder = save_whisper(tmp_path / "level")
    weights = load_file(folder / "model.safetensors")
    weights["model.decoder.layer_norm.bias"].zero_()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    model = load_model(str(folder), device="cpu")
    state = random_state(model, "head")
    with pytest.raises(StoreError, match="the norm before it gives too little that is always the same"):
        merged_weights(model, create("head"), state)
    state["head/whisper.proj_out/bias"].zero_()
    assert list(merged_weights(model, create("head"), state)) == ["whisper.proj_out.weight"]


def test_a_head_in_half_precision_is_refused(checkpoint):
    half = load_model(str(checkpoint("whisper")), device="cpu", options=ModelOptions(precision="bf16"))
    with pytest.raises(StoreError, match="with --precision fp32 only"):
        merged_weights(half, create("head"), random_state(half, "head"))


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("affine", r"'affine' cannot be merged at whisper.model.encoder.layers.0 .*whole block"),
        ("bottleneck", "'bottleneck' cannot be merged"),
        ("input", "'input' cannot be merged at features: no single linear layer"),
    ],
)
def test_what_is_no_change_of_whispers_weights_is_refused(source, store, tmp_path, method, said):
    store_speaker(store, source("whisper"), "ann", method)
    with pytest.raises(StoreError, match=said):
        write_merged(tmp_path / "merged", source("whisper"), store.load("ann"))
    assert not (tmp_path / "merged").exists()


def test_the_check_before_writing_looks_at_what_the_decoder_says(checkpoint, store, tmp_path, monkeypatch):
    """A change of the decoder alone, lost on the way: the states of the encoder could not tell."""
    model = load_model(str(checkpoint("whisper")), device="cpu")
    store_speaker(store, model, "ann", "lowrank")
    own = merged_folder.merged_weights

    def encoder_only(*given):
        return {name: value for name, value in own(*given).items() if ".decoder." not in name}

    monkeypatch.setattr(merged_folder, "merged_weights", encoder_only)
    with pytest.raises(StoreError, match="would not be the adapted one"):
        write_merged(tmp_path / "merged", model, store.load("ann"))
    assert logits_of_noise(model).shape[-1] == model.module.whisper.config.vocab_size


def test_a_merged_whisper_keeps_its_precision(checkpoint, store, tmp_path):
    model = load_model(str(checkpoint("whisper")), device="cpu", options=ModelOptions(precision="bf16"))
    store_speaker(store, model, "ann", "lowrank")
    write_merged(tmp_path / "merged", model, store.load("ann"))
    held = load_file(tmp_path / "merged" / "model.safetensors")
    assert {value.dtype for value in held.values()} == {torch.bfloat16}


def test_a_pickle_beside_which_only_an_adapter_is_safetensors_is_loaded_again(checkpoint, store, tmp_path):
    folder = tmp_path / "pickled"
    save_whisper(folder)
    weights = folder / "model.safetensors"
    torch.save(load_file(weights), folder / "pytorch_model.bin")
    weights.rename(folder / "adapter_model.safetensors")
    model = load_model(str(folder), device="cpu", options=ModelOptions(allow_pickle=True))
    store_speaker(store, model, "ann", "lowrank")
    assert "model.safetensors" in write_merged(tmp_path / "merged", model, store.load("ann")).files
