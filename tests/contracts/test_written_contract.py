"""Models whose decoder writes (Whisper) keep to the contract of methods, with the logits of a text for frames."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers")

from families import WRITING, foreign_models

from asradapt.adaptation import Method, create
from asradapt.models.base import Seq2SeqModel, writes
from asradapt.testing import MethodContract, MixedContract
from asradapt.testing.adapted import COMBINATIONS
from asradapt.testing.inputs import Inputs
from asradapt.testing.mixed import CROWD, Crowd

TEXT = "the cat sat"


@pytest.fixture(scope="module", params=WRITING)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seq2SeqModel:
    made = foreign_models(tmp_path_factory.mktemp("writing"))[request.param]()
    assert writes(made)
    return made


class Written:
    """How such a model is run: the decoder is given the tokens of a text, one after the other."""

    def outputs(self, model: Seq2SeqModel, inputs: Inputs) -> Tensor:
        """Logits (B, U, V) of the tokens of a text."""
        states, _ = model.encode(*inputs)
        return model.logits(states, [self.text(model)] * len(states))

    def counts(self, model: Seq2SeqModel, inputs: Inputs) -> list[int]:
        return [len(self.text(model))] * len(inputs[1])

    def loss(self, model: Seq2SeqModel, inputs: Inputs) -> Tensor:
        wanted = self.text(model).expand(len(inputs[1]), -1)
        return torch.nn.functional.cross_entropy(
            self.outputs(model, inputs).transpose(1, 2), wanted, reduction="sum"
        )

    @staticmethod
    def text(model: Seq2SeqModel) -> Tensor:
        return torch.tensor(model.spell(TEXT)[1])


class TestWrittenMethods(Written, MethodContract):
    """All methods but the one that adds characters: such a model writes everything."""

    @pytest.fixture(params=[name for name in COMBINATIONS if "tokens" not in name])
    def methods(self, request: pytest.FixtureRequest) -> tuple[Method, ...]:
        return create(request.param)


class TestWrittenMixtures(Written, MixedContract):
    """As many people, none of whom adds characters."""

    crowd: ClassVar[Crowd] = [
        (name, options) if "tokens" not in name else ("lowrank", {}) for name, options in CROWD
    ]
