"""Whole models with an adaptation merged in, loaded by the libraries alone."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import pytest
import torch
import torchaudio
import transformers
from families import KINDS, save_bundle, save_ctc, small_bundle
from interchange_samples import our_logits, own_logits, plain, require_equal
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from samples import random_state, store_speaker

from asradapt.adaptation import SpeakerBank, create
from asradapt.errors import SourceMismatch, StoreError
from asradapt.interchange import merged_weights, write_merged
from asradapt.interchange.consumers import only_consumer
from asradapt.models import ModelOptions, load_model
from asradapt.models.base import fingerprint
from asradapt.models.torchaudio_bundle import make_source
from asradapt.pace import prepare

POST_NORM = ("wav2vec2-base", "hubert", "conformer", "sew")
EVERYWHERE = ("lowrank", "head", "encoder", "input", "input+lowrank+head")
CASES = [(kind, method) for kind in KINDS for method in EVERYWHERE]
CASES += [(kind, method) for kind in POST_NORM for method in ("affine", "input+affine+lowrank+head")]
PROJECTION = "wav2vec2.feature_projection"


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_transformers_alone_loads_a_merged_model_with_equal_outputs(
    checkpoint, source, store, waveform, tmp_path, kind, method
):
    model = source(kind)
    before = fingerprint(model.module)
    store_speaker(store, model, "ann", method)
    done = write_merged(tmp_path / "merged", model, store.load("ann"))
    expected, unadapted = our_logits(model, waveform, store.load("ann")), our_logits(model, waveform)
    require_equal(own_logits(plain(tmp_path / "merged"), model, waveform), expected, unadapted)
    assert done.difference < 1e-5
    assert fingerprint(model.module) == before
    assert {path.name for path in (tmp_path / "merged").iterdir()} == set(done.files)
    assert set(done.files) == {path.name for path in checkpoint(kind).iterdir()}
    assert len({path.stat().st_mode for path in (tmp_path / "merged").iterdir()}) == 1, (
        "readable for the same people"
    )


@pytest.mark.parametrize("kind", ["wav2vec2-base", "wav2vec2-large"])
def test_text_and_tokens_of_a_merged_model_are_those_of_the_adapted_one(source, store, waveform, tmp_path, kind):
    model = source(kind)
    store_speaker(store, model, "ann", "lowrank")
    write_merged(tmp_path / "merged", model, store.load("ann"))
    network = transformers.AutoModelForCTC.from_pretrained(tmp_path / "merged").eval()
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "merged")
    sound = processor(waveform[0].numpy(), sampling_rate=16000, return_tensors="pt")
    with torch.no_grad():
        numbers = network(sound.input_values).logits.argmax(-1)
    ours = our_logits(model, waveform, store.load("ann")).argmax(-1)
    own = torch.tensor(model.alphabet.order)[ours]
    assert processor.batch_decode(numbers) == processor.batch_decode(own)
    again = load_model(str(tmp_path / "merged"), device="cpu")
    assert again.tokens == model.tokens
    assert again.fingerprint != model.fingerprint


def with_letters(store, model, method, characters):
    """A speaker with a random adaptation that writes new characters loudly enough to be heard."""
    methods = create(method, {"tokens": {"characters": characters}})
    record = store_speaker(store, model, "ann", "affine")
    bank, generator = SpeakerBank(model, methods), torch.Generator().manual_seed(3)
    state = {k: v + 0.3 * torch.randn(v.shape, generator=generator) for k, v in bank.state(0).items()}
    state |= {k: v + 30.0 for k, v in state.items() if k.startswith("tokens/") and k.endswith("/bias")}
    options = {one.name: one.options() for one in methods}
    store.save(replace(record, method=method, options=options, version=0, sha256=""), state)
    return store.load("ann")


@pytest.mark.parametrize("kind", ["wav2vec2-base", "wavlm"])
@pytest.mark.parametrize("method", ["tokens", "lowrank+head+tokens"])
def test_new_characters_are_merged_as_outputs_and_names(source, store, waveform, tmp_path, kind, method):
    model = source(kind)
    stored = with_letters(store, model, method, "éñ")
    done = write_merged(tmp_path / "merged", model, stored)
    assert done.difference < 1e-5
    expected = our_logits(model, waveform, stored)
    network = plain(tmp_path / "merged")
    width = len(model.tokens)
    assert (network.lm_head.out_features, network.config.vocab_size) == (width + 2, width + 2)
    again = load_model(str(tmp_path / "merged"), device="cpu")
    assert again.tokens == (*model.tokens, "é", "ñ")  # capitals in the vocabulary, as its other letters
    require_equal(own_logits(network, again, waveform), expected, 0 * expected)
    require_equal(our_logits(again, waveform), expected, 0 * expected)
    numbers = expected.argmax(-1)
    assert int((numbers >= width).sum()) > 0, "no new character is heard in this test"
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.convert_ids_to_tokens([width, width + 1]) == ["É", "Ñ"]


def test_new_characters_that_are_no_change_of_weights_are_refused(source, store, tiny_model, tmp_path):
    model = source("wav2vec2-base")
    with pytest.raises(StoreError, match="'tokens' cannot be merged at lm_head: a new character without a letter"):
        write_merged(tmp_path / "m", model, with_letters(store, model, "tokens", "éж"))
    with pytest.raises(StoreError, match="there is none for ß"):
        write_merged(tmp_path / "m", model, with_letters(store, model, "tokens", "ß"))
    tiny = tiny_model()
    with pytest.raises(StoreError, match="can be written into a transformers folder only, and tiny is none"):
        write_merged(tmp_path / "m", tiny, with_letters(store, tiny, "tokens", "é"))
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("like", ["base", "large"])
@pytest.mark.parametrize("method", ["lowrank", "head", "encoder", "input"])
def test_torchaudio_alone_loads_a_merged_model_with_equal_outputs(store, waveform, tmp_path, like, method):
    bundle = small_bundle(like)
    model = make_source("small", bundle, save_bundle(tmp_path / "small.pth", bundle), ModelOptions())
    store_speaker(store, model, "ann", method)
    write_merged(tmp_path / "merged", model, store.load("ann"))
    network = torchaudio.models.wav2vec2_model(**bundle._params).eval()
    network.load_state_dict(load_file(tmp_path / "merged" / "model.safetensors"))
    values = torch.nn.functional.layer_norm(waveform, waveform.shape) if bundle._normalize_waveform else waveform
    with torch.no_grad():
        found = network(values)[0][..., list(model.alphabet.order)]
    expected = our_logits(model, waveform, store.load("ann"))
    require_equal(found, expected, our_logits(model, waveform))
    again = make_source("small", bundle, tmp_path / "merged" / "model.safetensors", ModelOptions())
    require_equal(our_logits(again, waveform), expected, our_logits(model, waveform))


@pytest.mark.parametrize("method", ["lowrank", "affine+lowrank", "head", "encoder"])
def test_a_merged_conformer_is_a_model_of_its_own(tiny_model, store, waveform, tmp_path, method):
    model = tiny_model()
    store_speaker(store, model, "zebulon", method)
    done = write_merged(tmp_path / "merged", model, store.load("zebulon"))
    assert done.files == ("model.json", "model.safetensors")
    for name in ("merged", "merged/model.safetensors"):
        again = load_model(str(tmp_path / name), device="cpu")
        expected = our_logits(model, waveform, store.load("zebulon"))
        require_equal(our_logits(again, waveform), expected, our_logits(model, waveform))
    assert "zebulon" not in (tmp_path / "merged" / "model.json").read_text(), (
        "a model does not tell whose voice it is"
    )
    with pytest.raises(SourceMismatch):
        write_merged(tmp_path / "twice", again, store.load("zebulon"))


def test_a_merged_conformer_slows_down_whom_its_source_slows_down(tiny_model, store, tmp_path, babble, batch):
    model = tiny_model(seed=2, kernel=5, phones=7, conditions=(1,))
    model.phones = ("", *"abcdef")
    waveforms, lengths = batch([babble(seconds, seed) for seed, seconds in enumerate((1.0, 2.0, 1.4, 0.8))])
    features = model.prepare(waveforms, lengths)
    sounds, _ = model.encode_first(*features)
    model.module.inner.bias[0] += (sounds[..., 1:].amax(-1) - sounds[..., 0]).median()  # silence is as likely
    model.card = {**model.card, "pace": {"crowded": 0.4, "slowest": 0.3}}
    sounds, _ = model.encode_first(*features)
    expected = prepare(model, waveforms, lengths)
    assert len(set(expected.tempo.tolist())) > 1
    fingerprints = [model.fingerprint]
    for round_ in ("once", "twice"):
        store_speaker(store, model, round_, "affine+lowrank")
        write_merged(tmp_path / round_, model, store.load(round_))
        model = load_model(str(tmp_path / round_), device="cpu")
        made = prepare(model, waveforms, lengths)
        assert made.tempo.tolist() == expected.tempo.tolist()
        assert torch.equal(made.features, expected.features)
        inner = model.encode_inner(*features)[2][0]
        assert not torch.allclose(inner, sounds), "what it understands has changed"
        fingerprints.append(model.fingerprint)
    assert len(set(fingerprints)) == 3


def test_a_merged_conformer_without_a_pace_has_no_weights_for_it(tiny_model, store, tmp_path):
    model = tiny_model(seed=2, kernel=5, phones=7, conditions=(1,))
    store_speaker(store, model, "ann", "affine")
    write_merged(tmp_path / "merged", model, store.load("ann"))
    held = load_file(tmp_path / "merged" / "model.safetensors")
    assert held.keys() == model.module.state_dict().keys()


def test_the_weights_of_one_language_are_merged_and_named(tmp_path, store, waveform):
    folder = save_ctc(tmp_path / "mms", "wav2vec2-large", adapter_attn_dim=4)
    network = plain(folder)
    save_file({k: v.clone() for k, v in network._get_adapters().items()}, folder / "adapter.deu.safetensors")
    letters = json.loads((folder / "vocab.json").read_text())
    (folder / "vocab.json").write_text(json.dumps({"deu": letters, "fra": letters}))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"target_lang": "fra"}))
    model = load_model(str(folder), device="cpu", options=ModelOptions(language="deu"))
    store_speaker(store, model, "ann", "lowrank")
    write_merged(tmp_path / "merged", model, store.load("ann"))
    expected, unadapted = our_logits(model, waveform, store.load("ann")), our_logits(model, waveform)
    require_equal(own_logits(plain(tmp_path / "merged"), model, waveform), expected, unadapted)
    assert load_model(str(tmp_path / "merged"), device="cpu").tokens == model.tokens
    assert json.loads((tmp_path / "merged" / "tokenizer_config.json").read_text())["target_lang"] == "deu"


def test_merged_weights_keep_their_precision(checkpoint):
    model = load_model(str(checkpoint("hubert")), device="cpu", options=ModelOptions(precision="bf16"))
    changed = merged_weights(model, create("lowrank+head"), random_state(model, "lowrank+head"))
    assert {value.dtype for value in changed.values()} == {torch.bfloat16}
    for name, value in changed.items():
        assert not torch.equal(value, model.module.get_parameter(name))


@pytest.mark.parametrize(
    ("kind", "method", "said"),
    [
        ("wav2vec2-large", "affine", "'affine' cannot be merged at wav2vec2.encoder.layers.0 .*whole block"),
        (
            "wav2vec2-base",
            "bottleneck",
            "'bottleneck' cannot be merged at wav2vec2.encoder.layers.0.final_layer_n",
        ),
        ("wav2vec2-base", "affine+bottleneck", "'bottleneck' cannot be merged"),
        ("data2vec", "affine", "'affine' cannot be merged at .*pos_conv_embed.* it has no weight of its own"),
    ],
)
def test_what_is_no_change_of_weights_is_refused_with_method_and_place(
    source, store, tmp_path, kind, method, said
):
    store_speaker(store, source(kind), "ann", method)
    with pytest.raises(StoreError, match=said):
        write_merged(tmp_path / "merged", source(kind), store.load("ann"))
    assert not (tmp_path / "merged").exists()


def test_features_that_a_convolution_takes_cannot_be_transformed_by_weights(tiny_model, store, tmp_path):
    model = tiny_model()
    store_speaker(store, model, "ann", "input")
    with pytest.raises(StoreError, match="'input' cannot be merged at features: no single linear layer"):
        write_merged(tmp_path / "merged", model, store.load("ann"))


def test_a_method_that_does_nothing_at_a_place_is_no_obstacle_there(source):
    model = source("wav2vec2-large")
    methods = create("affine+bottleneck+lowrank")
    state = SpeakerBank(model, methods).state(0)
    assert merged_weights(model, methods, state) == {}
    name = f"{PROJECTION}.projection"
    state[f"lowrank/{name}/up"] += 1
    assert list(merged_weights(model, methods, state)) == [f"{name}.weight"]


def test_who_keeps_the_source_has_nothing_to_merge(source, store, tmp_path):
    store_speaker(store, source("hubert"), "bob", "identity")
    with pytest.raises(StoreError, match="bob keeps the source"):
        write_merged(tmp_path / "merged", source("hubert"), store.load("bob"))


def test_an_adaptation_of_another_model_is_not_merged(source, store, tmp_path):
    store_speaker(store, source("hubert"), "ann", "lowrank")
    with pytest.raises(SourceMismatch, match="belongs to another source model"):
        write_merged(tmp_path / "merged", source("wav2vec2-base"), store.load("ann"))


def test_a_tensor_that_two_places_share_is_not_changed(tiny_model):
    model = tiny_model()
    blocks = model.module.blocks
    blocks[1].first.up.weight = blocks[0].first.up.weight
    with pytest.raises(
        StoreError, match=r"blocks.0.first.up.weight is the same tensor as blocks.1.first.up.weight"
    ):
        merged_weights(model, create("lowrank"), random_state(model, "lowrank"))


def test_a_layer_that_counts_its_input_twice_is_found_out(source, monkeypatch, store, tmp_path):
    """A weight used in a way that its module does not show: only a run of the whole model can tell."""
    model = load_model(source("hubert").card["folder"], device="cpu")
    store_speaker(store, model, "ann", "head")
    own = model._run
    monkeypatch.setattr(model, "_run", lambda x, n: (lambda y, c: (y + model.module.lm_head.bias, c))(*own(x, n)))
    with pytest.raises(StoreError, match="would not be the adapted one"):
        write_merged(tmp_path / "merged", model, store.load("ann"))
    assert not (tmp_path / "merged").exists()


def test_the_only_consumer_is_found_only_where_there_is_one(source):
    model = source("wav2vec2-base")
    assert only_consumer(model, f"{PROJECTION}.layer_norm") == f"{PROJECTION}.projection"
    assert only_consumer(model, "wav2vec2.encoder.layers.0.layer_norm") is None  # added again behind the layer
    assert only_consumer(model, "wav2vec2.encoder.layers.0.final_layer_norm") is None  # so is this
    assert only_consumer(model, "wav2vec2.encoder.layers.1.final_layer_norm") == "lm_head"


def test_a_folder_that_exists_is_replaced_only_by_force_and_only_if_it_is_an_export(source, store, tmp_path):
    model, target = source("hubert"), tmp_path / "merged"
    store_speaker(store, model, "ann", "head")
    target.mkdir()
    with pytest.raises(StoreError, match="exists and is left as it is"):
        write_merged(target, model, store.load("ann"))
    write_merged(target, model, store.load("ann"), force=True)
    first = (target / "model.safetensors").read_bytes()
    store_speaker(store, model, "ann", "head", seed=1)
    write_merged(target, model, store.load("ann"), force=True)
    assert (target / "model.safetensors").read_bytes() != first
    (target / "photographs").mkdir()
    (target / "letter.odt").write_text("dear")
    with pytest.raises(StoreError, match=r"holds other things too \(letter.odt, photographs\)"):
        write_merged(target, model, store.load("ann"), force=True)
    assert (target / "letter.odt").read_text() == "dear"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged", "store"]


def test_the_source_model_itself_is_never_replaced(source, checkpoint, store):
    store_speaker(store, source("hubert"), "ann", "head")
    before = {path.name: path.read_bytes() for path in checkpoint("hubert").iterdir()}
    with pytest.raises(StoreError, match="is the folder of the source model itself"):
        write_merged(checkpoint("hubert"), source("hubert"), store.load("ann"), force=True)
    assert {path.name: path.read_bytes() for path in checkpoint("hubert").iterdir()} == before


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), StoreError),
        (SafetensorError("I/O error: No space left on device (os error 28)"), StoreError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_or_an_interruption_leaves_what_was_there(
    tiny_model, store, tmp_path, monkeypatch, error, raised, there
):
    model, target = tiny_model(), tmp_path / "merged"
    store_speaker(store, model, "ann", "head")
    if there:
        write_merged(target, model, store.load("ann"))
    before = {path.name: path.read_bytes() for path in target.iterdir()} if there else {}

    def full(content, path):
        path.write_bytes(b"half")
        raise error

    monkeypatch.setattr("asradapt.models.source.save_file", full)
    with pytest.raises(raised) as caught:
        write_merged(target, model, store.load("ann"), force=there)
    assert raised is not StoreError or "No space left on device" in str(caught.value)
    assert ({path.name: path.read_bytes() for path in target.iterdir()} if there else {}) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [*(["merged"] if there else []), "store"]


def test_a_swap_that_fails_brings_the_older_folder_back(tiny_model, store, tmp_path, monkeypatch):
    model, target = tiny_model(), tmp_path / "merged"
    store_speaker(store, model, "ann", "head")
    write_merged(target, model, store.load("ann"))
    before = (target / "model.json").read_bytes()
    rename, calls = type(tmp_path).rename, []

    def second_fails(path, to):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return rename(path, to)

    monkeypatch.setattr(type(tmp_path), "rename", second_fails)
    with pytest.raises(StoreError, match="nothing was written"):
        write_merged(target, model, store.load("ann"), force=True)
    assert (target / "model.json").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["merged", "store"]


def test_a_folder_that_cannot_be_made_is_named(tiny_model, store, tmp_path):
    model = tiny_model()
    store_speaker(store, model, "ann", "head")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StoreError, match=r"cannot write .*merged"):
        write_merged(tmp_path / "file" / "merged", model, store.load("ann"))
    with pytest.raises(StoreError, match="file is a file, and a folder is to be written"):
        write_merged(tmp_path / "file", model, store.load("ann"), force=True)
    assert (tmp_path / "file").read_text() == "no folder"
