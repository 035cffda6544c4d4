"""How the contracts of adaptation run a model: five clips, methods, banks of five speakers.

A model that writes otherwise than by CTC overrides `outputs` and `loss`; the rest stays as it is.

Letters: B batch, F frames, V tokens, S speakers.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import METHODS, Method, SpeakerBank, create
from asradapt.adaptation.mixed import Member, MixedBank
from asradapt.models.base import SourceModel
from asradapt.testing.inputs import SPEAKERS, Inputs, babble, batch, once, perturbed, unwritten

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


class EachMethod(Adapted):
    """What the tests about one method, or one combination of methods, at a time have in common."""

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
