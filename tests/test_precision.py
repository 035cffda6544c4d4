"""Frozen networks in half precision: adaptations in full precision, one fingerprint, speakers that fit both."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from samples import random_state, store_speaker

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.examples import Example
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
from asradapt.errors import UsageError
from asradapt.models import ModelOptions, load_model
from asradapt.models.waveform import WaveformSource
from asradapt.store import SpeakerStore, check_source
from asradapt.types import Utterance

families = pytest.importorskip("families", reason="the extra [hf] is not installed")
KINDS = (*families.KINDS, "torchaudio-large")
# A number of bf16 has 8 bits: rounding through two blocks and the positions, as a share of the greatest logit.
# Measured 0.01 to 0.05 on these random networks.
HALF = 0.15


def load(folder: Path, kind: str, precision: str):
    options = ModelOptions(precision=precision)
    if kind.startswith("torchaudio"):
        path, bundle = folder / "small.pth", families.small_bundle("large")
        if not path.exists():
            families.save_bundle(path, bundle)
        from asradapt.models.torchaudio_bundle import make_source

        return make_source("SMALL", bundle, path, options).to("cpu")
    home = folder / kind
    if not home.exists():
        families.save_ctc(home, kind)
    return load_model(str(home), device="cpu", options=options)


@pytest.fixture(scope="module", params=KINDS)
def pair(request, tmp_path_factory):
    """The same weights in fp32 and bf16."""
    folder = tmp_path_factory.mktemp("models")
    return [load(folder, request.param, precision) for precision in ("fp32", "bf16")]


def example(model, babble, seconds: float = 0.8, seed: int = 0) -> Example:
    waveform = babble(seconds, seed)
    with torch.no_grad():
        features, _ = model.prepare(waveform[None], torch.tensor([len(waveform)]))
    return Example(Utterance(Path("a.wav"), "eta"), features[0], "eta", torch.tensor([5, 6, 7]), seconds)


def logits_of(model, data: Example, bank: SpeakerBank | None = None) -> torch.Tensor:
    inputs = data.features[None], torch.tensor([len(data.features)])
    with torch.no_grad():
        if bank is None:
            return model.encode(*inputs)[0]
        with bank.attach(model, torch.tensor([0])):
            return model.encode(*inputs)[0]


def test_the_network_is_of_half_precision_and_known_by_its_weights_on_disk(pair):
    full, half = pair
    assert {parameter.dtype for parameter in half.module.parameters()} == {torch.bfloat16}
    assert half.fingerprint == full.fingerprint
    assert half.sites == full.sites
    assert half.equal_lengths == full.equal_lengths
    assert (half.card["precision"], full.card["precision"]) == ("bf16", "fp32")


def test_logits_are_close_to_those_of_full_precision(pair, babble):
    wanted, found = (logits_of(model, example(model, babble)) for model in pair)
    assert found.dtype == torch.float32
    assert 0 < float((found - wanted).abs().max()) < HALF * float(wanted.abs().max())


@pytest.mark.parametrize("method", ["affine", "input", "head", "bottleneck", "lowrank", "encoder"])
def test_a_new_adaptation_of_a_network_of_half_precision_is_the_identity_bit_for_bit(pair, babble, method):
    data = example(pair[1], babble)
    bank = SpeakerBank(pair[1], create(method))
    assert {tensor.dtype for tensor in bank.tensors.values()} == {torch.float32}
    assert torch.equal(logits_of(pair[1], data, bank), logits_of(pair[1], data))


@pytest.mark.parametrize("method", ["affine+lowrank", "head", "encoder", "lowrank+tokens"])
def test_a_network_of_half_precision_is_adapted_with_tensors_of_full_precision(pair, babble, method):
    _, half = pair
    data = [example(half, babble, seed=seed) for seed in range(2)]
    options = {"tokens": {"characters": "é"}} if "tokens" in method else {}
    bank = SpeakerBank(half, create(method, options))
    trainer = Trainer(half, bank, [Task(tuple(data), 1.0, 0)], TrainingOptions())
    before = evaluate_pairs(half, bank, [(0, one) for one in data], TrainingOptions())[0]
    train(trainer, [24])
    after = evaluate_pairs(half, bank, [(0, one) for one in data], TrainingOptions())[0]
    assert sum(after.losses.values()) < 0.9 * sum(before.losses.values())
    assert {tensor.dtype for tensor in bank.tensors.values()} == {torch.float32}
    assert {part.first.dtype for part in trainer._optimiser._parts} == {torch.float32}
    assert {parameter.dtype for parameter in half.module.parameters()} == {torch.bfloat16}


def test_a_small_change_of_the_logits_is_not_rounded_away(pair, babble):
    """The logits reach 10, where neighbouring numbers of bf16 are 0.06 apart."""
    _, half = pair
    data, bank = example(half, babble), SpeakerBank(half, create("head"))
    next(tensor for name, tensor in bank.tensors.items() if name.endswith("bias")).fill_(1e-3)
    change = logits_of(half, data, bank) - logits_of(half, data)
    torch.testing.assert_close(change, torch.full_like(change, 1e-3), rtol=0, atol=1e-5)


def test_an_adaptation_made_in_one_precision_is_used_in_the_other(pair, babble, tmp_path):
    full, half = pair
    store = SpeakerStore(tmp_path)
    store_speaker(store, half, "ann", "head", seed=1)
    check_source(store.record("ann"), full.name, full.fingerprint)
    found = []
    for model in pair:
        bank = SpeakerBank(model, create("head"))
        bank.load(0, store.load("ann").tensors)
        found.append(logits_of(model, example(model, babble), bank))
    changed = logits_of(full, example(full, babble))
    assert float((found[0] - found[1]).abs().max()) < HALF * float(found[0].abs().max())
    assert float((found[0] - changed).abs().max()) > 0.1
    assert random_state(half, "head").keys() == random_state(full, "head").keys()


def test_fp16_computes_on_a_cpu_that_can(tmp_path, babble):
    model = load(tmp_path, "wav2vec2-large", "fp16")
    assert {parameter.dtype for parameter in model.module.parameters()} == {torch.float16}
    full = load(tmp_path, "wav2vec2-large", "fp32")
    wanted, found = (logits_of(one, example(one, babble)) for one in (full, model))
    assert 0 < float((found - wanted).abs().max()) < 0.02 * float(wanted.abs().max())


def test_a_precision_that_torch_cannot_compute_with_is_refused(tmp_path, monkeypatch):
    def missing(*_):
        raise RuntimeError('"conv" not implemented for "Half"')

    monkeypatch.setattr(WaveformSource, "encode", missing)
    with pytest.raises(UsageError, match=r"torch cannot compute with it on cpu .*use --precision fp32 or bf16"):
        load(tmp_path, "wav2vec2-large", "fp16")


def test_a_network_whose_numbers_leave_the_range_of_fp16_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    home = families.save_ctc(tmp_path / "loud", "wav2vec2-large")
    weights = load_file(home / "model.safetensors")
    weights["lm_head.bias"] = weights["lm_head.bias"] + 1e6
    save_file(weights, home / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UsageError, match=r"cannot be used in float16: .*use --precision fp32 or bf16"):
        load_model(str(home), device="cpu", options=ModelOptions(precision="fp16"))
