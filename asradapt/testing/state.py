"""The state of an adaptation: all and only its own tensors, loaded strictly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.errors import DamagedSpeaker
from asradapt.models.base import SourceModel
from asradapt.testing.adapted import EachMethod, Methods
from asradapt.testing.inputs import SPEAKERS, Inputs


class StateContract(EachMethod):
    """The part of the contract about what is saved of a speaker."""

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

    def test_options_come_back_from_a_record_the_same(self, methods: Methods) -> None:
        kept = json.loads(json.dumps({method.name: method.options() for method in methods}))
        assert create("+".join(method.name for method in methods), kept) == tuple(methods)

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

    def test_the_average_of_one_speaker_is_that_speaker(
        self, model: SourceModel, methods: Methods, inputs: Inputs
    ) -> None:
        bank = self.bank(model, methods)
        average = bank.averaged([[3, 3], [1], [2, 2, 2]])
        expected, found = (self.run(model, inputs, one, [row] * 5) for one, row in ((bank, 3), (average, 0)))
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
        assert all(torch.equal(average.tensors[name][1], bank.tensors[name][1]) for name in bank.tensors)

    def test_the_average_of_identities_is_the_identity_bit_for_bit(
        self, model: SourceModel, methods: Methods, inputs: Inputs, source: Tensor
    ) -> None:
        new = SpeakerBank(model, methods, speakers=3).averaged([[0, 1, 2]])
        assert torch.equal(self.run(model, inputs, new, [0] * 5)[..., : source.shape[-1]], source)
