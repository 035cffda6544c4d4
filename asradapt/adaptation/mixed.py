"""Adaptations of different methods side by side, so that one batch can hold any mix of speakers.

Letters: B batch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.adaptation.bank import SpeakerBank
from asradapt.adaptation.method import create
from asradapt.models.base import SourceModel

IDENTITY = "identity"


@dataclass(frozen=True)
class Member:
    """One speaker of a mixed bank.

    Attributes:
        method: Name such as `affine+lowrank`, or `identity`.
        options: Options by method name.
        state: The speaker's tensors, (1, ...) each; empty for the identity.
    """

    method: str
    options: Mapping[str, Mapping[str, object]]
    state: Mapping[str, Tensor]


class MixedBank:
    """One bank per combination of methods and options; a member is the identity in all others.

    Args:
        model: The source model.
        members: The speakers; the rows of a batch are indices into them.

    Raises:
        DamagedSpeaker: If the tensors of a member do not fit its method.
    """

    def __init__(self, model: SourceModel, members: Sequence[Member]) -> None:
        groups: dict[str, list[int]] = {}
        for index, member in enumerate(members):
            if member.method != IDENTITY:
                key = repr((member.method, sorted((k, sorted(v.items())) for k, v in member.options.items())))
                groups.setdefault(key, []).append(index)
        self._banks: list[tuple[SpeakerBank, Tensor]] = []
        for indices in groups.values():
            first = members[indices[0]]
            methods = create(first.method, first.options)
            # the row behind the last member is the identity, for everybody else
            bank = SpeakerBank(model, methods, speakers=len(indices) + 1)
            place = torch.full((len(members),), len(indices), device=model.device)
            for row, index in enumerate(indices):
                bank.load(row, members[index].state)
                place[index] = row
            self._banks.append((bank, place))

    @contextmanager
    def attach(self, model: SourceModel, rows: Tensor) -> Iterator[None]:
        """Adapt `model` until the context ends; batch row `i` belongs to member `rows[i]`, rows (B,).

        Raises:
            UsageError: If a one-speaker method such as `encoder` shares the batch with anybody else.
        """
        with ExitStack() as stack:
            for bank, place in self._banks:
                if bool((place[rows] < bank.speakers - 1).any()):  # somebody in the batch uses it
                    stack.enter_context(bank.attach(model, place[rows]))
            yield
