"""What a user may say about how a source model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asradapt.errors import UsageError

PRECISIONS = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How a source model is loaded; a kind of model refuses what it has no use for.

    Attributes:
        weights: A file with the weights, instead of the library's cache.
        allow_pickle: Whether weights may be read from PyTorch's own format where there are no safetensors; only
            tensors are ever taken from it.
        language: Language of models that know several: their own code for it.
        task: `transcribe` or `translate`, of models that can do both.
        precision: What the frozen network computes with.
    """

    weights: Path | None = None
    allow_pickle: bool = False
    language: str | None = None
    task: str | None = None
    precision: str = "fp32"

    def refuse_unused(self, what: str, *used: str) -> None:
        """Refuse the options that are set and not among those that a kind of model has a use for.

        Args:
            what: The model, for the message.
            used: The names of the options that it takes.

        Raises:
            UsageError: If there is any.
        """
        if unused := self.unused(*used):
            raise UsageError(no_use(unused, what))

    def unused(self, *used: str) -> list[str]:
        """The options that are set and not among those that a kind of model has a use for."""
        default = ModelOptions()
        names = (name for name in vars(self) if name not in used)
        return [f"--{name.replace('_', '-')}" for name in names if getattr(self, name) != getattr(default, name)]


def no_use(options: Sequence[str], what: str) -> str:
    """A sentence that options do not go with something."""
    return f"{' and '.join(options)} {'is' if len(options) == 1 else 'are'} of no use for {what}"
