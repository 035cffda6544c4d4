"""Passes side by side: the same gradients as one after the other, models apart, threads given back."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment import lanes as module
from asradapt.enrolment.examples import Example
from asradapt.enrolment.lanes import Lanes, lanes_for, twin
from asradapt.enrolment.memory import Passes
from asradapt.enrolment.updates import TrainingOptions, train_step
from asradapt.models.conformer import up_to_first
from asradapt.types import Utterance

OPTIONS = TrainingOptions(bf16=False)


@pytest.fixture
def threads():
    """Sets the threads of torch, and sets them back."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def short(monkeypatch):
    """Passes of a second or more."""
    monkeypatch.setattr(module, "LEAST_SECONDS", 1.0)


def made(model, babble, lengths) -> list[Example]:
    found = []
    for seed, seconds in enumerate(lengths):
        waveform = babble(seconds, seed)
        with torch.no_grad():
            features, _ = model.prepare(waveform[None], torch.tensor([len(waveform)]))
        found.append(Example(Utterance("a.wav", "x"), features[0], "x", torch.tensor([5 + seed, 6, 7]), seconds))
    return found


def moved(model, method: str, speakers: int) -> SpeakerBank:
    bank = SpeakerBank(model, create(method), speakers=speakers)
    generator = torch.Generator().manual_seed(0)
    for tensor in bank.tensors.values():
        tensor += 0.05 * torch.randn(tensor.shape, generator=generator)
    return bank.requires_grad()


def gradients(model, data, method: str, lanes: Lanes | None = None) -> dict[str, torch.Tensor]:
    bank = moved(model, method, 4)  # row 2 learns nothing
    train_step(model, bank, {0: data[:2], 1: data[2:3], 3: data[3:]}, OPTIONS, lanes)
    return {name: tensor.grad for name, tensor in bank.tensors.items()}


@pytest.mark.parametrize("method", ["affine+lowrank", "input", "encoder", "head"])
@pytest.mark.parametrize("count", [2, 3])
def test_side_by_side_the_gradients_are_those_of_one_pass_after_the_other(
    tiny_model, babble, threads, short, method, count
):
    model = tiny_model()
    data = made(model, babble, [1.0, 0.7, 1.2, 0.9, 1.5])
    threads(1)
    wanted = gradients(model, data, method)
    threads(count)
    lanes = Lanes(model)
    found = gradients(model, data, method, lanes)
    assert len(lanes.passes) == count
    for name, gradient in wanted.items():
        assert float((found[name] - gradient).abs().max()) <= 1e-4 * float(gradient.abs().max())
        assert not found[name][2].any()
    assert torch.get_num_threads() == count


def test_the_same_job_gives_the_same_numbers_whichever_lane_ends_first(tiny_model, babble, threads, monkeypatch):
    monkeypatch.setattr(module, "LEAST_SECONDS", 0.5)
    model = tiny_model()
    data = made(model, babble, [1.0, 0.7, 1.2, 0.9, 1.5, 0.8, 1.1])
    threads(3)
    lanes, chance, passes = Lanes(model), random.Random(0), []
    one_pass = Passes.run

    def run(self, work, batch):
        passes.append(len(batch))
        time.sleep(0.05 * chance.random())
        return one_pass(self, work, batch)

    monkeypatch.setattr(Passes, "run", run)
    found = []
    for _ in range(6):
        bank = moved(model, "lowrank", 1)  # one row takes part in every pass, so the order of the sum shows
        train_step(model, bank, {0: data}, OPTIONS, lanes)
        found.append({name: tensor.grad for name, tensor in bank.tensors.items()})
    assert len(passes) == 6 * 3
    assert all(torch.equal(found[0][name], other[name]) for other in found[1:] for name in other)


def test_a_twin_hears_the_pace_by_the_same_network(tiny_model):
    model = tiny_model(conditions=(1,), phones=7)
    model.pacer = up_to_first(model.module)
    assert twin(model).pacer is model.pacer


def test_a_twin_has_the_same_tensors_and_is_adapted_apart(tiny_model, babble):
    model = tiny_model()
    other = twin(model)
    assert other.fingerprint == model.fingerprint
    assert all(a is b for a, b in zip(model.module.parameters(), other.module.parameters(), strict=True))
    inputs = babble(0.8)[None], torch.tensor([12800])
    with torch.no_grad():
        source = model.forward(*inputs)[0]
        for method in ("affine", "encoder"):
            with moved(model, method, 1).attach(other, torch.tensor([0])):
                assert not torch.equal(other.forward(*inputs)[0], source)
                assert torch.equal(model.forward(*inputs)[0], source)
        assert torch.equal(other.forward(*inputs)[0], source)


def test_results_come_in_the_order_of_the_batches_from_as_many_models_as_lanes(tiny_model, threads):
    threads(2)
    met, both = [], threading.Barrier(2, timeout=60)

    def work(model, batch):
        met.append((model, threading.get_ident(), torch.get_num_threads()))
        both.wait()  # two are at work at a time
        return batch

    batches = [[number] for number in range(8)]
    model = tiny_model()
    assert list(Lanes(model).run(work, batches)) == batches
    assert len({id(one.module) for one, _, _ in met}) == len({name for _, name, _ in met}) == 2
    assert {count for _, _, count in met} == {1}


def threads_of_a_new_thread() -> int:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(torch.get_num_threads).result()


def test_threads_that_others_start_have_all_threads_of_torch_also_meanwhile(tiny_model, threads):
    threads(2)
    meanwhile = []

    def work(model, batch):
        meanwhile.append(threads_of_a_new_thread())
        return batch

    assert list(Lanes(tiny_model()).run(work, [[1], [2], [3]])) == [[1], [2], [3]]
    assert meanwhile == [2, 2, 2]
    assert threads_of_a_new_thread() == torch.get_num_threads() == 2


@pytest.mark.parametrize("error", [RuntimeError("something else"), KeyboardInterrupt()])
def test_an_error_in_a_lane_is_told_and_what_waits_is_not_begun(tiny_model, threads, error):
    threads(2)
    begun = []

    def work(model, batch):
        begun.append(batch)
        time.sleep(0.01)
        raise error

    with pytest.raises(type(error)):
        list(Lanes(tiny_model()).run(work, [[number] for number in range(1000)]))
    assert len(begun) < 1000
    assert threads_of_a_new_thread() == torch.get_num_threads() == 2


def test_whoever_stops_listening_ends_the_passes_that_wait(tiny_model, threads):
    threads(2)
    begun = []

    def work(model, batch):
        begun.append(batch)
        time.sleep(0.01)
        return batch

    results = Lanes(tiny_model()).run(work, [[number] for number in range(1000)])
    assert next(results) == [0]
    results.close()
    assert len(begun) < 1000
    assert not [one for one in threading.enumerate() if one.name.startswith("ThreadPoolExecutor")]


def test_without_another_thread_passes_come_one_by_one(tiny_model, threads, monkeypatch):
    threads(3)
    start, started = threading.Thread.start, []

    def refuse(self):
        if started:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    model = tiny_model()
    batches = [[1], [2], [3]]
    assert list(Lanes(model).run(lambda lane, batch: (lane is model, batch), batches)) == [
        (True, b) for b in batches
    ]
    assert torch.get_num_threads() == 3


def test_an_adapted_model_has_no_twins(tiny_model, threads):
    threads(2)
    model = tiny_model()
    lanes = Lanes(model)
    with moved(model, "affine", 1).attach(model, torch.tensor([0])):
        assert list(lanes.run(lambda lane, batch: lane is model, [[1], [2]])) == [True, True]
    assert len(lanes.passes) == 1


def test_passes_come_one_by_one_where_memory_is_bounded_or_nothing_was_measured(tiny_model, threads):
    model = tiny_model()
    threads(1)
    assert Lanes(model).count == 1
    threads(2)
    assert Lanes(model).count == 2
    assert Lanes(model, batch_seconds=5.0).count == 1
    assert Lanes(model, recompute=True).count == 1
    model.module.__class__ = type("Another", (torch.nn.Module,), {})
    assert lanes_for(model) == 1


@pytest.mark.parametrize(("given", "wanted"), [(1, 1), (2, 2), (3, 3), (8, 8), (9, 3), (12, 6), (16, 8)])
def test_as_few_threads_as_possible_are_idle(tiny_model, monkeypatch, given, wanted):
    monkeypatch.setattr(torch, "get_num_threads", lambda: given)
    assert lanes_for(tiny_model()) == wanted


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(5))
def test_no_pass_exceeds_its_share_of_the_memory(tiny_model, monkeypatch, count, seed):
    monkeypatch.setattr(torch, "get_num_threads", lambda: count)
    lengths = [40.0, *(random.Random(seed).uniform(1, 20) for _ in range(80))]
    assert Lanes(tiny_model()).seconds(lengths) <= {1: 90.0, 2: 90.0, 4: 45.0, 8: 22.5}[count]


def test_seconds_of_a_pass_share_the_work_out_evenly_within_the_memory(tiny_model, threads):
    threads(2)
    lanes = Lanes(tiny_model())
    assert lanes.seconds([6.0] * 18) == 54.0  # 108 s: one pass for each lane
    assert lanes.seconds([6.0] * 90) == 90.0  # 540 s: three passes for each
    assert lanes.seconds([6.0] * 5) == 18.0
    assert lanes.seconds([6.0] * 3) == 18.0  # too little to be divided
    assert lanes.seconds([40.0]) == 40.0
    assert lanes.seconds([float(length) for length in range(2, 18)]) == 51.0  # two passes each: less padding
    threads(1)
    assert lanes.seconds([6.0] * 18) == lanes.passes[0].seconds
