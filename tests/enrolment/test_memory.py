"""Sizes of passes, activations computed twice, and gradients that no lack of memory loses or counts twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from asradapt.adaptation import SpeakerBank, create
from asradapt.budget import listen, long_texts
from asradapt.enrolment import memory
from asradapt.enrolment.examples import Example
from asradapt.enrolment.lanes import Lanes
from asradapt.enrolment.memory import (
    CPU_SECONDS,
    Passes,
    Sizes,
    find_sizes,
    gradients_of,
    recomputed,
    trial_pass,
)
from asradapt.enrolment.optimiser import RowAdam
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions, train_step
from asradapt.models import load_model
from asradapt.types import Utterance

families = pytest.importorskip("families", reason="the extra [hf] is not installed")
FAMILIES = ["hf-wav2vec2-large", "hf-wavlm", "hf-conformer", "torchaudio-large"]


@pytest.fixture(scope="module", params=FAMILIES)
def foreign(request, tmp_path_factory):
    return families.foreign_models(tmp_path_factory.mktemp("models"))[request.param]()


def made(model, babble, count: int = 3) -> list[Example]:
    found = []
    for seed in range(count):
        waveform = babble(0.8, seed)
        with torch.no_grad():
            features, _ = model.prepare(waveform[None], torch.tensor([len(waveform)]))
        target = torch.tensor([5 + seed, 6, 7])
        found.append(Example(Utterance("a.wav", "x"), features[0], "x", target, 0.8))
    return found


def gradients(model, data: list[Example], options: TrainingOptions, method: str = "lowrank+head") -> dict:
    bank = SpeakerBank(model, create(method), speakers=2)
    generator = torch.Generator().manual_seed(0)
    for tensor in bank.tensors.values():
        tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    bank.requires_grad()
    train_step(model, bank, {0: data[:2], 1: data[2:]}, options)
    return {name: tensor.grad for name, tensor in bank.tensors.items()}


def same(found: dict, wanted: dict) -> bool:
    """Up to the rounding of sums in another order; what is lost or counted twice is as large as the gradient."""
    return all(float((found[k] - wanted[k]).abs().max()) <= 1e-4 * float(wanted[k].abs().max()) for k in wanted)


def test_a_trial_pass_holds_what_the_decoder_holds(tmp_path, babble, monkeypatch):
    """Its logits over the vocabulary are kept for the gradients, for texts as long as people speak."""
    from whisper_samples import save_whisper

    model = load_model(str(save_whisper(tmp_path / "whisper")), device="cpu")
    features, frames = model.prepare(babble(0.5)[None].repeat(2, 1), torch.tensor([8000, 8000]))
    (most,) = {len(target) for target in long_texts(model, 2)}
    assert most == min(model.most_tokens, round(6 * model.window_seconds)) > 10
    outputs = model.module.whisper.config.vocab_size
    kept: set[torch.Size] = set()

    def note(tensor):
        kept.add(tensor.shape)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        trial_pass(model, features, frames)
    assert any(set(shape) >= {most, outputs} for shape in kept)
    texts = []
    monkeypatch.setattr(model, "texts", lambda states: texts.append(len(states)))
    listen(model, babble(0.5)[None], torch.tensor([8000]))
    assert texts == [1]


@pytest.mark.parametrize("method", ["lowrank+head", "affine", "bottleneck", "input"])
def test_activations_computed_twice_give_the_same_gradients(foreign, babble, method):
    data = made(foreign, babble)
    kept = gradients(foreign, data, TrainingOptions(recompute=False), method)
    twice = gradients(foreign, data, TrainingOptions(recompute=True), method)
    assert all(bool(gradient.any()) for gradient in kept.values())
    assert same(twice, kept)


def test_the_encoder_s_own_weights_can_be_computed_twice_too(foreign, babble):
    data = made(foreign, babble)[:1]
    found = []
    for recompute in (False, True):
        bank = SpeakerBank(foreign, create("encoder")).requires_grad()
        train_step(foreign, bank, {0: data}, TrainingOptions(recompute=recompute))
        found.append({name: tensor.grad for name, tensor in bank.tensors.items()})
    assert same(found[1], found[0])


def test_blocks_are_run_twice_only_inside_the_context_also_after_an_exception(tiny_model):
    model = tiny_model()
    before = [block.forward for block in model.module.blocks]
    with recomputed(model):
        assert [block.forward for block in model.module.blocks] != before
    assert [block.forward for block in model.module.blocks] == before
    with pytest.raises(KeyboardInterrupt), recomputed(model):
        raise KeyboardInterrupt
    assert [block.forward for block in model.module.blocks] == before
    assert not any("forward" in vars(block) for block in model.module.blocks)


def test_fewer_activations_are_kept_where_they_are_computed_twice(tiny_model, babble):
    """Counted by autograd itself: the bytes that a forward pass saves for the gradients."""
    model = tiny_model(blocks=6, width=64, heads=2)
    features, frames = model.prepare(babble(4.0)[None], torch.tensor([64000]))
    held = {}
    for name, twice in (("kept", False), ("twice", True)):
        sizes: list[int] = []

        def note(tensor, sizes=sizes):
            sizes.append(tensor.numel() * tensor.element_size())
            return tensor

        bank = SpeakerBank(model, create("lowrank")).requires_grad()
        with bank.attach(model, torch.tensor([0])):
            if twice:
                with recomputed(model), torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                    model.encode(features, frames)
            else:
                with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
                    model.encode(features, frames)
        held[name] = sum(sizes)
    assert held["twice"] < 0.2 * held["kept"]


# ---- the memory gives out


class Scarce:
    """Lets the work fail on more than so many items, or at its nth call, in the middle of it."""

    def __init__(self, monkeypatch, *, most: int = 99, calls: tuple[int, ...] = ()) -> None:
        self.calls, self.number, self.sizes = calls, 0, []
        real = torch.autograd.grad

        def grad(loss, tensors, **more):
            self.number += 1
            found = real(loss, tensors, **more)
            if self.number in calls or self.rows > most:
                raise torch.OutOfMemoryError("out of memory (not really)")
            return found

        monkeypatch.setattr(memory.torch.autograd, "grad", grad)
        self.rows = 0

    def watch(self, model, monkeypatch) -> None:
        real = model.encode

        def encode(features, frames):
            self.rows = len(features)
            self.sizes.append(self.rows)
            return real(features, frames)

        monkeypatch.setattr(model, "encode", encode)


@pytest.mark.parametrize("calls", [(1,), (1, 2), (1, 3)])
def test_an_update_whose_memory_gave_out_has_the_same_gradients(tiny_model, babble, monkeypatch, calls):
    model = tiny_model()
    data = made(model, babble)
    wanted = gradients(model, data, TrainingOptions())
    scarce = Scarce(monkeypatch, calls=calls)
    scarce.watch(model, monkeypatch)
    found = gradients(model, data, TrainingOptions())
    assert scarce.sizes[:2] == [3, 1]
    assert same(found, wanted)


def test_activations_are_computed_twice_from_the_moment_that_one_recording_is_too_much(
    tiny_model, babble, monkeypatch
):
    model = tiny_model()
    data = made(model, babble)
    wanted = gradients(model, data, TrainingOptions())
    scarce = Scarce(monkeypatch, most=1, calls=(2,))  # three at once, then the first of them alone
    scarce.watch(model, monkeypatch)
    lanes = Lanes(model)
    bank = SpeakerBank(model, create("lowrank+head"), speakers=2)
    generator = torch.Generator().manual_seed(0)
    for tensor in bank.tensors.values():
        tensor += 0.1 * torch.randn(tensor.shape, generator=generator)
    bank.requires_grad()
    train_step(model, bank, {0: data[:2], 1: data[2:]}, TrainingOptions(), lanes)
    assert lanes.passes[0].recompute
    assert lanes.count == 1
    assert same({name: tensor.grad for name, tensor in bank.tensors.items()}, wanted)


def test_what_does_not_fit_at_all_is_an_error(tiny_model, babble, monkeypatch):
    model = tiny_model()
    Scarce(monkeypatch, calls=tuple(range(1, 50)))
    with pytest.raises(torch.OutOfMemoryError):
        gradients(model, made(model, babble), TrainingOptions())


def test_another_error_is_not_taken_for_a_lack_of_memory(tiny_model):
    calls = []

    def work(model, items):
        calls.append(items)
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Passes(tiny_model()).run(work, [1, 2])
    assert calls == [[1, 2]]


def test_gradients_are_those_of_what_takes_part():
    used, unused = torch.ones(2, requires_grad=True), torch.ones(2, requires_grad=True)
    found = gradients_of((3 * used).sum(), {"used": used, "unused": unused})
    assert {name: gradient.tolist() for name, gradient in found.items()} == {"used": [3.0, 3.0]}
    assert used.grad is None


def test_gradients_of_several_passes_add_up_row_by_row(tiny_model, babble):
    model = tiny_model()
    data = made(model, babble)
    assert same(
        gradients(model, data, TrainingOptions(batch_seconds=0.5)), gradients(model, data, TrainingOptions())
    )


# ---- sizes


def test_on_a_cpu_a_pass_takes_a_fixed_amount(tiny_model):
    assert find_sizes(tiny_model()) == Sizes(CPU_SECONDS, CPU_SECONDS, False)
    assert Passes(tiny_model(), batch_seconds=7.0).seconds == 7.0
    assert Passes(tiny_model(), recompute=True).recompute


@pytest.mark.parametrize(
    ("free", "kept", "twice", "wanted"),
    [(10e9, 1e6, 1e5, Sizes(50.0, 4000.0, False)), (1e9, 50e6, 5e6, Sizes(50.0, 120.0, True))],
)
def test_on_a_gpu_it_is_what_a_pass_with_gradients_was_seen_to_take(monkeypatch, free, kept, twice, wanted):
    class Model(SimpleNamespace):
        __hash__ = object.__hash__

    model = Model(device=torch.device("cuda"), module=torch.nn.Module())
    needs = iter((kept, twice))
    monkeypatch.setattr(memory.torch.cuda, "mem_get_info", lambda _: (free, free))
    monkeypatch.setattr(memory, "_cuda_bytes_a_second", lambda _: next(needs))
    monkeypatch.setattr(memory, "batch_seconds", lambda _: 50.0)
    assert find_sizes(model) == wanted
    assert find_sizes(model) == wanted  # measured once


# ---- what is kept for the training


def test_only_the_bank_has_gradients_and_a_state_of_the_optimiser(foreign, babble):
    data = tuple(made(foreign, babble))
    bank = SpeakerBank(foreign, create("lowrank"))
    trainer = Trainer(foreign, bank, [Task(data, 1.0, 0)], TrainingOptions())
    train(trainer, [2])
    optimiser = trainer._optimiser
    assert isinstance(optimiser, RowAdam)
    held = [moments for part in optimiser._parts for moments in (part.first, part.second)]
    numbers = sum(tensor.numel() for tensor in bank.tensors.values())
    assert sum(tensor.numel() for tensor in held) == 2 * numbers
    assert all(parameter.grad is None for parameter in foreign.module.parameters())
    assert numbers < 0.5 * sum(parameter.numel() for parameter in foreign.module.parameters())
