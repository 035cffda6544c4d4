"""The size of a batch by the memory there is."""

from __future__ import annotations

import pytest
import torch

from asradapt.budget import CPU_SECONDS, LEAST_SECONDS, MOST_SECONDS, batch_seconds, in_halves, seconds_for


def test_more_memory_takes_more_audio_within_limits():
    assert seconds_for(1e9, 1e6) == pytest.approx(600.0)
    assert seconds_for(1e3, 1e6) == LEAST_SECONDS
    assert seconds_for(1e15, 1e6) == MOST_SECONDS
    assert seconds_for(1e9, 0.0) == MOST_SECONDS


def test_a_cpu_takes_what_its_cache_likes(tiny_model):
    assert batch_seconds(tiny_model()) == CPU_SECONDS


@pytest.mark.parametrize("room", [1, 2, 3, 5, 100])
def test_too_much_at_once_is_done_in_halves_in_order(room):
    sizes = []

    def work(items):
        sizes.append(len(items))
        if len(items) > room:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return [item * 2 for item in items]

    assert in_halves(work, range(13)) == [item * 2 for item in range(13)]
    assert sizes[0] == 13
    assert sum(size for size in sizes if size <= room) == 13


def test_one_item_that_does_not_fit_is_an_error_of_the_allocator():
    """The allocator's own error, on the CPU: recognised, tried in halves, and told in the end."""
    sizes = []

    def work(items):
        sizes.append(len(items))
        return [torch.empty(10**16) for _ in items]

    with pytest.raises(RuntimeError, match="allocate"):
        in_halves(work, [1, 2, 3, 4])
    assert sizes == [4, 2, 1]


def test_other_errors_are_not_tried_again():
    calls = []

    def work(items):
        calls.append(len(items))
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes"):
        in_halves(work, [1, 2, 3])
    assert calls == [3]
