from __future__ import annotations

import random

import numpy as np
import pytest

from asradapt.batching import even_budget, length_batches, pad, segments

RATE = 1000


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("most", [0, 1, 4])
def test_batches_hold_every_index_once_within_the_budget(seed, most):
    chance = random.Random(seed)
    lengths = [chance.randint(1, 300) for _ in range(60)]
    batches = list(length_batches(lengths, budget=1000, most=most))
    assert sorted(index for batch in batches for index in batch) == list(range(60))
    for batch in batches:
        assert len(batch) * max(lengths[i] for i in batch) <= 1000
        assert not most or len(batch) <= most


def test_batches_are_as_full_as_the_budget_allows():
    assert list(length_batches([5, 5, 5, 5, 5], budget=15)) == [[0, 1, 2], [3, 4]]
    assert list(length_batches([5, 5, 5, 5, 5], budget=14)) == [[0, 1], [2, 3], [4]]


def test_the_longest_come_first_and_equals_keep_their_order():
    assert list(length_batches([2, 9, 2, 4, 9], budget=9)) == [[1], [4], [3, 0], [2]]


def test_an_item_over_the_budget_comes_alone():
    assert list(length_batches([10, 1000, 10, 10], budget=100)) == [[1], [0, 2, 3]]


def test_no_items_make_no_batches():
    assert list(length_batches([], budget=100)) == []


def test_padding_keeps_waveforms_and_lengths():
    waveforms = [np.arange(1, n + 1, dtype=np.float32) for n in (3, 0, 5)]
    padded, lengths = pad(waveforms)
    assert padded.dtype == np.float32
    assert padded.tolist() == [[1, 2, 3, 0, 0], [0] * 5, [1, 2, 3, 4, 5]]
    assert lengths == [3, 0, 5]
    assert pad([])[0].shape == (0, 0)


def speech(seconds: float, pauses: list[float], seed: int = 0) -> np.ndarray:
    """Noise that is 40 dB quieter for 0.2 s around every pause."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE)).astype(np.float32)
    for pause in pauses:
        samples[round((pause - 0.1) * RATE) : round((pause + 0.1) * RATE)] *= 0.01
    return samples


@pytest.mark.parametrize("seconds", [0.001, 3.0, 20.0, 20.001, 47.3, 200.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_segments_are_all_of_the_recording_in_bounded_pieces(seconds, seed):
    samples = speech(seconds, [], seed)
    pieces = segments(samples, RATE)
    assert np.array_equal(np.concatenate(pieces), samples)
    assert all(len(piece) <= 20 * RATE for piece in pieces)
    assert all(len(piece) >= 12 * RATE for piece in pieces[:-1])
    assert all(len(piece) > 0 for piece in pieces)


def test_segments_are_cut_in_the_pauses():
    pauses = [15.0, 29.5, 42.5]
    pieces = segments(speech(60, pauses), RATE)
    cuts = np.cumsum([len(piece) for piece in pieces[:-1]]) / RATE
    assert len(cuts) == 3
    assert np.all(np.abs(cuts - pauses) < 0.1)


def test_short_recordings_stay_whole_and_empty_ones_vanish():
    samples = speech(20.0, [])
    assert [piece is samples for piece in segments(samples, RATE)] == [True]
    assert segments(np.zeros(0, np.float32), RATE) == []


def test_segments_obey_other_bounds():
    pieces = segments(speech(10.0, [1.3]), RATE, shortest=1.0, longest=1.5)
    assert abs(len(pieces[0]) - 1300) < 100
    assert all(1000 <= len(piece) <= 1500 for piece in pieces[:-1])
    assert len(pieces[-1]) <= 1500


def test_segments_share_the_memory_of_the_recording():
    samples = speech(50.0, [])
    assert all(np.shares_memory(piece, samples) for piece in segments(samples, RATE))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_an_even_budget_is_the_least_that_makes_so_many_batches(count):
    lengths = [int(length) for length in np.random.default_rng(count).integers(1, 90, 50)]
    budget = even_budget(lengths, count)
    assert len(list(length_batches(lengths, budget=budget))) <= count
    assert budget == max(lengths) or len(list(length_batches(lengths, budget=budget - 1))) > count


def test_an_even_budget_of_nothing_is_nothing():
    assert even_budget([], 3) == 0
