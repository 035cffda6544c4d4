from __future__ import annotations

import copy
import json
import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from asradapt.decoding import BLANK, greedy_decode
from asradapt.errors import InputError
from asradapt.features import FeatureOptions, mask
from asradapt.models.base import SITE_KINDS, SourceModel, fingerprint
from asradapt.models.conformer import Conformer, ConformerOptions
from asradapt.models.source import ConformerSource, load_source, save_source

# Logits of the same row in another batch: matrix products of another shape are summed in another order in fp32.
# Measured 1.1e-5 on the random models, whose logits reach 10; a leak of padding is of the size of the logits.
SAME = {"rtol": 0, "atol": 1e-4}


@pytest.fixture(scope="module")
def clips(model, babble):
    """Clips of many lengths, or of one where the model says that padding would change them."""
    lengths = (0.8,) * 7 if model.equal_lengths else (0.31, 1.2, 0.05, 0.8, 0.8, 2.0, 1.03)
    return [babble(seconds, seed) for seed, seconds in enumerate(lengths)]


def own(model: SourceModel) -> None:
    """Skip the test for models that others wrote."""
    if not isinstance(model, ConformerSource):
        pytest.skip("about this project's own network")


@pytest.fixture(scope="module")
def alone(model, clips, batch):
    """Logits (F, V) of every clip by itself."""
    with torch.no_grad():
        return [model.forward(*batch([clip]))[0][0] for clip in clips]


def texts(model: SourceModel, logits: Tensor, frames: Tensor) -> list[str]:
    return greedy_decode(logits, frames, model.tokens)


def orders() -> list[list[int]]:
    chance = random.Random(0)
    return [*([i] for i in range(7)), [1, 5], [5, 1], [2, 5], *(chance.sample(range(7), 7) for _ in range(3))]


@pytest.mark.parametrize("order", orders(), ids=lambda order: "".join(map(str, order)))
@torch.no_grad()
def test_a_row_of_a_batch_equals_the_row_alone(model, clips, alone, batch, order):
    logits, frames = model.forward(*batch([clips[i] for i in order]))
    written = texts(model, logits, frames)
    for row, index in enumerate(order):
        expected = alone[index]
        count = torch.tensor([len(expected)])
        assert int(frames[row]) == len(expected)
        torch.testing.assert_close(logits[row, : len(expected)], expected, **SAME)
        assert written[row] == texts(model, expected[None], count)[0]


@torch.no_grad()
def test_the_models_of_these_tests_say_different_things(model, clips, batch):
    logits, _ = model.forward(*batch(clips))
    assert float(logits.std(dim=(0, 1)).min()) > 1e-2
    assert not torch.allclose(logits[0, 0], logits[1, 0], atol=1e-2)


@torch.no_grad()
def test_noise_in_the_padding_changes_nothing(model, clips, batch):
    waveforms, lengths = batch(clips)
    noise = torch.randn(waveforms.shape, generator=torch.Generator().manual_seed(1))
    dirty = torch.where(mask(lengths, waveforms.shape[1]), waveforms, 30 * noise)
    clean, frames = model.forward(waveforms, lengths)
    other, _ = model.forward(dirty, lengths)
    for row, count in enumerate(frames.tolist()):
        assert torch.equal(clean[row, :count], other[row, :count])


@torch.no_grad()
def test_noise_behind_the_features_changes_nothing(model, clips, batch):
    features, frames = model.prepare(*batch(clips))
    noise = torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
    dirty = torch.where(mask(frames, features.shape[1])[..., None], features, 30 * noise)
    clean, counts = model.encode(features, frames)
    other, _ = model.encode(dirty, frames)
    for row, count in enumerate(counts.tolist()):
        assert torch.equal(clean[row, :count], other[row, :count])


@torch.no_grad()
def test_more_padding_than_needed_changes_nothing(model, clips, alone, batch):
    if model.equal_lengths:
        pytest.skip("takes no padding, and says so")
    waveforms, lengths = batch([clips[0]])
    features, frames = model.prepare(torch.nn.functional.pad(waveforms, (0, 8000)), lengths)
    logits, counts = model.encode(torch.nn.functional.pad(features, (0, 0, 0, 37)), frames)
    torch.testing.assert_close(logits[0, : counts[0]], alone[0], **SAME)


@pytest.mark.parametrize("samples", [1, 160, 640, 641, 4000, 16000, 24001])
@torch.no_grad()
def test_logits_have_a_frame_for_every_begun_frame_time(model, samples):
    logits, frames = model.forward(torch.zeros(1, samples), torch.tensor([samples]))
    assert logits.dtype == torch.float32
    assert logits.shape == (1, int(frames[0]), len(model.tokens))
    step = round(model.frame_seconds * model.sample_rate)
    begun = -(-samples // step)
    exact = isinstance(model, ConformerSource)  # unpadded convolutions lack up to two; pooling makes one up
    assert int(frames[0]) == begun if exact else begun - 2 <= int(frames[0]) <= begun + 1
    assert bool(logits.isfinite().all())


@torch.no_grad()
def test_forward_is_encode_after_prepare(model, clips, batch):
    waveforms, lengths = batch(clips[:3])
    ours, frames = model.forward(waveforms, lengths)
    theirs, counts = model.encode(*model.prepare(waveforms, lengths))
    assert torch.equal(ours, theirs)
    assert torch.equal(frames, counts)


def test_the_first_token_is_the_blank_and_no_character(model):
    assert model.tokens.index(model.tokens[0]) == BLANK
    assert len(model.tokens[BLANK]) != 1
    assert len(set(model.tokens)) == len(model.tokens)
    assert " " in model.tokens


def test_a_model_offers_what_the_protocol_names(model):
    assert isinstance(model, SourceModel)
    assert model.name
    assert model.sample_rate > 0
    assert model.device == torch.device("cpu")


def test_a_model_is_frozen_in_eval_mode(model, clips, batch):
    assert not any(part.training for part in model.module.modules())
    assert not any(parameter.requires_grad for parameter in model.module.parameters())
    logits, _ = model.forward(*batch(clips[:1]))
    assert not logits.requires_grad


def test_a_training_mode_network_is_put_into_eval_mode(tiny_model):
    network = copy.deepcopy(tiny_model().module).train().requires_grad_(True)
    model = type(tiny_model())("again", network, FeatureOptions(), tiny_model().tokens, {})
    assert not model.module.training
    assert not any(parameter.requires_grad for parameter in model.module.parameters())


def test_nothing_in_a_model_is_shared_by_the_rows_of_a_batch(model):
    own(model)
    assert not [name for name, part in model.module.named_modules() if "BatchNorm" in type(part).__name__]
    assert not [part for part in model.module.modules() if isinstance(part, torch.nn.MultiheadAttention)]


@torch.no_grad()
def test_every_site_is_a_module_of_the_stated_widths_and_fires_once(model, clips, batch):
    modules, fired = dict(model.module.named_modules()), {}
    handles = []
    sites = model.sites
    for site in sites:
        assert site.kind in SITE_KINDS

        def hook(_, inputs, output, name=site.name):
            first = output[0] if isinstance(output, tuple) else output
            fired.setdefault(name, []).append((inputs[0].shape, first.shape))

        handles.append(modules[site.name].register_forward_hook(hook))
    try:
        model.forward(*batch(clips[:3]))
    finally:
        for handle in handles:
            handle.remove()
    assert set(fired) == {site.name for site in sites}
    for site in sites:
        ((taken, given),) = fired[site.name]
        assert (taken[0], given[0]) == (3, 3)
        assert (taken[2], given[2]) == (site.width_in, site.width)
        assert taken[1] == given[1]


def test_every_weight_site_is_a_parameter_of_the_stated_shape(model):
    weights, parameters = model.weights, dict(model.module.named_parameters())
    assert weights
    assert all(tuple(parameters[site.name].shape) == site.shape for site in weights)
    outputs = [site.name for site in model.sites if site.kind == "output"]
    assert not any(site.name.startswith(f"{output}.") for site in weights for output in outputs)


def test_a_model_that_cannot_take_padding_says_so(model, babble, batch):
    """And only such a model."""
    with torch.no_grad():
        worst = 0.0
        for seconds in (0.5, 0.52, 0.54, 0.56):
            pair = [babble(1.0, 1), babble(seconds, 2)]
            logits, frames = model.forward(*batch(pair))
            alone, _ = model.forward(*batch(pair[1:]))
            worst = max(worst, float((logits[1, : frames[1]] - alone[0]).abs().max() / alone.abs().max()))
    assert model.equal_lengths == (worst > 1e-3)


def test_site_names_are_unique_and_kinds_complete(model):
    names = [site.name for site in model.sites]
    assert len(set(names)) == len(names)
    lacks = set() if isinstance(model, ConformerSource) else {"attention"}  # WavLM's never fire: fused in torch
    assert set(SITE_KINDS) - {site.kind for site in model.sites} <= lacks


def test_the_fingerprint_is_that_of_the_weights(model):
    assert len(model.fingerprint) == 64
    own(model)  # others keep a front end besides, which belongs to it
    assert model.fingerprint == fingerprint(model.module) == fingerprint(copy.deepcopy(model.module))


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


@torch.no_grad()
def test_a_saved_model_comes_back_the_same(model, clips, alone, batch, tmp_path):
    own(model)
    save_source(model, tmp_path / "copy.safetensors", dtype=torch.float32)
    again = load_source(tmp_path / "copy.safetensors")
    assert again.fingerprint == model.fingerprint
    assert (again.name, again.tokens, again.sites) == (model.name, model.tokens, model.sites)
    assert (again.card, again.sample_rate, again.frame_seconds) == (
        model.card,
        model.sample_rate,
        model.frame_seconds,
    )
    assert torch.equal(again.forward(*batch([clips[1]]))[0][0], alone[1])
    assert not again.module.training


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
        "format": 2,
        "tokens": content["tokens"][:-1],
        "network": network | {"mels": 79, "heads": 3},
    }
    description.write_text(json.dumps(wrong))
    with pytest.raises(InputError) as caught:
        load_source(path)
    for part in (
        "format 2, this version reads 1",
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
