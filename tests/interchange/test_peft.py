"""LoRA folders of PEFT: written for PEFT's own classes, and read as they write them."""

from __future__ import annotations

import json
from dataclasses import replace

import peft
import pytest
import torch
from families import KINDS, save_ctc
from interchange_samples import our_logits, own_logits, plain, require_equal
from safetensors.torch import load_file, save_file
from samples import store_speaker, stored_files

from asradapt.decoding import greedy_decode
from asradapt.errors import StoreError
from asradapt.interchange import import_peft, write_peft
from asradapt.models import load_model

pytestmark = pytest.mark.filterwarnings(  # of PEFT about itself
    "ignore:.*is_gradient_checkpointing:FutureWarning",
    "ignore:Adapter 'default'. 4 LoRA tensor.s. have invalid",
)
LAYERS = "wav2vec2.encoder.layers"


def lora(folder, **settings):
    """A model of transformers with a LoRA of PEFT whose matrices are random."""
    torch.manual_seed(3)
    config = peft.LoraConfig(**({"r": 4, "target_modules": ["q_proj", "v_proj"]} | settings))
    network = peft.get_peft_model(plain(folder), config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if "lora_B" in name and weight.ndim == 2:
                weight.copy_(0.5 * torch.randn(weight.shape, generator=generator))
    return network.eval()


@pytest.fixture(scope="module")
def saved(tmp_path_factory, checkpoint):
    """A plain adapter of a small wav2vec2, saved by PEFT; never written to."""
    folder = tmp_path_factory.mktemp("peft")
    lora(checkpoint("wav2vec2-base")).save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tmp_path, saved):
    """A copy of it, of this test's own, to be spoilt."""
    folder = tmp_path / "adapter"
    folder.mkdir()
    for path in saved.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    return folder


def change(folder, **values):
    """Change settings of an adapter."""
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def tensors(folder):
    return load_file(folder / "adapter_model.safetensors")


def rewrite(folder, content):
    save_file(content, folder / "adapter_model.safetensors")


@pytest.mark.parametrize("kind", KINDS)
def test_peft_loads_what_is_exported_with_equal_outputs(checkpoint, source, store, waveform, tmp_path, kind):
    model = source(kind)
    store_speaker(store, model, "ann", "lowrank")
    stored = store.load("ann")
    write_peft(tmp_path / "lora", stored)
    network = peft.PeftModel.from_pretrained(plain(checkpoint(kind)), tmp_path / "lora").eval()
    found = own_logits(network, model, waveform)
    expected = our_logits(model, waveform, stored)
    require_equal(found, expected, our_logits(model, waveform))
    lengths = torch.tensor([expected.shape[1]])
    assert greedy_decode(found, lengths, model.tokens) == greedy_decode(expected, lengths, model.tokens)
    held = peft.get_peft_model_state_dict(network)
    assert {k: v.shape for k, v in held.items()} == {k: v.shape for k, v in tensors(tmp_path / "lora").items()}


def test_peft_finds_each_of_many_layers_by_its_whole_name(tmp_path, store, waveform):
    folder = save_ctc(tmp_path / "deep", "wav2vec2-large", num_hidden_layers=12)
    model = load_model(str(folder), device="cpu")
    record = store_speaker(store, model, "ann", "lowrank")
    state = store.load("ann").tensors
    for name, tensor in state.items():
        if name.endswith("/up") and ("layers.1." in name or "k_proj" in name):
            tensor.zero_()  # layer 1 is left alone, 11 is not
    store.save(record, state)
    write_peft(tmp_path / "lora", store.load("ann"))
    network = peft.PeftModel.from_pretrained(plain(folder), tmp_path / "lora").eval()
    expected = our_logits(model, waveform, store.load("ann"))
    require_equal(own_logits(network, model, waveform), expected, our_logits(model, waveform))
    assert len(peft.get_peft_model_state_dict(network)) == len(tensors(tmp_path / "lora")) == 2 * (1 + 11 * 5)


def test_the_adapter_names_its_model_only_if_that_is_a_name_of_the_hub(source, store, tmp_path):
    store_speaker(store, source("hubert"), "ann", "lowrank")
    stored = store.load("ann")
    for name, base in (
        ("hf:hubert", None),
        ("hf:facebook/hubert-large-ls960-ft", "facebook/hubert-large-ls960-ft"),
    ):
        record = replace(stored.record, source=stored.record.source | {"name": name})
        write_peft(tmp_path / "lora", replace(stored, record=record), force=True)
        assert (
            json.loads((tmp_path / "lora" / "adapter_config.json").read_text())["base_model_name_or_path"] == base
        )


def test_the_exported_names_are_those_of_peft(source, store, tmp_path):
    store_speaker(store, source("wav2vec2-base"), "ann", "lowrank")
    write_peft(tmp_path / "lora", store.load("ann"))
    names = tensors(tmp_path / "lora").keys()
    assert f"base_model.model.{LAYERS}.0.attention.q_proj.lora_A.weight" in names
    assert sorted(path.name for path in (tmp_path / "lora").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


@pytest.mark.parametrize("kind", ["wav2vec2-base", "wav2vec2-large", "hubert", "data2vec", "sew"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lora_alpha": 20, "lora_dropout": 0.3},
        {"use_rslora": True, "r": 6},
        {"target_modules": ["output_dense", "k_proj"], "rank_pattern": {"layers.1.attention.k_proj": 7}},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.0.attention.q_proj": 24, "v_proj": 1}},
        {"target_modules": r".*layers\.1\..*dense", "r": 3},
        {"init_lora_weights": "orthogonal"},
    ],
)
def test_an_adapter_made_by_peft_is_imported_with_equal_outputs(
    checkpoint, source, store, waveform, tmp_path, kind, settings
):
    network, model = lora(checkpoint(kind), **settings), source(kind)
    network.save_pretrained(tmp_path / "lora")
    record = import_peft(tmp_path / "lora", model, store, "ann")
    assert (record.decision, record.method, record.version) == ("adapted", "lowrank", 1)
    found = our_logits(model, waveform, store.load("ann"))
    require_equal(found, own_logits(network, model, waveform), our_logits(model, waveform))


def test_there_and_back_again_gives_peft_the_same_outputs(checkpoint, source, store, waveform, tmp_path):
    folder, model = checkpoint("wav2vec2-base"), source("wav2vec2-base")
    first = lora(folder, use_rslora=True, r=3, target_modules=["v_proj"])
    first.save_pretrained(tmp_path / "one")
    import_peft(tmp_path / "one", model, store, "ann")
    write_peft(tmp_path / "two", store.load("ann"))
    second = peft.PeftModel.from_pretrained(plain(folder), tmp_path / "two").eval()
    require_equal(
        own_logits(second, model, waveform), own_logits(first, model, waveform), our_logits(model, waveform)
    )
    assert len(tensors(tmp_path / "two")) == len(tensors(tmp_path / "one"))  # the layers left alone stay out


def test_what_is_imported_can_be_trained_further_everywhere(source, store, saved):
    model = source("wav2vec2-base")
    import_peft(saved, model, store, "ann")
    state = store.load("ann").tensors
    untouched = f"lowrank/{LAYERS}.0.attention.k_proj"
    assert not state[f"{untouched}/up"].any()
    assert state[f"{untouched}/down"].any(), "with both at zero no gradient would ever reach it"


def test_the_record_says_that_nothing_is_known_and_nobody_judged(source, store, saved):
    record = import_peft(saved, source("wav2vec2-base"), store, "ann")
    assert record.imported
    assert (record.utterances, record.seconds, record.folds) == (0, 0.0, {})
    assert record.gate == {"judged": False, "reason": "imported from a LoRA folder of PEFT"}
    assert record.split["imported"]["peft_version"] == peft.__version__
    assert record.source["fingerprint"] == source("wav2vec2-base").fingerprint


def spoil_pickle(folder):
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")


def spoil_half(folder):
    content = tensors(folder)
    content.pop(f"base_model.model.{LAYERS}.0.attention.q_proj.lora_B.weight")
    rewrite(folder, content)


def spoil_widths(folder):
    rewrite(folder, {k: (v[:, :-1] if "lora_A" in k else v).contiguous() for k, v in tensors(folder).items()})


def spoil_numbers(folder):
    content = tensors(folder)
    next(iter(content.values()))[0, 0] = torch.nan
    rewrite(folder, content)


def spoil_names(folder):
    rewrite(folder, {k.replace("layers.", "blocks."): v for k, v in tensors(folder).items()})


def spoil_cut(folder):
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


SPOILT = {
    "pickle": (spoil_pickle, "adapter_model.bin, a pickle"),
    "no tensors": (lambda f: (f / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
    "no settings": (lambda f: (f / "adapter_config.json").unlink(), "it has no adapter_config.json"),
    "no json": (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json cannot be read"),
    "a list": (lambda f: (f / "adapter_config.json").write_text("[]"), "holds no JSON object"),
    "no rank": (lambda f: change(f, r="many"), "adapter_config.json cannot be used"),
    "cut": (spoil_cut, "adapter_model.safetensors cannot be read"),
    "half": (spoil_half, "lacks one of the two matrices"),
    "empty": (lambda f: rewrite(f, {}), "holds no tensors"),
    "widths": (spoil_widths, "31 to 32, the model has 32 to 32"),
    "nan": (spoil_numbers, "holds NaN or infinity"),
    "names": (spoil_names, "the model has no wav2vec2.encoder.blocks.0.attention.q_proj"),
    "ranks": (lambda f: change(f, r=8), "are not those that adapter_config.json says"),
    "infinite": (lambda f: change(f, lora_alpha=1e999), "alpha that is not finite"),
    "endless": (lambda f: change(f, r=10**400), "adapter_config.json"),
    "patterns in a list": (lambda f: change(f, rank_pattern=[1]), "adapter_config.json cannot be used"),
    "integers": (lambda f: rewrite(f, {k: v.int() for k, v in tensors(f).items()}), "holds more than low-rank"),
    "wild pattern": (lambda f: change(f, rank_pattern={"(a+)+b": 4}), "is more than a module's path"),
    "of another kind": (lambda f: change(f, peft_type="IA3"), "of the type 'IA3'"),
    "pissa": (lambda f: change(f, init_lora_weights="pissa_niter_4"), "it changed the weights of the model"),
    "from the future": (lambda f: change(f, use_quantum=True), "use_quantum=True: what that does is not known"),
    "layers twice": (lambda f: change(f, layer_replication=[[0, 1]]), "layer_replication='...': it repeats"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_folder_that_is_damaged_or_says_more_is_refused_by_name(source, store, adapter, name):
    spoil, said = SPOILT[name]
    spoil(adapter)
    with pytest.raises(StoreError) as caught:
        import_peft(adapter, source("wav2vec2-base"), store, "ann")
    assert said in str(caught.value)
    assert "ann" not in store


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use_dora": True}, "use_dora=True: DoRA rescales"),
        ({"bias": "all"}, "bias='all': it changes biases"),
        ({"lora_bias": True}, "lora_bias=True: it trains a bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save='...': it replaces whole layers"),
        ({"target_modules": ["lm_head"]}, "lm_head (Linear) is no place where `lowrank` acts"),
        ({"target_modules": ["conv_layers.1.conv"]}, "conv_layers.1.conv"),
    ],
)
def test_what_lowrank_cannot_say_is_refused_by_name(checkpoint, source, store, tmp_path, settings, said):
    lora(checkpoint("wav2vec2-base"), **settings).save_pretrained(tmp_path / "lora", save_embedding_layers=False)
    with pytest.raises(StoreError) as caught:
        import_peft(tmp_path / "lora", source("wav2vec2-base"), store, "ann")
    assert said in str(caught.value)
    assert "ann" not in store


def test_layers_that_a_network_does_not_call_are_refused(checkpoint, source, store, tmp_path):
    lora(checkpoint("wavlm")).save_pretrained(tmp_path / "lora")  # WavLM hands their weights to a function
    with pytest.raises(StoreError, match=r"q_proj.* is no place where `lowrank` acts"):
        import_peft(tmp_path / "lora", source("wavlm"), store, "ann")


def test_an_adapter_of_another_model_is_refused(source, store, saved, tiny_model):
    with pytest.raises(StoreError, match=r"the model has no wav2vec2.encoder"):
        import_peft(saved, source("hubert"), store, "ann")
    with pytest.raises(StoreError, match="are for models of transformers, not for tiny; give --model"):
        import_peft(saved, tiny_model(), store, "ann")


def test_a_speaker_who_exists_gets_a_version_only_by_force(source, store, saved):
    model = source("wav2vec2-base")
    store_speaker(store, model, "ann", "affine")
    before = stored_files(store.root)
    with pytest.raises(StoreError, match="'ann' exists"):
        import_peft(saved, model, store, "ann")
    assert stored_files(store.root) == before
    assert import_peft(saved, model, store, "ann", force=True).version == 2
    assert store.rollback("ann").method == "affine"


@pytest.mark.parametrize(
    ("method", "said"),
    [
        ("affine", "adapted by affine"),
        ("affine+lowrank", r"adapted by affine\+lowrank"),
        ("identity", "keeps the source"),
    ],
)
def test_what_is_no_lora_is_not_exported(source, store, tmp_path, method, said):
    store_speaker(store, source("wav2vec2-base"), "ann", method)
    with pytest.raises(StoreError, match=said):
        write_peft(tmp_path / "lora", store.load("ann"))
    assert not (tmp_path / "lora").exists()


def test_a_speaker_of_a_model_that_is_not_of_transformers_is_not_exported(store, tmp_path, tiny_model):
    store_speaker(store, tiny_model(), "ann", "lowrank")
    with pytest.raises(StoreError, match="models of transformers; ann was enrolled on tiny"):
        write_peft(tmp_path / "lora", store.load("ann"))
