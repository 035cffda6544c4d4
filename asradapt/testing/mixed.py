"""Speakers with different methods, sizes and none at all in one batch of a source model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.adaptation.mixed import IDENTITY, Member, MixedBank
from asradapt.errors import UsageError
from asradapt.models.base import SourceModel
from asradapt.testing.adapted import Adapted
from asradapt.testing.inputs import TOLERANCE, Inputs, differ, perturbed, row_of, same, state_of, unwritten

Crowd = Sequence[tuple[str, dict[str, dict[str, object]]]]
CROWD: Crowd = [
    ("affine", {}),
    ("lowrank", {"lowrank": {"rank": 2}}),
    (IDENTITY, {}),
    ("lowrank", {"lowrank": {"rank": 8}}),
    ("affine+lowrank", {"lowrank": {"rank": 2}}),
    ("affine", {}),
    ("input", {}),
    ("bottleneck", {"bottleneck": {"width": 3}}),
    ("head", {}),
    ("tokens", {"tokens": {"characters": "1"}}),
    ("lowrank+tokens", {"tokens": {"characters": "21"}}),
]
"""What the people of a crowd are adapted by; digits stand for characters that the model cannot write."""


def crowd_of(model: SourceModel, kinds: Crowd) -> list[Member]:
    """One member for each entry of a crowd."""
    letters, found = unwritten(model, 2), []
    for seed, (name, wanted) in enumerate(kinds):
        options = dict(wanted)
        if "tokens" in options:
            digits = str(options["tokens"]["characters"])
            options["tokens"] = {"characters": "".join(letters[int(digit) - 1] for digit in digits)}
        bank = None if name == IDENTITY else perturbed(SpeakerBank(model, create(name, options)), seed)
        found.append(Member(name, options, bank.state(0) if bank else {}))
    return found


class MixedContract(Adapted):
    """The part of the contract about people with unlike adaptations side by side.

    A model that has no use for one of the methods brings another `crowd` of as many people.
    """

    crowd: ClassVar[Crowd] = CROWD

    @pytest.mark.parametrize(
        "rows", [[0, 1, 2, 3, 4], [8, 7, 6, 5, 2], [4, 2, 0, 5, 3], [2, 2, 2, 2, 2], [9, 8, 10, 2, 0]], ids=str
    )
    def test_a_batch_may_hold_any_mix_of_speakers(
        self, model: SourceModel, inputs: Inputs, source: Tensor, rows: list[int]
    ) -> None:
        crowd, width = crowd_of(model, self.crowd), source.shape[-1]
        mix, people = MixedBank(model), [crowd[row] for row in rows]
        together = self.run(model, inputs, mix, people)
        with mix.attach(model, people) as added:
            columns = [[width + place for place, token in enumerate(row) if token] for row in added]
        for row, member in enumerate(people):
            own = together[row][:, [*range(width), *columns[row]]]
            others = [column for column in range(width, together.shape[-1]) if column not in columns[row]]
            assert not bool(together[row].softmax(-1)[:, others].any())  # what others have added is impossible
            if member.method == IDENTITY:
                assert torch.equal(own, source[row])
                continue
            bank = SpeakerBank(model, create(member.method, member.options))
            new = self.run(model, row_of(inputs, row), bank, [0])[0]
            assert tuple(filter(None, added[row])) == bank.added
            bank.load(0, member.state)
            alone = self.run(model, row_of(inputs, row), bank, [0])[0]
            assert differ(alone, new) > 100 * TOLERANCE
            same(own[: len(alone)], alone)

    def test_a_mix_restores_the_model_also_after_an_exception(
        self, model: SourceModel, inputs: Inputs, source: Tensor
    ) -> None:
        crowd, before = crowd_of(model, self.crowd), state_of(model)
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
