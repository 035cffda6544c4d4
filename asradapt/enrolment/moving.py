"""The tensors of a stored adaptation taken over to another source model, place by place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from asradapt.adaptation import SpeakerBank, create
from asradapt.enrolment.label_space import METHOD
from asradapt.enrolment.suiting import Suited, suit
from asradapt.errors import StoreError, UsageError
from asradapt.models.base import SourceModel
from asradapt.store import Adaptation, SpeakerRecord


@dataclass(frozen=True, eq=False)
class Moved:
    """An adaptation as far as it fits another model.

    Attributes:
        bank: The adaptation on the new model; the identity wherever nothing was moved.
        moved: The places, as `method at path`, whose tensors were taken over.
        dropped: The places that the new model does not have or has in other widths, and which it is.
        fresh: Number of places of the new model that nothing was moved to.
        suited: The method and its options on the new model.
    """

    bank: SpeakerBank
    moved: tuple[str, ...]
    dropped: tuple[str, ...]
    fresh: int
    suited: Suited

    @property
    def state(self) -> dict[str, Tensor]:
        """The tensors (1, ...) on the new model."""
        return self.bank.state(0)

    @property
    def added(self) -> str:
        """The characters that it writes beyond those of the new model."""
        return "".join(self.bank.added)


def move(model: SourceModel, stored: Adaptation) -> Moved:
    """Take over the tensors of a stored adaptation wherever the new model has a place of that name and size.

    A place is taken over whole or not at all; of added characters only those that the new model cannot write.

    Raises:
        StoreError: If nothing fits.
    """
    record = stored.record
    suited, bank = _fitting(model, record)
    old, new = _places(_narrowed(stored.tensors, suited)), _places(bank.state(0))
    state = bank.state(0)
    moved, dropped = [], []
    for place, parts in sorted(old.items()):
        if problem := suited.lost.get(place.partition("/")[0]) or _misfit(parts, new.get(place)):
            dropped.append(f"{_shown(place)}: {problem}")
        else:
            moved.append(_shown(place))
            state |= {f"{place}/{part}": tensor for part, tensor in parts.items()}
    if not moved:
        raise StoreError(
            f"{record.speaker}: nothing of version {record.version} fits {model.name}: {'; '.join(dropped[:3])}. "
            "Enrol the speaker on the new model"
        )
    bank.load(0, state)
    return Moved(bank, tuple(moved), tuple(dropped), len(new) - len(moved), suited)


def _fitting(model: SourceModel, record: SpeakerRecord) -> tuple[Suited, SpeakerBank]:
    """What the new model has places for, and a bank of it.

    Raises:
        StoreError: If that is nothing.
    """
    try:
        suited = suit(model, record)
        if suited.method:
            return suited, SpeakerBank(model, create(suited.method, suited.options))
        problem = "; ".join(suited.reasons)
    except UsageError as error:
        problem = str(error)
    raise StoreError(f"{record.speaker}: nothing of version {record.version} can be moved: {problem}")


def _narrowed(tensors: Mapping[str, Tensor], suited: Suited) -> dict[str, Tensor]:
    """The tensors (1, ..., N) of new characters with the columns of those that remain, and all others."""
    if METHOD not in suited.options:
        return dict(tensors)
    columns = list(suited.columns)
    own = f"{METHOD}/"
    return {name: one[..., columns] if name.startswith(own) else one for name, one in tensors.items()}


def _places(state: Mapping[str, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Tensors by `method/site` and part."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        place, _, part = name.rpartition("/")
        found.setdefault(place, {})[part] = tensor
    return found


def _misfit(parts: Mapping[str, Tensor], there: Mapping[str, Tensor] | None) -> str:
    """Why the tensors of a place cannot be taken over; nothing if they can."""
    if there is None:
        return "the new model has no such place"
    old, new = ({part: tuple(tensor.shape[1:]) for part, tensor in one.items()} for one in (parts, there))
    if old == new:
        return ""
    if old.keys() != new.keys():
        return f"it has the tensors {', '.join(sorted(old))}, not {', '.join(sorted(new))}"
    part = next(part for part in old if old[part] != new[part])
    return f"{part} is {'x'.join(map(str, old[part]))}, in the new model {'x'.join(map(str, new[part]))}"


def _shown(place: str) -> str:
    method, _, site = place.partition("/")
    return f"{method} at {site}"
