"""The project's own network in bf16: the same weights and speakers, nearly the same logits."""

from __future__ import annotations

import json

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.errors import UsageError
from asradapt.models import ModelOptions, load_model
from asradapt.models.processor import faster_in_bf16
from asradapt.models.source import save_source, with_weights

# bf16 has 8 bits: rounding through eight blocks, as a share of the greatest logit. Measured 0.01.
HALF = 0.05


@pytest.fixture(scope="module")
def pair():
    return [load_model("source_en", device="cpu", options=ModelOptions(precision=p)) for p in ("fp32", "bf16")]


def logits_of(model, bank=None):
    noise = torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        inputs = model.prepare(noise, torch.tensor([16_000]))
        if bank is None:
            return model.encode(*inputs)[0]
        with bank.attach(model, torch.tensor([0])):
            return model.encode(*inputs)[0]


def test_weights_sites_and_fingerprint_are_those_of_full_precision(pair):
    full, half = pair
    assert half.fingerprint == full.fingerprint
    assert half.sites == full.sites
    assert {parameter.dtype for parameter in half.module.parameters()} == {torch.float32}


def test_logits_are_nearly_those_of_full_precision(pair):
    wanted, found = map(logits_of, pair)
    assert found.dtype == torch.float32
    assert 0 < float((found - wanted).abs().max()) < HALF * float(wanted.abs().max())


@pytest.mark.parametrize("method", ["affine", "input", "head", "bottleneck", "lowrank", "encoder"])
def test_a_new_adaptation_is_the_identity(pair, method):
    bank = SpeakerBank(pair[1], create(method))
    torch.testing.assert_close(logits_of(pair[1], bank), logits_of(pair[1]), rtol=0, atol=1e-4)


def test_a_small_change_of_the_logits_is_not_rounded_away(pair):
    bank = SpeakerBank(pair[1], create("head"))
    next(tensor for name, tensor in bank.tensors.items() if name.endswith("bias")).fill_(1e-3)
    change = logits_of(pair[1], bank) - logits_of(pair[1])
    torch.testing.assert_close(change, torch.full_like(change, 1e-3), rtol=0, atol=1e-4)


def test_how_it_was_loaded_is_not_written_into_a_model(pair, tmp_path):
    save_source(pair[1], tmp_path / "saved.safetensors")
    assert "precision" not in json.loads((tmp_path / "saved.json").read_text())["card"]
    merged = with_weights(pair[1], "merged", pair[1].module.state_dict(), {"merged": "lowrank"})
    assert "precision" not in merged.card
    assert load_model(str(tmp_path / "saved.safetensors"), device="cpu").fingerprint == pair[0].fingerprint


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_other_precisions_are_refused(precision):
    with pytest.raises(UsageError, match="it takes fp32 or bf16"):
        load_model("source_en", device="cpu", options=ModelOptions(precision=precision))


@pytest.mark.parametrize("faster", [True, False])
def test_where_bf16_is_not_faster_it_is_said(faster, monkeypatch, capsys):
    from asradapt.cli import run

    monkeypatch.setattr("asradapt.models.processor.faster_in_bf16", lambda: faster)
    assert run(["models", "show", "source_en", "--precision", "bf16", "--json"]) == 0
    told = capsys.readouterr().err
    assert told == ("" if faster else "bf16 is hardly faster than fp32 on this processor, or slower\n")


@pytest.mark.parametrize(
    ("known", "faster"),
    [
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "AMD EPYC 9B14"}, True),
        ({"avx512_bf16": True, "amx_bf16": False, "cpu_name": "Intel Xeon"}, False),
        ({"avx512_bf16": True, "amx_bf16": True, "cpu_name": "Intel Xeon"}, True),
        ({"avx512_bf16": False, "amx_bf16": False, "cpu_name": "AMD EPYC 7B13"}, False),
        ({"avx512_bf16": True, "cpu_name": ""}, False),
        ({"avx512_bf16": True}, False),
        ({"architecture": "arm64"}, False),
    ],
)
def test_which_processors_are_faster_in_bf16(known, faster, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)
    assert faster_in_bf16.__wrapped__() is faster


def test_merging_does_not_need_full_precision(pair, tmp_path):
    from samples import store_speaker

    from asradapt.interchange import write_merged
    from asradapt.store import SpeakerStore

    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, pair[1], "ann", "lowrank")
    write_merged(tmp_path / "merged", pair[1], store.load("ann"), force=False)
    merged = load_model(str(tmp_path / "merged"), device="cpu")
    assert "precision" not in merged.card
    assert merged.fingerprint != pair[0].fingerprint


def test_a_card_does_not_decide_what_is_computed_with(pair, tmp_path):
    save_source(pair[0], tmp_path / "own.safetensors", dtype=torch.float32)
    said = json.loads((tmp_path / "own.json").read_text())
    said["card"]["precision"] = "bf16"
    (tmp_path / "own.json").write_text(json.dumps(said))
    again = load_model(str(tmp_path / "own.safetensors"), device="cpu")
    assert "precision" not in again.card
    assert torch.equal(logits_of(again), logits_of(pair[0]))
