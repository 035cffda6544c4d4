"""Linear layers in eight bits: what is asked of bitsandbytes, and with it installed what comes of it."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.examples import Example
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import UsageError
from asradapt.models import ModelOptions, load_model
from asradapt.types import Utterance

families = pytest.importorskip("families", reason="the extra [hf] is not installed")
from asradapt.models import eight_bits  # noqa: E402

EIGHT = ModelOptions(precision="int8")
# 8 bits through two blocks, as a share of the greatest logit: measured 0.013 to 0.023 on these random networks.
COARSE = 0.06


@pytest.fixture
def without(monkeypatch):
    """Names packages that are not installed, whatever is."""

    def lack(*names):
        monkeypatch.setattr(eight_bits, "find_spec", lambda name: None if name in names else SimpleNamespace())

    return lack


@pytest.mark.parametrize("names", [["bitsandbytes"], ["accelerate"], ["bitsandbytes", "accelerate"]])
def test_what_is_not_installed_is_told(tmp_path, without, names):
    without(*names)
    home = families.save_ctc(tmp_path / "small", "wav2vec2-large")
    wanted = f"int8 needs {' and '.join(names)}: pip install {' '.join(names)}; or use --precision bf16"
    with pytest.raises(UsageError, match=wanted):
        load_model(str(home), device="cpu", options=EIGHT)


def test_models_without_eight_bits_say_so(tmp_path):
    from whisper_samples import save_whisper

    for name, told in (
        ("source_en", "is of no use for the model source_en"),
        ("torchaudio:WAV2VEC2_ASR_BASE_960H", "int8 is for models of transformers"),
        (str(save_whisper(tmp_path / "whisper")), "int8 is for CTC models"),
    ):
        with pytest.raises(UsageError, match=told):
            load_model(name, device="cpu", options=EIGHT)


def test_layers_whose_weights_are_read_by_others_are_not_quantised(tmp_path):
    asked = {}
    for kind in ("wavlm", "wav2vec2-large"):
        model = load_model(str(families.save_ctc(tmp_path / kind, kind)), device="cpu")
        asked[kind] = eight_bits.eight_bits(model)["quantization_config"].llm_int8_skip_modules
    assert asked["wav2vec2-large"] == ["lm_head"]
    assert "wavlm.encoder.layers.1.attention.q_proj" in asked["wavlm"]
    assert not any("feed_forward" in path for path in asked["wavlm"])


class View(torch.autograd.Function):
    """Gives a view, as the function of bitsandbytes does."""

    @staticmethod
    def forward(ctx, x):
        return x.view(x.shape)

    @staticmethod
    def backward(ctx, gradient):
        return gradient


class Quantised(torch.nn.Linear):
    """As a layer of bitsandbytes: whole numbers, and an output that torch lets nobody write into."""

    def __init__(self, width):
        super().__init__(width, width)
        self.weight = torch.nn.Parameter(torch.ones(width, width, dtype=torch.int8), requires_grad=False)

    def forward(self, x):
        return View.apply(x)


def test_outputs_may_be_written_into():
    network, x = torch.nn.Sequential(Quantised(3)), torch.ones(2, 3, requires_grad=True)
    with pytest.raises(RuntimeError, match="modified inplace"):
        network(x)[0] = 0.0
    eight_bits.with_own_outputs(network)
    y = network(x)
    y[0] = 0.0
    y.sum().backward()
    assert x.grad.tolist() == [[0.0] * 3, [1.0] * 3]


@pytest.fixture(scope="module", params=["wav2vec2-large", "hubert", "wavlm", "data2vec"])
def pair(request, tmp_path_factory):
    """The same weights in fp32 and in eight bits."""
    if not (find_spec("bitsandbytes") and find_spec("accelerate")):
        pytest.skip("bitsandbytes is not installed")
    home = families.save_ctc(tmp_path_factory.mktemp("eight") / request.param, request.param)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return [load_model(str(home), device=device, options=options) for options in (ModelOptions(), EIGHT)]


def test_it_says_nearly_the_same_and_is_the_same_source(pair, babble):
    full, eight = pair
    assert {torch.int8, torch.float16} == {one.dtype for one in eight.module.parameters()}
    assert (eight.fingerprint, eight.sites, eight.places.leak) == (full.fingerprint, full.sites, full.places.leak)
    clip = babble(1.0)[None].to(eight.device)
    with torch.no_grad():
        found, expected = (model.forward(clip, torch.tensor([clip.shape[1]]).to(clip.device))[0] for model in pair)
    difference = float((found - expected).abs().max() / expected.abs().max())
    assert 0 < difference < COARSE


@pytest.mark.parametrize("method", ["affine+lowrank", "input+head", "bottleneck", "tokens"])
def test_it_is_adapted_and_stays_as_it_was(pair, babble, method):
    _, eight = pair
    before = {name: weight.clone() for name, weight in eight.module.named_parameters()}
    waveform = babble(0.8).to(eight.device)
    with torch.no_grad():
        features, _ = eight.prepare(waveform[None], torch.tensor([len(waveform)]).to(eight.device))
    data = Example(Utterance("a.wav", "eta"), features[0], "eta", torch.tensor([5, 6, 7]), 0.8)
    bank = SpeakerBank(eight, create(method, {"tokens": {"characters": "é"}} if method == "tokens" else {}))
    start = {name: tensor.clone() for name, tensor in bank.tensors.items()}
    train(Trainer(eight, bank, [Task((data,), 1.0, 0)], TrainingOptions()), [3])
    for name, tensor in bank.tensors.items():
        assert bool(tensor.isfinite().all())
        assert not torch.equal(tensor, start[name]), name
    assert all(torch.equal(weight, before[name]) for name, weight in eight.module.named_parameters())


def test_all_weights_cannot_be_changed(pair):
    with pytest.raises(UsageError, match="'encoder' finds no place to act"):
        SpeakerBank(pair[1], create("encoder"))
