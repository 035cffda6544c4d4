"""Speakers of one method side by side: row i of a mixed batch equals that speaker alone, at any strength."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asradapt.models.base import SourceModel
from asradapt.testing.adapted import EachMethod, Methods
from asradapt.testing.inputs import MIXED_ROWS, Inputs, differ, row_of, rows_for, same


class RowsContract(EachMethod):
    """The part of the contract about the speaker axis."""

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
