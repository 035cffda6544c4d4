"""What an adaptation method is, and the registry of all of them.

A method says which sites of a model it takes, which small tensors a speaker needs there, and how they
transform the activation. All tensors carry a leading speaker axis; `rows` says whose they are.

Letters: B batch, F frames, D width, S speakers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from asradapt.adaptation.method_options import read_options
from asradapt.errors import UnknownMethod, UsageError
from asradapt.models.base import Site, SourceModel
from asradapt.models.turns import hooked


@dataclass(frozen=True)
class TensorSpec:
    """One tensor that each speaker has at a site.

    Attributes:
        shape: Shape without the speaker axis.
        spread: Standard deviation of its random start; 0 starts at zero.
        scaled: Whether the strength multiplies it; enough of a site's tensors are scaled that strength 0 is
            the identity.
    """

    shape: tuple[int, ...]
    spread: float = 0.0
    scaled: bool = True


@dataclass(frozen=True)
class Method(ABC):
    """An adaptation method with its options (the fields of the subclass).

    Attributes:
        name: How it is called on the command line.
        summary: One line for `asradapt methods`.
        kinds: The kinds of sites that it takes.
        one_speaker: Whether only one speaker at a time can be attached.
        rate: Learning rate that enrolment starts from.
        products_only: Whether it is made of matrix products alone, which autocast computes in its own precision.
    """

    name: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    kinds: ClassVar[frozenset[str]] = frozenset()
    one_speaker: ClassVar[bool] = False
    rate: ClassVar[float] = 1e-2
    products_only: ClassVar[bool] = False

    @property
    def added(self) -> tuple[str, ...]:
        """The tokens whose logits it appends behind those of the model."""
        return ()

    def sites(self, model: SourceModel) -> list[Site]:
        """The sites of `model` that this method takes."""
        return [site for site in model.sites if site.kind in self.kinds]

    def constants(self, model: SourceModel, site: Site) -> dict[str, Tensor]:
        """Tensors that `apply` gets besides those of the speakers, alike for all of them."""
        return {}

    @abstractmethod
    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """The tensors of one speaker at `site`; as specified they are the identity."""

    @abstractmethod
    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Transform the activation of every batch row by the tensors of that row's speaker.

        Args:
            x: (B, F, D_in) input of the site's module.
            y: (B, F, D) its output.
            tensors: Each (B, ...), or (1, ...) where all rows belong to one speaker; and the constants.

        Returns:
            (B, F, D), or (B, F, D + N) from a method that adds N tokens.
        """

    def averaged(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One speaker's tensors (1, ...) at a site that do about what several (S, ...) do on average."""
        return {name: tensor.mean(0, keepdim=True) for name, tensor in tensors.items()}

    @contextmanager
    def attach(
        self, model: SourceModel, site: Site, tensors: Mapping[str, Tensor], rows: Tensor
    ) -> Iterator[None]:
        """Apply the method at `site` until the context ends; `tensors` are (S, ...), `rows` (B,)."""
        constants = self.constants(model, site)

        def hook(_: nn.Module, inputs: tuple[Any, ...], output: Any) -> Any:
            # gathered in every forward pass, so that each has its own graph and sees the tensors as they are
            first, *others = output if isinstance(output, tuple) else (output,)
            gathered = {name: _of_rows(tensor, rows, len(first)) for name, tensor in tensors.items()}
            if first.shape[-1] == site.width:
                changed = self._apply_exactly(inputs[0], first, gathered | constants, site)
            else:  # other methods have added tokens behind those of the model
                changed = self._apply_exactly(inputs[0], first[..., : site.width], gathered | constants, site)
                own, new = changed[..., : site.width], changed[..., site.width :]
                changed = torch.cat((own, first[..., site.width :].to(own.dtype), new), dim=-1)
            return (changed, *others) if isinstance(output, tuple) else changed

        with hooked(model.module.get_submodule(site.name), hook):
            yield

    def _apply_exactly(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor], site: Site) -> Tensor:
        """`apply` in the precision of the tensors, also where the network computes in a coarser one.

        A change that is small against the activation would be rounded away in bf16. What comes out goes on in the
        network's own precision; logits, which nothing in the network takes, stay as exact as they are.
        """
        if self.products_only and torch.is_autocast_enabled(y.device.type):
            return self.apply(x, y, tensors).to(y.dtype)  # products go back to the coarser one by themselves
        exact = next((one.dtype for one in tensors.values() if one.is_floating_point()), y.dtype)
        if y.dtype == exact and x.dtype == exact:
            return self.apply(x, y, tensors)
        changed = self.apply(x.to(exact), y.to(exact), tensors)
        return changed if site.kind == "output" else changed.to(y.dtype)

    def options(self) -> dict[str, object]:
        """The options as plain values, for the speaker's record."""
        return asdict(self)


def _of_rows(tensor: Tensor, rows: Tensor, batch: int) -> Tensor:
    """(S, ...) to (batch, ...); with one speaker it is only viewed, not copied.

    A search that keeps several hypotheses of each of the B rows has them side by side: B times as many rows.
    """
    if tensor.shape[0] == 1:
        return tensor
    return tensor.index_select(0, rows if len(rows) == batch else rows.repeat_interleave(batch // len(rows)))


METHODS: dict[str, type[Method]] = {}


def register(method: type[Method]) -> type[Method]:
    """Class decorator that makes a method known by its name.

    Raises:
        UsageError: If it cannot be asked for by that name.
    """
    if not method.name or "+" in method.name or method.name in ("auto", "identity"):
        raise UsageError(f"an adaptation method cannot be called {method.name!r}")
    METHODS[method.name] = method
    return method


def create(name: str, options: Mapping[str, Mapping[str, Any]] | None = None) -> tuple[Method, ...]:
    """The methods of a name such as `affine` or `affine+lowrank`, with options by method name.

    Raises:
        UnknownMethod: For a name that is not registered.
        UsageError: For a method named twice, unknown options, or `encoder` in a combination.
    """
    names = name.split("+")
    for part in names:
        if part not in METHODS:
            raise UnknownMethod("adaptation method", part, METHODS, "Combine methods with +, as in affine+lowrank")
    if len(set(names)) != len(names):
        raise UsageError(f"method {name!r} names the same method twice")
    alone = [part for part in names if METHODS[part].one_speaker]
    if alone and len(names) > 1:
        raise UsageError(f"method {alone[0]!r} changes all weights and cannot be combined: {name!r}")
    given = options or {}
    problems = [f"options for {part!r}, which is not part of it" for part in given.keys() - set(names)]
    read = {part: read_options(METHODS[part], given.get(part, {})) for part in names}
    problems += [one for part in names for one in read[part][1]]
    if problems:
        raise UsageError(f"method {name!r}: {'; '.join(problems)}")
    try:
        return tuple(METHODS[part](**read[part][0]) for part in names)
    except ValueError as error:
        raise UsageError(f"unusable options for {name!r}: {error}") from error
