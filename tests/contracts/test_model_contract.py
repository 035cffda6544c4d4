from __future__ import annotations

import copy
import json
from dataclasses import replace

import pytest
import torch

from asradapt.errors import InputError
from asradapt.features import FeatureOptions
from asradapt.models.base import GIVEN, SITE_KINDS, SourceModel, fingerprint
from asradapt.models.conformer import Conformer, ConformerOptions
from asradapt.models.source import ConformerSource, load_source, save_source
from asradapt.testing import FrozenContract, LogitsContract


def own(model: SourceModel) -> None:
    """Skip the test for models that others wrote."""
    if not isinstance(model, ConformerSource):
        pytest.skip("about this project's own network")


class TestModels(FrozenContract, LogitsContract):
    """The contract that every model keeps, and what this project's own keep besides."""

    def lacking(self, model):
        return 0 if isinstance(model, ConformerSource) else 2

    def test_every_kind_of_site_is_there(self, model):
        lacks = (
            set() if isinstance(model, ConformerSource) else {"attention"}
        )  # WavLM's never fire: fused in torch
        assert set(SITE_KINDS) - {site.kind for site in model.sites} <= lacks

    def test_the_fingerprint_is_that_of_the_weights(self, model):
        own(model)  # others keep a front end besides, which belongs to it
        assert model.fingerprint == fingerprint(model.module) == fingerprint(copy.deepcopy(model.module))

    @torch.no_grad()
    def test_a_saved_model_comes_back_the_same(self, model, clips, alone, batch, tmp_path):
        own(model)
        save_source(model, tmp_path / "copy.safetensors", dtype=torch.float32)
        again = load_source(tmp_path / "copy.safetensors")
        assert again.fingerprint == model.fingerprint
        assert (again.name, again.tokens, again.sites) == (model.name, model.tokens, model.sites)
        assert (again.card, again.sample_rate, again.frame_seconds) == (
            {key: value for key, value in model.card.items() if key != GIVEN},  # it is another file now
            model.sample_rate,
            model.frame_seconds,
        )
        assert torch.equal(again.forward(*batch([clips[1]]))[0][0], alone[1])
        assert not again.module.training


def test_a_training_mode_network_is_put_into_eval_mode(tiny_model):
    network = copy.deepcopy(tiny_model().module).train().requires_grad_(True)
    model = type(tiny_model())("again", network, FeatureOptions(), tiny_model().tokens, {})
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_nothing_in_a_model_is_shared_by_the_rows_of_a_batch(model):
    own(model)
    assert not [name for name, part in model.module.named_modules() if "BatchNorm" in type(part).__name__]
    assert not [part for part in model.module.modules() if isinstance(part, torch.nn.MultiheadAttention)]


def test_the_fingerprint_does_not_depend_on_the_order_of_the_weights(tiny_model):
    first = torch.nn.ModuleDict({"a": torch.nn.Linear(2, 3), "b": torch.nn.Linear(3, 2)})
    second = torch.nn.ModuleDict({"b": first["b"], "a": first["a"]})
    assert fingerprint(first) == fingerprint(second)


@pytest.mark.parametrize("bits", [1, -(2**31)], ids=["lowest bit", "sign"])
def test_the_fingerprint_notices_one_bit_of_any_weight(tiny_model, bits):
    module = tiny_model().module
    before = fingerprint(module)
    for tensor in module.state_dict().values():
        last = tensor.flatten()[-1:].view(torch.int32)
        last ^= bits
        assert fingerprint(module) != before
        last ^= bits
    assert fingerprint(module) == before


def test_the_fingerprint_notices_names_shapes_and_types():
    def of(name: str, *shape: int, dtype: torch.dtype = torch.float32) -> str:
        part = torch.nn.Module()
        part.register_buffer(name, torch.zeros(*shape, dtype=dtype))
        return fingerprint(part)

    assert len({of("a", 2, 3), of("b", 2, 3), of("a", 3, 2), of("a", 6), of("a", 2, 3, dtype=torch.int32)}) == 5


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.bool], ids=str)
def test_the_fingerprint_works_for_every_type_of_weight(dtype):
    part = torch.nn.Module()
    part.register_buffer("matrix", torch.ones(4, 3).to(dtype).T)
    part.register_buffer("scalar", torch.tensor(1).to(dtype))
    before = fingerprint(part)
    assert fingerprint(part) == before
    part.matrix[1, 2] = 0
    assert fingerprint(part) != before


def test_a_model_of_half_precision_keeps_its_fingerprint(tiny_model, tmp_path):
    save_source(tiny_model(), tmp_path / "once.safetensors")
    once = load_source(tmp_path / "once.safetensors")
    save_source(once, tmp_path / "twice.safetensors")
    assert load_source(tmp_path / "twice.safetensors").fingerprint == once.fingerprint
    assert {weight.dtype for weight in once.module.state_dict().values()} == {torch.float32}


def test_a_damaged_model_is_refused_with_its_path(tiny_model, tmp_path):
    path, description = tmp_path / "m.safetensors", tmp_path / "m.json"
    save_source(tiny_model(), path)
    whole, content = path.read_bytes(), json.loads(description.read_text())
    damages = [
        (whole[:-10], content),
        (b"", content),
        (whole, content | {"network": content["network"] | {"width": 32}}),
        (whole, content | {"network": content["network"] | {"size": 1}}),
        (whole, {key: value for key, value in content.items() if key != "tokens"}),
    ]
    for weights, text in damages:
        path.write_bytes(weights)
        description.write_text(json.dumps(text))
        with pytest.raises(InputError, match=r"m\.safetensors"):
            load_source(path)
    description.write_text("{")
    with pytest.raises(InputError, match=r"m\.safetensors"):
        load_source(path)
    description.unlink()
    with pytest.raises(InputError, match="both files are needed"):
        load_source(path)


def test_a_description_whose_parts_do_not_fit_is_refused_with_all_that_is_wrong(tiny_model, tmp_path):
    path, description = tmp_path / "m.safetensors", tmp_path / "m.json"
    save_source(tiny_model(), path)
    content = json.loads(description.read_text())
    network = content["network"]
    wrong = content | {
        "format": 3,
        "tokens": content["tokens"][:-1],
        "network": network | {"mels": 79, "heads": 3},
    }
    description.write_text(json.dumps(wrong))
    with pytest.raises(InputError) as caught:
        load_source(path)
    for part in (
        "format 3, this version reads 1 and 2",
        "28 tokens for 29 outputs",
        "80 mel bands for 79 inputs",
        "width 16 is not a multiple of twice 3 heads",
    ):
        assert part in str(caught.value)


@pytest.mark.parametrize("heads", [0, -2, "2", None])
def test_heads_that_are_no_number_of_heads_are_refused(tiny_model, tmp_path, heads):
    path, description = tmp_path / "m.safetensors", tmp_path / "m.json"
    save_source(tiny_model(), path)
    content = json.loads(description.read_text())
    description.write_text(json.dumps(content | {"network": content["network"] | {"heads": heads}}))
    with pytest.raises(InputError, match=r"m\.safetensors"):
        load_source(path)


def test_branches_are_dropped_in_training_only():
    """All or nothing for the whole batch; with none dropped the output is that of a network without."""
    options = ConformerOptions(mels=8, width=16, blocks=2, heads=2, kernel=3, dropout=0.0)
    torch.manual_seed(0)
    plain = Conformer(options).train()
    dropping = Conformer(replace(options, layer_drop=0.5)).train()
    dropping.load_state_dict(plain.state_dict())
    x, lengths = torch.randn(2, 40, 8), torch.tensor([40, 30])
    outputs = [dropping(x, lengths)[0] for _ in range(8)]
    assert any(not torch.equal(outputs[0], other) for other in outputs)
    torch.testing.assert_close(dropping.eval()(x, lengths)[0], plain(x, lengths)[0])
