"""Adaptations of different methods side by side, so that one batch can hold any mix of speakers.

The tensors of the speakers stay stacked on the device from batch to batch, within a bound; whoever was not
heard for the longest leaves first. A batch only gathers the rows of its people.

Letters: B batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from asradapt.adaptation.bank import SpeakerBank
from asradapt.adaptation.method import create
from asradapt.models.base import SourceModel
from asradapt.models.turns import Turn, hooked

IDENTITY = "identity"
IMPOSSIBLE = -1e4  # a logit whose probability is exactly zero, and finite, so that zero times it is zero
KEPT_BYTES = 2**30  # of speakers read from the store, 300 with `lowrank` of rank 32
MOST_BYTES = 512 * 2**20  # of stacked tensors per method; 800 speakers with `affine+lowrank` of rank 8


@dataclass(frozen=True, eq=False)
class Member:
    """One speaker of a mixed bank, known by the object, not by its content.

    Attributes:
        method: Name such as `affine+lowrank`, or `identity`.
        options: Options by method name.
        state: The speaker's tensors, (1, ...) each; empty for the identity.
    """

    method: str
    options: Mapping[str, Mapping[str, object]]
    state: Mapping[str, Tensor]

    @property
    def bytes(self) -> int:
        """Memory of the tensors."""
        return sum(tensor.nbytes for tensor in self.state.values())

    @property
    def group(self) -> str:
        """The same for all members that can share a bank."""
        return repr((self.method, sorted((k, sorted(v.items())) for k, v in self.options.items())))


class KeptMembers:
    """Speakers' members in memory, within a bound; whoever was not asked for the longest leaves first.

    Args:
        most_bytes: Bound on the tensors of all together; the last one is kept whatever it takes.
    """

    def __init__(self, most_bytes: int = KEPT_BYTES) -> None:
        self._most, self._bytes = most_bytes, 0
        self._members: OrderedDict[str, Member] = OrderedDict()

    def __iter__(self) -> Iterator[str]:
        """The names, whoever leaves next first."""
        return iter(self._members)

    def get(self, name: str) -> Member | None:
        """The member of a speaker, if it is there."""
        if name in self._members:
            self._members.move_to_end(name)
        return self._members.get(name)

    def drop(self, name: str) -> None:
        """Forget a speaker who may be there."""
        if member := self._members.pop(name, None):
            self._bytes -= member.bytes

    def add(self, name: str, member: Member) -> None:
        """Keep the member of a speaker who is not there."""
        self._members[name] = member
        self._bytes += member.bytes
        while self._bytes > self._most and len(self._members) > 1:
            self._bytes -= self._members.popitem(last=False)[1].bytes


class _Group:
    """The bank of one combination of methods and options, with a row for the identity and rows for members.

    Row 0 is the identity. The other rows are given to members as they come; when all `most` are taken, the
    member that was not used for the longest gives up its row.
    """

    def __init__(self, model: SourceModel, member: Member, most_bytes: int) -> None:
        self.bank = SpeakerBank(model, create(member.method, member.options))
        self.most = max(1, most_bytes // max(1, self.bank.bytes_a_speaker()))
        self._rows: OrderedDict[Member, int] = OrderedDict()  # the one used last at the end

    def place(self, members: Sequence[Member]) -> dict[Member, int]:
        """The rows of different members, all of them resident when this returns."""
        for member in members:
            if member in self._rows:
                self._rows.move_to_end(member)
        for member in members:
            if member not in self._rows:
                self.bank.check(member.state)
                row = self._free_row(len(members))
                self.bank.load(row, member.state)
                self._rows[member] = row
        return {member: self._rows[member] for member in members}

    def _free_row(self, wanted: int) -> int:
        """A row for another member: a new one, or the one of whoever was not used for the longest."""
        used = len(self._rows) + 1  # with the identity
        most = max(self.most, wanted) + 1  # the members of one batch must fit, whatever the bound says
        if used == self.bank.speakers < most:
            self.bank = self.bank.widened(min(most, max(8, 2 * self.bank.speakers)))
        return used if used < self.bank.speakers else self._rows.popitem(last=False)[1]


class MixedBank:
    """The adaptations of any number of speakers to one model, of any mix of methods; threads take turns.

    Args:
        model: The source model.
        most_bytes: Bound on the stacked tensors per method; one batch may exceed it.
    """

    def __init__(self, model: SourceModel, *, most_bytes: int = MOST_BYTES) -> None:
        self._model, self._most_bytes, self._turn = model, most_bytes, Turn()
        self._groups: dict[str, _Group] = {}

    def check(self, member: Member) -> None:
        """Refuse a member that cannot be applied to the model.

        Raises:
            DamagedSpeaker: If its tensors do not fit its method.
            AsradaptError: If its method or options are not known here.
        """
        if member.method != IDENTITY:
            with self._turn:
                self._group(member).bank.check(member.state)

    def resident(self) -> int:
        """Number of speakers whose tensors are on the device."""
        return sum(len(group._rows) for group in self._groups.values())

    @contextmanager
    def attach(self, model: SourceModel, members: Sequence[Member]) -> Iterator[list[tuple[str, ...]]]:
        """Adapt `model` until the context ends; batch row `i` belongs to `members[i]`.

        Speakers may have added tokens to the model's own. Their logits stand behind those of the model, a column
        for each token of each method and options; a row can only write its own.

        Args:
            model: The source model that the bank was made for.
            members: One for each of the B rows; the same speaker is the same object.

        Yields:
            For each row the tokens of all columns behind the model's own, `""` where the column is not the row's.

        Raises:
            DamagedSpeaker: If the tensors of a member do not fit its method.
            UsageError: If a one-speaker method such as `encoder` shares the batch with anybody else.
        """
        with self._turn, ExitStack() as stack:
            placed = self._placed(members)
            for bank, rows in placed:
                stack.enter_context(bank.attach(model, rows))
            added: list[tuple[str, ...]] = [() for _ in members]
            if any(bank.added for bank, _ in placed):
                places = zip(*(rows.tolist() for _, rows in placed), strict=True)
                added = [_columns(placed, rows) for rows in places]
                stack.enter_context(_own_only(model, added))
            yield added

    def _group(self, member: Member) -> _Group:
        key = member.group
        if key not in self._groups:
            with torch.inference_mode(mode=False):  # it stays, and serves callers in any mode
                self._groups[key] = _Group(self._model, member, self._most_bytes)
        return self._groups[key]

    def _placed(self, members: Sequence[Member]) -> list[tuple[SpeakerBank, Tensor]]:
        """For every method in the batch its bank and the row (B,) of every batch row in it, 0 for other people."""
        crowds: dict[str, dict[Member, None]] = {}
        for member in members:
            if member.method != IDENTITY:
                crowds.setdefault(member.group, {})[member] = None
        placed = []
        for crowd in crowds.values():
            different = list(crowd)
            group = self._group(different[0])
            rows = group.place(different)
            index = torch.tensor([rows.get(member, 0) for member in members], device=self._model.device)
            placed.append((group.bank, index))
        return placed


def _columns(placed: Sequence[tuple[SpeakerBank, Tensor]], rows: Sequence[int]) -> tuple[str, ...]:
    """The tokens that one batch row has added, in the places of all; `rows` are its rows in the banks."""
    return tuple(token if row else "" for (bank, _), row in zip(placed, rows, strict=True) for token in bank.added)


@contextmanager
def _own_only(model: SourceModel, added: Sequence[Sequence[str]]) -> Iterator[None]:
    """Make the columns behind the model's own impossible for every row that they do not belong to."""
    others = torch.tensor([[not token for token in row] for row in added], device=model.device)  # (B, N)
    (site,) = (site for site in model.sites if site.kind == "output")

    def hook(_: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor:
        own, new = output[..., : site.width], output[..., site.width :]
        return torch.cat((own, new.masked_fill(others[:, None, :], IMPOSSIBLE)), dim=-1)

    with hooked(model.module.get_submodule(site.name), hook):
        yield
