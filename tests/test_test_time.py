from __future__ import annotations

import importlib.util
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile
import torch
from language_samples import write_arpa
from samples import random_state, store_speaker

from asradapt.adaptation import SpeakerBank, create
from asradapt.decoding import Calibration, Decoder, DecoderOptions
from asradapt.decoding.decoder import ALONE, EACH_ALONE, EACH_WITH_LANGUAGE, WITH_LANGUAGE
from asradapt.errors import AsradaptError
from asradapt.language import read_arpa
from asradapt.models.base import fingerprint
from asradapt.store import SpeakerStore
from asradapt.test_time import (
    EachOptions,
    adapted_outputs,
    class_confusion,
    depth_shares,
    entropy,
    uncertainty,
)
from asradapt.test_time.adapt import descend, rates_of
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript
from asradapt.types import Utterance

_SPEC = importlib.util.spec_from_file_location(
    "bench_test_time", Path(__file__).parents[1] / "tools" / "bench" / "test_time.py"
)
bench = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(bench)

STRONG = EachOptions(steps=2, rate=5.0, last=1.0, keep=1.0)  # so that it changes what is heard
# Alone and in a batch: rounding of differently batched sums, through two steps.
SAME = {"rtol": 0, "atol": 1e-3}


@pytest.fixture
def tiny(tiny_model):
    return tiny_model(kernel=5)


@pytest.fixture
def prepared(babble, batch):
    """Features of four clips of different lengths."""

    def make(model):
        return model.prepare(*batch([babble(seconds, seed) for seed, seconds in enumerate((1.0, 0.5, 1.4, 0.8))]))

    return make


def published(logits: torch.Tensor, share: float) -> float:
    """The loss of one utterance (F, V) as its authors describe it, step by step."""
    p, logp = logits.softmax(-1), logits.log_softmax(-1)
    each = -(p * logp).sum(-1)
    heard = logits.argmax(-1) != 0
    entropies = each[heard].mean() if heard.any() else torch.tensor(0.0)
    weight = 1 + torch.exp(-each)
    weight = len(logits) * weight / weight.sum()
    together = (p * weight[:, None]).T @ p
    together = together / together.sum(dim=1)
    confused = (together.sum() - together.trace()) / logits.shape[1]
    return float(share * entropies + (1 - share) * confused)


def test_the_loss_is_the_published_one_for_every_row_whatever_lies_behind_it():
    logits = 3 * torch.randn(5, 30, 7, generator=torch.Generator().manual_seed(0))
    logits[2, :, 0] = 20.0  # nothing but blanks
    frames = torch.tensor([30, 12, 20, 1, 29])
    found = uncertainty(logits, frames, temperature=2.5, share=0.3)
    expected = [published(row[:count] / 2.5, 0.3) for row, count in zip(logits, frames.tolist(), strict=True)]
    torch.testing.assert_close(found, torch.tensor(expected))
    noisy = logits.clone()
    noisy[1, 12:] = 50 * torch.randn(18, 7)
    assert torch.equal(uncertainty(noisy, frames, temperature=2.5, share=0.3), found)
    assert float(entropy(logits, frames)[2]) == 0.0


def test_a_sure_model_has_no_loss():
    logits = 200 * torch.nn.functional.one_hot(torch.tensor([[1, 0, 2, 2, 0]]), 4).float()
    frames = torch.tensor([5])
    assert float(entropy(logits, frames)) == pytest.approx(0.0, abs=1e-6)
    assert float(class_confusion(logits, frames)) == pytest.approx(0.0, abs=1e-6)


def test_every_row_becomes_surer_and_the_model_stays_as_it_was(tiny, prepared):
    features, frames = prepared(tiny)
    before, weights = tiny.encode(features, frames), fingerprint(tiny.module)
    logits, lengths, _ = adapted_outputs(tiny, features, frames, EachOptions(steps=2, rate=0.3))
    assert not logits.requires_grad
    assert torch.equal(lengths, before[1])
    old, new = (uncertainty(one, lengths, temperature=2.5, share=0.3) for one in (before[0], logits))
    assert bool((new < old).all())
    again = tiny.encode(features, frames)[0]
    assert torch.equal(again, before[0])
    assert fingerprint(tiny.module) == weights
    assert not any(parameter.requires_grad for parameter in tiny.module.parameters())


@pytest.mark.parametrize("methods", ["affine", "input+affine", "lowrank"])
def test_a_row_in_a_batch_equals_the_row_alone(tiny, prepared, methods):
    features, frames = prepared(tiny)
    options = EachOptions(methods=methods, steps=2, rate=1.0)
    together, lengths, _ = adapted_outputs(tiny, features, frames, options)
    source = tiny.encode(features, frames)[0]
    for row, count in enumerate(frames.tolist()):
        alone, *_ = adapted_outputs(tiny, features[row : row + 1, :count], frames[row : row + 1], options)
        length = int(lengths[row])
        torch.testing.assert_close(together[row, :length], alone[0, :length], **SAME)
        assert float((alone[0] - source[row, :length]).abs().max()) > 10 * SAME["atol"]


def test_it_starts_from_what_is_attached(tiny, prepared):
    features, frames = prepared(tiny)
    bank = SpeakerBank(tiny, create("affine"))
    bank.load(0, random_state(tiny, "affine"))
    gentle = EachOptions(steps=1, rate=1e-4)
    with bank.attach(tiny, torch.zeros(4, dtype=torch.int64)):
        speaker = tiny.encode(features, frames)[0]
        found = adapted_outputs(tiny, features, frames, gentle)[0]
    torch.testing.assert_close(found, speaker, rtol=0, atol=1e-2)
    assert float((speaker - tiny.encode(features, frames)[0]).abs().max()) > 1.0


def test_what_was_heard_before_has_its_part_in_the_logits(tiny, prepared):
    features, frames = prepared(tiny)
    before = tiny.encode(features, frames)[0]
    after, part = (
        adapted_outputs(tiny, features, frames, EachOptions(steps=2, keep=keep))[0] for keep in (1.0, 0.25)
    )
    torch.testing.assert_close(part, 0.75 * before + 0.25 * after)
    assert float((after - before).abs().max()) > 10 * SAME["atol"]


def letter_probability(logits: torch.Tensor) -> float:
    """The mean over the frames (F, V) in which a letter is likeliest."""
    best = [row.softmax(0).max(0) for row in logits]
    sizes = [float(value) for value, token in best if token != 0]
    return sum(sizes) / len(sizes)


def test_for_a_search_the_updates_count_less_the_surer_the_first_hearing_is(tiny, prepared):
    features, frames = prepared(tiny)
    before, lengths = tiny.encode(features, frames)
    after = adapted_outputs(tiny, features, frames, EachOptions(keep=1.0))[0]
    sizes = [letter_probability(before[row, :count]) for row, count in enumerate(lengths.tolist())]
    low, high = min(sizes), max(sizes)
    assert high - low > 0.01
    options = EachOptions(searched=0.5, trusted=0.1, unsure=low, sure=high)
    searched = adapted_outputs(tiny, features, frames, options, search=True)[0]
    for row, (size, count) in enumerate(zip(sizes, lengths.tolist(), strict=True)):
        keep = 0.1 + 0.4 * (high - size) / (high - low)
        expected = (1 - keep) * before[row, :count] + keep * after[row, :count]
        torch.testing.assert_close(searched[row, :count], expected, rtol=1e-4, atol=1e-4)
        part = (features[row : row + 1, : int(frames[row])], frames[row : row + 1])
        alone = adapted_outputs(tiny, *part, options, search=True)[0][0]
        torch.testing.assert_close(searched[row, : len(alone)], alone, **SAME)


def test_sounds_are_those_of_the_first_hearing(tiny_model, prepared):
    model = tiny_model(seed=2, kernel=5, phones=7, conditions=(1,))
    model.phones = ("", *"abcdef")
    features, frames = prepared(model)
    logits, _, before = model.encode_inner(features, frames)
    after, _, inner = adapted_outputs(model, features, frames, STRONG, search=True)
    assert float((after - logits).abs().max()) > 10 * SAME["atol"]
    (found,), (expected,) = inner, before
    torch.testing.assert_close(found, expected)
    assert not found.requires_grad


def test_the_rate_falls_evenly_from_the_input_to_the_output(tiny):
    bank = SpeakerBank(tiny, create("input+affine"))
    rates = rates_of(bank, tiny, EachOptions(rate=2.0, last=0.5))
    sites = [site.name for site in tiny.sites]
    assert set(rates) == set(bank.tensors)
    assert rates["input/features/shift"] == pytest.approx(2 * 3e-3)
    for name, rate in rates.items():
        method, site, _ = name.split("/")
        if method == "affine":
            assert rate == pytest.approx(2 * 1e-2 * (1 - 0.5 * sites.index(site) / (len(sites) - 1)))
    even = rates_of(bank, tiny, EachOptions(rate=2.0, last=1.0))
    assert set(even.values()) == {2 * 3e-3, 2 * 1e-2}


def test_a_wide_matrix_moves_no_activation_further_than_a_narrow_one(tiny):
    """The input site of wav2vec 2.0 is 512 wide: a step of the same size for every number would ruin it."""
    bank = SpeakerBank(tiny, create("input+affine"))
    name = "input/features/matrix"
    narrow = depth_shares(bank, tiny, 0.2)
    bank.tensors[name] = torch.zeros(1, 512, 512)
    wide = depth_shares(bank, tiny, 0.2)
    assert (narrow.pop(name), wide.pop(name)) == (1.0, 80 / 512)
    assert narrow == wide


def test_a_step_has_its_size_in_every_row_and_a_broken_row_stays():
    tensor = torch.zeros(4, 3, 2)
    tensor.grad = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1e-6, 1.0, 1e6, 1.0]
    ).view(4, 1, 1)
    tensor.grad[3, 1, 1] = torch.nan
    downhill = -tensor.grad[:3].sign()
    descend({"one": tensor}, {"one": 0.1})
    sizes = tensor.flatten(1).square().mean(1).sqrt()
    torch.testing.assert_close(sizes, torch.tensor([0.1, 0.1, 0.1, 0.0]))
    assert torch.equal(tensor[:3].sign(), downhill)
    assert tensor.grad is None


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"rate": 0.0}, "above 0"),
        ({"rate": float("inf")}, "finite"),
        ({"last": 1.5}, "from 0 to 1, got 1.5"),
        ({"keep": 0.0}, "above 0 and at most 1"),
        ({"searched": 1.5}, "above 0 and at most 1"),
        ({"trusted": 0.9, "searched": 0.5}, "trusted must lie from 0 to searched, 0.5; got 0.9"),
        ({"unsure": 0.8, "sure": 0.7}, "must rise"),
        ({"share": 1.5}, "from 0 to 1, got 1.5"),
        ({"methods": "encoder"}, "takes one utterance a batch"),
        ({"methods": "nothing"}, "no adaptation method named 'nothing'"),
    ],
)
def test_options_that_cannot_be_are_refused(wrong, reason):
    with pytest.raises(AsradaptError, match=reason):
        EachOptions(**wrong)


@pytest.fixture
def clips(tmp_path, babble):
    """Clips of two adapted speakers, one of them with all weights changed, and of a stranger."""
    found = []
    for number, speaker in enumerate(("ann", "dora", None) * 3):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, babble(0.4 + 0.13 * (5 * number % 9), number).numpy(), 16_000)
        found.append(Utterance(path, speaker=speaker))
    return found


@pytest.fixture
def store(tmp_path, tiny):
    store = SpeakerStore(tmp_path / "store")
    store_speaker(store, tiny, "ann", "affine")
    store_speaker(store, tiny, "dora", "encoder", seed=1)
    return store


def heard(model, store, clips, **options):
    found = Transcriber(model, store, TranscriberOptions(**options)).transcribe(clips)
    return {one.utterance.audio: one.text for one in found if isinstance(one, Transcript)}


def test_texts_do_not_depend_on_the_batch(tiny, store, clips):
    alone = heard(tiny, store, clips, adapt_each=STRONG, batch_size=1)
    shuffled = random.Random(0).sample(clips, len(clips))
    for size, order in [(0, clips), (0, shuffled), (4, clips[::-1])]:
        assert heard(tiny, store, order, adapt_each=STRONG, batch_size=size) == alone, f"batch size {size}"
    without = heard(tiny, store, clips)
    assert sum(alone[name] != without[name] for name in alone) > len(clips) // 2


def test_whose_adaptation_it_starts_from_is_seen_in_the_text(tiny, store, clips):
    gentle = EachOptions(steps=1, rate=1e-4)
    assert heard(tiny, store, clips, adapt_each=gentle) == heard(tiny, store, clips)
    assert heard(tiny, None, clips, adapt_each=gentle) != heard(tiny, store, clips)


def test_a_search_with_a_language_model_gets_a_mean_of_its_own(tiny, clips, tmp_path):
    language = read_arpa(write_arpa(tmp_path))

    def confidences(each, beams, language=None):
        decoder = Decoder(tiny.tokens, tiny.frame_seconds, language, DecoderOptions(beams=beams))
        options = TranscriberOptions(adapt_each=each)
        found = Transcriber(tiny, None, options, decoder).transcribe(clips)
        return [one.confidence for one in found if isinstance(one, Transcript)]

    one, other = (EachOptions(keep=keep, searched=0.4) for keep in (0.9, 0.1))
    for beams in (0, 2):
        assert confidences(one, beams) != confidences(other, beams)
    assert confidences(one, 2, language) == confidences(other, 2, language)
    doubled = replace(one, searched=0.8, trusted=0.8)
    assert confidences(one, 2, language) != confidences(doubled, 2, language)


@pytest.mark.parametrize("beams", [0, 2])
@pytest.mark.parametrize("searched", [False, True])
def test_confidence_has_a_calibration_of_its_own_after_the_steps(tiny, clips, tmp_path, beams, searched):
    """Steps that move nothing leave the probabilities; what is made of them is not the same."""
    language = read_arpa(write_arpa(tmp_path)) if searched else None

    def sure(each, options):
        decoder = Decoder(tiny.tokens, tiny.frame_seconds, language, DecoderOptions(beams=beams, **options))
        heard = Transcriber(tiny, None, TranscriberOptions(adapt_each=each), decoder).transcribe(clips)
        return [word.confidence for one in heard if isinstance(one, Transcript) for word in one.words]

    still = EachOptions(steps=1, rate=1e-6)
    raw = sure(None, {"calibration": Calibration()})
    assert sure(still, {"calibration": Calibration()}) == pytest.approx(raw, abs=1e-3)  # what is asked for stays
    alone, with_language = (ALONE, EACH_ALONE), (WITH_LANGUAGE, EACH_WITH_LANGUAGE)
    plain, each = with_language if searched and beams else alone
    for options, calibration in ((None, plain), (still, each)):
        odds = [math.log(one / (1 - one)) for one in raw]
        wanted = [1 / (1 + math.exp(-calibration.slope * one - calibration.offset)) for one in odds]
        assert sure(options, {}) == pytest.approx(wanted, abs=1e-3)


def test_the_benchmark_trains_what_suta_trains_and_restores_it(tiny, prepared):
    features, frames = prepared(tiny)
    found = bench.suta_parameters(tiny.module)
    names = [name for name, one in tiny.module.named_parameters() if any(one is other for other in found)]
    assert any(name.startswith("subsampling.") for name in names)
    assert {name.rsplit(".", 2)[-2] for name in names if not name.startswith("subsampling.")} == {
        "norm",
        "inner_norm",
    }
    weights, before = fingerprint(tiny.module), tiny.encode(features, frames)[0]
    row = features[:1, : int(frames[0])], frames[:1]
    logits, lengths, _ = bench.suta(tiny, *row, 1e-3)
    old, new = (uncertainty(one, lengths, temperature=2.5, share=0.3) for one in (before[:1], logits))
    assert float(new) < float(old)
    assert fingerprint(tiny.module) == weights
    assert not any(parameter.requires_grad for parameter in tiny.module.parameters())
