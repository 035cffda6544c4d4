"""Augmented features are other ones at every update, the same by seed, and whoever shares the job."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.augmentation import NO_AUGMENTATION, Augmentation, augment
from asradapt.enrolment.objective import divergence, encode_pairs
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions
from asradapt.errors import UsageError

FEATURES = torch.randn(120, 80, generator=torch.Generator().manual_seed(0))


def test_the_same_seed_gives_the_same_and_another_seed_something_else() -> None:
    first, again, other = (augment(FEATURES, Augmentation(), seed) for seed in ("1/0/0", "1/0/0", "1/1/0"))
    assert torch.equal(first, again)
    assert first.shape != other.shape or not torch.equal(first, other)


def test_the_given_features_stay_as_they_are() -> None:
    kept = FEATURES.clone()
    augment(FEATURES, Augmentation(tempo=0.0, warp=0.0), "x")
    assert torch.equal(FEATURES, kept)


def test_no_augmentation_is_none() -> None:
    assert augment(FEATURES, NO_AUGMENTATION, "x") is FEATURES


@pytest.mark.parametrize("shape", [(120, 7), (10, 80)])
def test_what_is_no_spectrum_or_too_short_is_left_alone(shape: tuple[int, int]) -> None:
    features = torch.randn(shape)
    assert augment(features, Augmentation(), "x") is features


def test_the_tempo_changes_the_length_within_its_bound() -> None:
    lengths = {len(augment(FEATURES, replace(NO_AUGMENTATION, tempo=0.1), str(seed))) for seed in range(50)}
    assert len(lengths) > 10
    assert min(lengths) >= round(120 / 1.1)
    assert max(lengths) <= round(120 / 0.9)


def test_a_warp_moves_a_peak_to_the_band_that_the_factor_says() -> None:
    peak = torch.zeros(20, 80)
    peak[:, 40] = 1.0
    moved = {int(augment(peak, replace(NO_AUGMENTATION, warp=0.2), str(seed))[0].argmax()) for seed in range(50)}
    assert min(moved) >= round(40 / 1.2)
    assert max(moved) <= round(40 / 0.8)
    assert len(moved) > 5


def test_noise_has_the_deviation_that_was_asked_for() -> None:
    added = augment(FEATURES, replace(NO_AUGMENTATION, noise=0.2), "x") - FEATURES
    assert float(added.std()) == pytest.approx(0.2, rel=0.05)
    assert abs(float(added.mean())) < 0.01


def test_masks_are_zero_bounded_and_two_of_each() -> None:
    options = replace(NO_AUGMENTATION, time_masks=2, time_share=0.1, band_masks=2, band_share=0.1)
    ones = torch.ones(120, 80)
    for seed in range(50):
        masked = augment(ones, options, str(seed))
        assert 0 <= int((masked.sum(1) == 0).sum()) <= 2 * 12
        assert 0 <= int((masked.sum(0) == 0).sum()) <= 2 * 8
    assert any((augment(ones, options, str(seed)) == 0).any() for seed in range(5))


def test_company_does_not_change_how_a_row_is_augmented(tone_model, examples) -> None:
    options = TrainingOptions(augmentation=replace(Augmentation(), tempo=0.2), bf16=False)
    tasks = [Task(examples(3, seed=1), 1.0, 5), Task(examples(4, seed=2), 1.0, 9)]
    together = SpeakerBank(tone_model, create("input"), speakers=2)
    train(Trainer(tone_model, together, tasks, options), [3, 3])
    alone = SpeakerBank(tone_model, create("input"), speakers=1)
    train(Trainer(tone_model, alone, tasks[1:], options), [3])
    for name, tensor in alone.state(0).items():
        torch.testing.assert_close(together.state(1)[name], tensor, rtol=0, atol=1e-5)


def distance(got, source):
    """Distance (B,) of logits with their frame counts from the source's."""
    logits, frames = got
    return divergence(logits, source, frames)


def test_the_anchor_pulls_towards_the_source(tone_model, examples) -> None:
    data = examples(4, shift=1.0)
    pairs = [(0, example) for example in data]
    moved = {}
    source = encode_pairs(tone_model, None, pairs)[0]
    for anchor in (0.0, 0.9):
        bank = SpeakerBank(tone_model, create("input"), speakers=1)
        trainer = Trainer(tone_model, bank, [Task(data, 5.0, 0)], TrainingOptions(anchor=anchor, decay=0.0))
        train(trainer, [10])
        bank.requires_grad(False)
        moved[anchor] = float(distance(encode_pairs(tone_model, bank, pairs), source).sum())
    assert 0 < moved[0.9] < 0.5 * moved[0.0]


def test_the_distance_of_the_source_from_itself_is_zero(tone_model, examples) -> None:
    pairs = [(0, example) for example in examples(3)]
    source = encode_pairs(tone_model, None, pairs)[0]
    distances = distance(encode_pairs(tone_model, None, pairs), source)
    torch.testing.assert_close(distances, torch.zeros(3), rtol=0, atol=1e-4)


@pytest.mark.parametrize("anchor", [-0.1, 1.0])
def test_an_anchor_that_makes_no_sense_is_refused(anchor: float) -> None:
    with pytest.raises(UsageError, match="anchor must lie from 0 to below 1"):
        TrainingOptions(anchor=anchor)
