"""A new adaptation is the identity, and attaching one leaves nothing behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.models.base import SourceModel
from asradapt.testing.adapted import EachMethod, Methods, added_by
from asradapt.testing.inputs import SPEAKERS, Inputs, differ, perturbed, rows_for, state_of


class IdentityContract(EachMethod):
    """The part of the contract about what is there before and after an adaptation."""

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
