"""What every adaptation method keeps to on a source model.

A model that writes otherwise than by CTC overrides `outputs` and `loss`; the rest stays as it is.

Letters: B batch, F frames, V tokens, S speakers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asradapt.adaptation import METHODS, Method, SpeakerBank, create
from asradapt.adaptation.mixed import Member, MixedBank
from asradapt.errors import DamagedSpeaker
from asradapt.models.base import SourceModel, fingerprint
from asradapt.testing.inputs import (
    MIXED_ROWS,
    SPEAKERS,
    Inputs,
    babble,
    batch,
    differ,
    once,
    perturbed,
    row_of,
    rows_for,
    same,
    state_of,
    unwritten,
)

COMBINATIONS = (*METHODS, "affine+lowrank", "input+affine", "lowrank+head", "lowrank+tokens", "tokens+head")
SECONDS = (0.3, 0.2, 0.4, 0.25, 0.35)  # of five clips; alike where a model takes rows of one length only

Methods = tuple[Method, ...]


def named(name: str, model: SourceModel) -> Methods:
    """The methods of a name, with characters that the model cannot write where one adds some."""
    options = {"tokens": {"characters": unwritten(model)}} if "tokens" in name.split("+") else {}
    return create(name, options)


def added_by(methods: Methods) -> int:
    """How many tokens methods append to those of a model."""
    return sum(len(method.added) for method in methods)


class Adapted:
    """How a model is run on five clips, with and without a bank; the fixture `model` gives the model."""

    @pytest.fixture
    def inputs(self, model: SourceModel) -> Inputs:
        """Features (5, F', M) and frame counts (5,) of five clips."""
        seconds = (0.3,) * len(SECONDS) if model.equal_lengths else SECONDS
        clips = [babble(one, seed, rate=model.sample_rate) for seed, one in enumerate(seconds)]
        return once(model, "inputs", lambda: model.prepare(*batch(clips)))

    @pytest.fixture
    def source(self, model: SourceModel, inputs: Inputs) -> Tensor:
        """What the model gives for them without any adaptation."""
        return once(model, "source", lambda: self.run(model, inputs))

    def outputs(self, model: SourceModel, inputs: Inputs) -> Tensor:
        """The outputs (B, F, V) that adaptation changes."""
        return model.encode(*inputs)[0]

    def counts(self, model: SourceModel, inputs: Inputs) -> list[int]:
        """How many frames of every row's outputs are its own."""
        with torch.no_grad():
            return [int(count) for count in model.encode(*inputs)[1]]

    def loss(self, model: SourceModel, inputs: Inputs) -> Tensor:
        """A loss as in training, of any text."""
        logits, frames = model.encode(*inputs)
        targets, sizes = torch.full((len(frames), 3), 5), torch.full((len(frames),), 3)
        log_probs = logits.log_softmax(-1).transpose(0, 1)
        return torch.nn.functional.ctc_loss(log_probs, targets, frames, sizes, reduction="sum")

    def run(
        self,
        model: SourceModel,
        inputs: Inputs,
        bank: SpeakerBank | MixedBank | None = None,
        rows: Sequence[int | Member] = (),
    ) -> Tensor:
        """The outputs, adapted by the bank if there is one; the rows of a mixed bank are members."""
        with torch.no_grad():
            if bank is None:
                return self.outputs(model, inputs)
            if isinstance(bank, MixedBank):
                with bank.attach(model, [row for row in rows if isinstance(row, Member)]):
                    return self.outputs(model, inputs)
            with bank.attach(model, torch.tensor(rows)):
                return self.outputs(model, inputs)


class MethodContract(Adapted):
    """The part of the contract about one method or combination of methods at a time."""

    @pytest.fixture(params=COMBINATIONS)
    def methods(self, request: pytest.FixtureRequest, model: SourceModel) -> Methods:
        """Every registered method, and some together."""
        return named(request.param, model)

    @pytest.fixture
    def identity(self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor) -> Tensor:
        """What an adaptation that changes nothing gives: the source's, behind it that of added tokens."""
        return self.run(model, inputs, SpeakerBank(model, methods), [0] * 5) if added_by(methods) else source

    def bank(self, model: SourceModel, methods: Methods) -> SpeakerBank:
        """Five speakers whose tensors are far from the identity."""
        return perturbed(SpeakerBank(model, methods, speakers=SPEAKERS))

    def test_every_method_finds_sites(self, model: SourceModel, methods: Methods) -> None:
        for method in methods:
            sites = method.sites(model)
            assert sites
            assert all(method.tensors(site) for site in sites)

    # ---- a new adaptation is the identity, bit for bit

    @pytest.mark.parametrize("speakers", [1, SPEAKERS])
    def test_a_new_bank_is_the_identity_bit_for_bit(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor, speakers: int
    ) -> None:
        """Added tokens stand behind those of the model, and are the likeliest nowhere."""
        bank = SpeakerBank(model, methods, speakers=speakers, seed=3)
        adapted = self.run(model, inputs, bank, [0] * 5 if speakers == 1 else rows_for(bank))
        width = source.shape[-1]
        assert adapted.shape[-1] == width + added_by(methods)
        assert torch.equal(adapted[..., :width], source)
        assert torch.equal(adapted.argmax(-1), source.argmax(-1))

    def test_a_speaker_starts_the_same_in_any_company(self, model: SourceModel, methods: Methods) -> None:
        alone, many = SpeakerBank(model, methods, seed=3), SpeakerBank(model, methods, speakers=SPEAKERS, seed=3)
        assert all(torch.equal(many.tensors[k], v.expand_as(many.tensors[k])) for k, v in alone.tensors.items())
        other = SpeakerBank(model, methods, seed=4)
        spread = [k for k, spec in other.specs.items() if spec.spread]
        assert not any(torch.equal(alone.tensors[k], other.tensors[k]) for k in spread)

    # ---- attaching restores the model exactly, also after an exception, and nests

    def test_the_model_is_restored_when_the_context_ends(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor
    ) -> None:
        bank = self.bank(model, methods)
        before, parameters = state_of(model), dict(model.module.named_parameters())
        with bank.attach(model, torch.tensor(rows_for(bank))):
            assert state_of(model) != before
        after = dict(model.module.named_parameters())
        assert list(after) == list(parameters)
        assert all(after[name] is parameters[name] for name in parameters)
        assert state_of(model) == before
        assert torch.equal(self.run(model, inputs), source)

    def test_the_model_is_restored_after_an_exception(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor
    ) -> None:
        bank = self.bank(model, methods)
        before = state_of(model)
        with pytest.raises(KeyboardInterrupt), bank.attach(model, torch.tensor(rows_for(bank))):
            raise KeyboardInterrupt
        assert state_of(model) == before
        with pytest.raises(RuntimeError), bank.attach(model, torch.tensor(rows_for(bank))):
            model.encode(
                inputs[0][..., :-1], inputs[1]
            )  # features of the wrong width: fails amid the forward pass
        assert state_of(model) == before
        assert torch.equal(self.run(model, inputs), source)

    def test_attaching_nests_and_unwinds(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor
    ) -> None:
        first = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS), seed=1)
        second = perturbed(SpeakerBank(model, methods, speakers=SPEAKERS), seed=2)
        rows = rows_for(first)
        by_second = self.run(model, inputs, second, rows)
        with first.attach(model, torch.tensor(rows)):
            by_first = self.run(model, inputs)
            twice, both = self.run(model, inputs, first, rows), self.run(model, inputs, second, rows)
            assert torch.equal(self.run(model, inputs), by_first)
        assert torch.equal(self.run(model, inputs), source)
        if added := added_by(methods):
            assert both.shape[-1] == twice.shape[-1] == source.shape[-1] + 2 * added
            return
        for one, other in ((by_first, twice), (by_first, both), (by_second, both), (twice, both)):
            assert differ(one, other) > 1e-2

    def test_a_context_serves_many_passes_and_sees_the_tensors_as_they_are(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = SpeakerBank(model, methods, speakers=SPEAKERS).requires_grad()
        rows = torch.tensor(rows_for(bank))
        with bank.attach(model, rows):
            self.run(model, inputs)
            for _ in range(2):
                self.loss(model, inputs).backward()  # type: ignore[no-untyped-call]
        assert any(tensor.grad is not None and bool(tensor.grad.any()) for tensor in bank.tensors.values())
        bank.requires_grad(False)
        if bank.one_speaker:  # its weights are put together when it is attached
            return
        with bank.attach(model, rows):
            before = self.run(model, inputs)
            perturbed(bank)
            assert differ(self.run(model, inputs), before) > 1e-2

    # ---- its state is all and only its own tensors, loaded strictly

    def test_the_state_is_all_and_only_the_own_tensors(self, model: SourceModel, methods: Methods) -> None:
        bank = self.bank(model, methods)
        state = bank.state(3)
        expected = {
            f"{method.name}/{site.name}/{part}": (1, *spec.shape)
            for method in methods
            for site in method.sites(model)
            for part, spec in method.tensors(site).items()
        }
        assert {name: tuple(tensor.shape) for name, tensor in state.items()} == expected
        assert all(torch.equal(state[name][0], bank.tensors[name][3]) for name in state)
        for tensor in state.values():
            tensor.fill_(7.0)  # copies: the bank does not notice
        assert not any(bool((tensor[3] == 7.0).all()) for tensor in bank.tensors.values())

    def test_a_saved_state_comes_back_the_same(
        self, model: SourceModel, methods: Methods, inputs: Inputs, tmp_path: Path
    ) -> None:
        bank = self.bank(model, methods)
        again = SpeakerBank(model, methods, speakers=SPEAKERS)
        untouched = {name: tensor.clone() for name, tensor in again.tensors.items()}
        save_file(bank.state(3), tmp_path / "adaptation.safetensors")
        again.load(3, load_file(tmp_path / "adaptation.safetensors"))
        assert torch.equal(self.run(model, inputs, again, [3] * 5), self.run(model, inputs, bank, [3] * 5))
        for name, tensor in again.tensors.items():
            others = [0, 1, 2, 4]
            assert torch.equal(tensor[others], untouched[name][others])

    def test_an_unfit_state_is_refused_with_all_that_is_wrong(self, model: SourceModel, methods: Methods) -> None:
        bank = SpeakerBank(model, methods, speakers=2)
        before = {name: tensor.clone() for name, tensor in bank.tensors.items()}
        good = bank.state(0)
        missing, misshaped = next(iter(good)), list(good)[-1]
        for name, wrong in (
            (missing, {k: v for k, v in good.items() if k != missing}),
            ("affine/nowhere/scale", good | {"affine/nowhere/scale": torch.zeros(1, 4)}),
            (misshaped, good | {misshaped: torch.cat([good[misshaped]] * 2)}),
            (misshaped, good | {misshaped: good[misshaped][0]}),
            (missing, good | {missing: torch.full_like(good[missing], torch.nan)}),
            (missing, good | {missing: torch.full_like(good[missing], torch.inf)}),
        ):
            with pytest.raises(DamagedSpeaker) as caught:
                bank.load(1, wrong)
            assert name in str(caught.value)
            assert all(torch.equal(bank.tensors[k], before[k]) for k in before)

    # ---- the base never changes, every site gets a gradient, and only the bank's tensors do

    def test_training_changes_the_bank_and_never_the_base(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor, identity: Tensor
    ) -> None:
        before, buffers = fingerprint(model.module), dict(model.module.named_buffers())
        values = {name: buffer.clone() for name, buffer in buffers.items()}
        bank = SpeakerBank(model, methods, speakers=SPEAKERS).requires_grad()
        starts = {name: tensor.detach().clone() for name, tensor in bank.tensors.items()}
        self._train(model, bank, inputs)
        assert fingerprint(model.module) == before
        assert all(torch.equal(buffers[name], values[name]) for name in values)
        assert all(parameter.grad is None for parameter in model.module.parameters())
        assert not any(part.training for part in model.module.modules())
        for name, tensor in bank.tensors.items():
            assert not torch.equal(tensor, starts[name]), name
            assert torch.equal(tensor[2], starts[name][2]), name  # was not in the batch
        assert torch.equal(self.run(model, inputs), source)
        assert not torch.allclose(self.run(model, inputs, bank, rows_for(bank)), identity, atol=1e-2)

    def _train(self, model: SourceModel, bank: SpeakerBank, inputs: Inputs, steps: int = 2) -> None:
        optimiser = torch.optim.Adam(bank.tensors.values(), lr=1e-2)
        rows = torch.tensor(rows_for(bank))
        for _ in range(steps):
            with bank.attach(model, rows):
                self.loss(model, inputs).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()

    def test_a_gradient_reaches_every_tensor_of_every_site_and_nothing_else(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = self.bank(model, methods).requires_grad()
        rows = rows_for(bank)
        with bank.attach(model, torch.tensor(rows)):
            loss = self.loss(model, inputs)
        loss.backward()  # type: ignore[no-untyped-call]
        assert bank.tensors
        for name, tensor in bank.tensors.items():
            assert tensor.grad is not None, name
            reached = tensor.grad.reshape(SPEAKERS, -1).abs().amax(1) > 0
            assert reached.tolist() == [row in rows for row in range(SPEAKERS)], name
        assert all(parameter.grad is None for parameter in model.module.parameters())
        assert not any(parameter.requires_grad for parameter in model.module.parameters())

    def test_the_adaptation_acts_on_every_row(
        self, model: SourceModel, methods: Methods, inputs: Inputs, identity: Tensor
    ) -> None:
        bank = self.bank(model, methods)
        adapted = self.run(model, inputs, bank, rows_for(bank))
        assert bool(((adapted - identity).abs().amax(dim=(1, 2)) > 0.1).all())
        shuffled = self.run(model, inputs, bank, rows_for(bank, [1, 4, 0, 2, 3]))
        assert bool(((adapted - shuffled).abs().amax(dim=(1, 2)) > 0.1).all())

    # ---- row i of a mixed batch equals that speaker alone

    @pytest.mark.parametrize("rows", [MIXED_ROWS, [0, 1, 2, 3, 4]], ids=str)
    def test_a_row_of_a_mixed_batch_equals_that_speaker_alone(
        self, model: SourceModel, methods: Methods, inputs: Inputs, rows: list[int]
    ) -> None:
        bank = self.bank(model, methods)
        rows = rows_for(bank, rows)
        together = self.run(model, inputs, bank, rows)
        for row, speaker in enumerate(rows):
            alone = self.run(model, row_of(inputs, row), bank.select([speaker]), [0])[0]
            same(together[row, : len(alone)], alone)

    def test_a_row_does_not_depend_on_its_place_in_the_batch(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = self.bank(model, methods)
        rows, order = rows_for(bank), [4, 2, 0, 3, 1]
        together = self.run(model, inputs, bank, rows)
        moved = self.run(model, (inputs[0][order], inputs[1][order]), bank, [rows[i] for i in order])
        same(moved, together[order])

    def test_noise_behind_an_adapted_row_changes_nothing(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = self.bank(model, methods)
        features, frames = inputs
        noise = 30 * torch.randn(features.shape, generator=torch.Generator().manual_seed(2))
        behind = torch.arange(features.shape[1])[None, :, None] >= frames[:, None, None]
        clean = self.run(model, inputs, bank, rows_for(bank))
        dirty = self.run(model, (torch.where(behind, noise, features), frames), bank, rows_for(bank))
        for row, count in enumerate(self.counts(model, inputs)):
            assert torch.equal(clean[row, :count], dirty[row, :count])

    def test_speakers_can_be_chosen_and_reordered(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = self.bank(model, methods)
        chosen = bank.select([4, 1])
        assert chosen.speakers == 2
        for row, speaker in enumerate([4, 1]):
            assert all(torch.equal(chosen.tensors[k][row], bank.tensors[k][speaker]) for k in bank.tensors)
        assert torch.equal(self.run(model, inputs, chosen, [0] * 5), self.run(model, inputs, bank, [4] * 5))

    # ---- strength

    def test_strength_interpolates_between_the_identity_and_itself(
        self, model: SourceModel, methods: Methods, inputs: Inputs, identity: Tensor
    ) -> None:
        bank = self.bank(model, methods)
        rows = rows_for(bank)
        full = self.run(model, inputs, bank, rows)
        for strength, expected in ((0.0, identity), (1.0, full)):
            scaled = bank.scaled(torch.full((5,), strength))
            assert torch.equal(self.run(model, inputs, scaled, rows), expected)
        half = self.run(model, inputs, bank.scaled(torch.full((5,), 0.5)), rows)
        assert differ(half, full) > 1e-2
        assert differ(half, identity) > 1e-2

    def test_every_speaker_has_its_own_strength(
        self, model: SourceModel, methods: Methods, inputs: Inputs, identity: Tensor
    ) -> None:
        bank = self.bank(model, methods)
        mixed = bank.scaled(torch.tensor([1.0, 0.0, 0.5, 0.0, 1.0]))
        assert torch.equal(self.run(model, inputs, mixed, [3] * 5), identity)
        assert torch.equal(self.run(model, inputs, mixed, [4] * 5), self.run(model, inputs, bank, [4] * 5))
