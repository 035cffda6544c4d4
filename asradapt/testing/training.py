"""Training an adaptation: the base never changes, every site gets a gradient, and only the bank learns."""

from __future__ import annotations

import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.models.base import SourceModel, fingerprint
from asradapt.testing.adapted import EachMethod, Methods
from asradapt.testing.inputs import SPEAKERS, Inputs, rows_for


class TrainingContract(EachMethod):
    """The part of the contract about gradients."""

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
