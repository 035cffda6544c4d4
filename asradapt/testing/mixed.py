"""Speakers with different methods, sizes and none at all in one batch of a source model."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel
from asradapt.testing.inputs import Inputs, differ, perturbed, row_of, same, state_of
from asradapt.testing.methods import Adapted

CROWD: list[tuple[str, dict[str, dict[str, object]]]] = [
    ("affine", {}),
    ("lowrank", {"lowrank": {"rank": 2}}),
    (IDENTITY, {}),
    ("lowrank", {"lowrank": {"rank": 8}}),
    ("affine+lowrank", {"lowrank": {"rank": 2}}),
    ("affine", {}),
    ("input", {}),
    ("bottleneck", {"bottleneck": {"width": 3}}),
    ("head", {}),
]


def crowd_of(model: SourceModel) -> list[Member]:
    """One member for each entry of `CROWD`."""
    found = []
    for seed, (name, options) in enumerate(CROWD):
        bank = None if name == IDENTITY else perturbed(SpeakerBank(model, create(name, options)), seed)
        found.append(Member(name, options, bank.state(0) if bank else {}))
    return found


class MixedContract(Adapted):
    """The part of the contract about people with unlike adaptations side by side."""

    @pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [8, 7, 6, 5, 2], [4, 2, 0, 5, 3], [2, 2, 2, 2, 2]], ids=str)
    def test_a_batch_may_hold_any_mix_of_speakers(
        self, model: SourceModel, inputs: Inputs, source: Tensor, rows: list[int]
    ) -> None:
        crowd = crowd_of(model)
        together = self.run(model, inputs, MixedBank(model), [crowd[row] for row in rows])
        for row, index in enumerate(rows):
            member = crowd[index]
            if member.method == IDENTITY:
                assert torch.equal(together[row], source[row])
                continue
            bank = SpeakerBank(model, create(member.method, member.options))
            bank.load(0, member.state)
            alone = self.run(model, row_of(inputs, row), bank, [0])[0]
            assert differ(alone, source[row, : len(alone)]) > 0.1
            same(together[row, : len(alone)], alone)

    def test_a_mix_restores_the_model_also_after_an_exception(
        self, model: SourceModel, inputs: Inputs, source: Tensor
    ) -> None:
        crowd, before = crowd_of(model), state_of(model)
        chosen = [crowd[row] for row in (0, 1, 3, 4, 8)]
        with pytest.raises(KeyboardInterrupt), MixedBank(model).attach(model, chosen):
            raise KeyboardInterrupt
        assert state_of(model) == before
        assert torch.equal(self.run(model, inputs), source)

    def test_a_mix_of_nobody_but_sources_touches_nothing(self, model: SourceModel) -> None:
        before = state_of(model)
        with MixedBank(model).attach(model, [Member(IDENTITY, {}, {})] * 3):
            assert state_of(model) == before

    def test_encoder_takes_one_speaker_a_batch(self, model: SourceModel, inputs: Inputs) -> None:
        bank, before = SpeakerBank(model, create("encoder"), speakers=2), state_of(model)
        with pytest.raises(UsageError, match="one speaker a batch, got 2"):
            self.run(model, inputs, bank, [0, 1, 0, 0, 0])
        assert state_of(model) == before
