"""What the inner outputs over phones of a source model keep to; models without any have nothing to keep.

Letters: B batch, F frames, P phones and the blank, V tokens.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from asradapt.decoding import BLANK
from asradapt.models.base import PhoneModel, SourceModel, has_phones
from asradapt.pace import prepare
from asradapt.testing.inputs import Inputs, babble, batch, same


class PhonesContract:
    """The part of the contract about phones inside; the fixture `model` gives the model."""

    @pytest.fixture
    def inside(self, model: SourceModel) -> PhoneModel:
        """The model, if it hears phones."""
        if not has_phones(model):
            pytest.skip("has no phones inside, and says so")
        return model

    @pytest.fixture
    def waveforms(self, model: SourceModel) -> list[Tensor]:
        """Clips (T,) of three lengths."""
        return [babble(seconds, seed, rate=model.sample_rate) for seed, seconds in enumerate((0.9, 2.0, 0.4))]

    @pytest.fixture
    def heard(self, inside: PhoneModel, waveforms: list[Tensor]) -> Inputs:
        """Features (B, F', M) of all clips, and frame counts (B,)."""
        return inside.prepare(*batch(waveforms))

    def test_the_first_phone_is_the_blank_and_one_the_border_of_words(self, inside: PhoneModel) -> None:
        assert len(inside.phones[BLANK]) != 1
        assert len(set(inside.phones)) == len(inside.phones)
        assert " " in inside.phones

    @torch.no_grad()
    def test_inner_outputs_come_with_the_same_logits(self, inside: PhoneModel, heard: Inputs) -> None:
        logits, counts, inner = inside.encode_inner(*heard)
        plain, frames = inside.encode(*heard)
        assert torch.equal(plain, logits)
        assert torch.equal(frames, counts)
        assert inner
        assert {tuple(one.shape) for one in inner} == {(*logits.shape[:2], len(inside.phones))}
        assert all(bool(one.isfinite().all()) for one in inner)

    @torch.no_grad()
    def test_the_first_inner_output_alone_depends_on_its_own_row(self, inside: PhoneModel, heard: Inputs) -> None:
        features, frames = heard
        first, counts = inside.encode_first(features, frames)
        assert first.shape[-1] == len(inside.phones)
        assert first.dtype == torch.float32
        for row, count in enumerate(counts.tolist()):
            alone, own = inside.encode_first(features[row : row + 1, : int(frames[row])], frames[row : row + 1])
            assert own.tolist() == [count]
            same(first[row, :count], alone[0])

    @torch.no_grad()
    def test_what_is_too_fast_is_slowed_down_as_if_it_were_alone(
        self, inside: PhoneModel, waveforms: list[Tensor]
    ) -> None:
        made = prepare(inside, *batch(waveforms))
        assert bool(((made.tempo > 0) & (made.tempo <= 1)).all())
        for row, waveform in enumerate(waveforms):
            alone = prepare(inside, *batch([waveform]))
            assert float(alone.tempo[0]) == float(made.tempo[row])
            assert int(alone.frames[0]) == int(made.frames[row])
            same(made.features[row, : int(made.frames[row])], alone.features[0])
