"""Change of all encoder weights, for one speaker at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor

from asradapt.adaptation.method import Method, TensorSpec, register
from asradapt.models.base import Site, SourceModel


@register
@dataclass(frozen=True)
class Encoder(Method):
    """Every weight before the output layer plus a difference: full fine-tuning, the source untouched.

    The weights of a layer act on a whole batch at once, so only one speaker can be attached.
    """

    name = "encoder"
    summary = "all encoder weights, one speaker at a time; for an hour of speech, MBs"
    kinds = frozenset({"weight"})
    one_speaker = True
    rate = 6e-4

    def sites(self, model: SourceModel) -> list[Site]:
        """One site a weight of the network, without those of its output sites."""
        return list(model.weights)

    def tensors(self, site: Site) -> dict[str, TensorSpec]:
        """`change`, of the weight's shape."""
        return {"change": TensorSpec(site.shape)}

    def apply(self, x: Tensor, y: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        """Add the change (1, ...) to the weight `y`, in the precision of the change; `x` is not used."""
        change = tensors["change"][0]
        return (y.to(change.dtype) + change).to(y.dtype)

    @contextmanager
    def attach(
        self, model: SourceModel, site: Site, tensors: Mapping[str, Tensor], rows: Tensor
    ) -> Iterator[None]:
        """Put the changed weight in the place of the weight until the context ends; `tensors` are (1, ...)."""
        path, _, name = site.name.rpartition(".")
        weights = model.module.get_submodule(path)._parameters
        source = weights[name]
        assert source is not None
        weights[name] = self.apply(source, source.detach(), tensors)  # type: ignore[assignment]
        try:
            yield
        finally:
            weights[name] = source
