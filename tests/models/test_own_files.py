"""Files of the project's own network: what a model says of its inner outputs survives."""

from __future__ import annotations

import json

import pytest
import torch
from own_models import make_model
from safetensors.torch import load_file, save_file

from asradapt.errors import InputError
from asradapt.models.base import has_phones
from asradapt.models.source import load_source, save_source, with_weights

PHONES = ("", " ", "AA", "B")


@pytest.fixture
def path(tmp_path):
    model = make_model(conditions=(1,), phones=len(PHONES))
    model.phones = PHONES
    save_source(model, tmp_path / "own.safetensors", dtype=torch.float32)
    return tmp_path / "own.safetensors"


def test_phones_are_written_and_read(path):
    again = load_source(path)
    assert has_phones(again)
    assert again.phones == PHONES
    assert with_weights(again, "other", again.module.state_dict(), {}).phones == PHONES


def test_a_file_without_phones_is_a_model_without(path):
    content = json.loads(path.with_suffix(".json").read_text())
    del content["phones"]
    path.with_suffix(".json").write_text(json.dumps(content))
    assert not has_phones(load_source(path))


def test_phones_that_are_not_those_of_the_network_are_refused(path):
    content = json.loads(path.with_suffix(".json").read_text()) | {"phones": PHONES[:3]}
    path.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(InputError, match="3 phones for 4 inner outputs"):
        load_source(path)


def test_inner_outputs_come_with_the_logits(path):
    model = load_source(path)
    noise = torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        inputs = model.prepare(noise, torch.tensor([8000, 6000]))
        logits, frames, inner = model.encode_inner(*inputs)
        torch.testing.assert_close(model.encode(*inputs)[0], logits, rtol=0, atol=0)
    assert [one.shape for one in inner] == [(2, logits.shape[1], len(PHONES))]
    assert frames.tolist()[0] == logits.shape[1]


@pytest.mark.parametrize(
    ("part", "said", "reason"),
    [
        ("card", "x", "card that is no JSON object"),
        ("features", {"sample_rate": 0, "hop": 0}, "sample_rate 0, hop 0: must be whole and at least 1"),
        ("features", {"sample_rate": "x", "hop": 160.5}, "sample_rate 'x', hop 160.5: must be whole"),
        ("features", {"fft": 256}, "fft 256 must be at least the window, 400"),
        ("network", {"conditions": "1"}, "inner outputs behind '1' of 2 blocks"),
        ("network", {"conditions": [3]}, "inner outputs behind .3. of 2 blocks"),
    ],
)
def test_a_description_that_holds_something_else_is_refused(path, part, said, reason):
    content = json.loads(path.with_suffix(".json").read_text())
    content[part] = content[part] | said if isinstance(said, dict) else said
    path.with_suffix(".json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"cannot be used.*{reason}|{reason}"):
        load_source(path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(path, number):
    weights = load_file(path)
    weights["blocks.0.norm.bias"][3] = number
    save_file(weights, path)
    with pytest.raises(InputError, match=r"blocks.0.norm.bias holds numbers that are none"):
        load_source(path)


def test_what_hears_the_pace_is_a_part_of_the_model(path):
    """In the fingerprint, and its own: another model of it can be moved."""
    model = load_source(path)
    weights = model.module.state_dict()
    one = with_weights(model, "one", weights, {}, paced=True)
    other = with_weights(one, "other", weights, {}, paced=True)
    assert one.fingerprint == other.fingerprint != model.fingerprint
    other.to("meta")
    assert next(one.pacer.parameters()).device.type == "cpu"
    save_source(one, path, dtype=torch.float32)
    assert json.loads(path.with_suffix(".json").read_text())["format"] == 2
    held = load_file(path)
    save_file(held | {"pace.inner.bias": held["pace.inner.bias"] + 1}, path)
    assert load_source(path).fingerprint != one.fingerprint


def test_a_weight_of_the_pace_that_is_missing_is_called_by_its_own_name(path):
    model = load_source(path)
    save_source(with_weights(model, "other", model.module.state_dict(), {}, paced=True), path, dtype=torch.float32)
    whole = load_file(path)
    for name, other in (("inner.bias", None), ("inner.weight", torch.zeros(2)), ("blocks.9.x", torch.zeros(2))):
        weights = {key: value for key, value in whole.items() if key != f"pace.{name}"}
        save_file(weights if other is None else weights | {f"pace.{name}": other}, path)
        with pytest.raises(InputError, match=f"pace.{name} is missing, unknown or of another shape"):
            load_source(path)


@pytest.mark.parametrize("conditions", [(), (1,)])
def test_weights_of_a_pace_that_have_no_place_are_refused(tmp_path, conditions):
    path = tmp_path / "own.safetensors"
    save_source(make_model(conditions=conditions), path, dtype=torch.float32)
    weights = load_file(path)
    save_file(weights | {"pace.subsampling.project.bias": weights["subsampling.project.bias"].clone()}, path)
    with pytest.raises(InputError, match=r"own.safetensors cannot be used"):
        load_source(path)
