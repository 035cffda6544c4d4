"""Contract tests for a source model that somebody else wrote; needs pytest.

    @pytest.fixture(scope="module")
    def model():
        return load("small", ModelOptions())

    class TestMine(SourceModelContract):
        pass

runs everything that this project asks of its own models, and every registered adaptation method on them. The parts
can be had alone: `FrozenContract` (what any source model is), `LogitsContract` (CTC logits and batches),
`PhonesContract` (outputs over phones inside), `MethodContract` and `MixedContract` (adaptation). See
docs/adding-a-source-model.md.
"""

from __future__ import annotations

import pytest

for _name in (
    "frozen",
    "logits",
    "phones",
    "identity",
    "state",
    "training",
    "rows",
    "mixed",
):  # so that a failed assert shows its values
    pytest.register_assert_rewrite(f"asradapt.testing.{_name}")

from asradapt.testing.frozen import FrozenContract  # noqa: E402 - after the line above, or it is of no use
from asradapt.testing.logits import LogitsContract  # noqa: E402
from asradapt.testing.methods import MethodContract  # noqa: E402
from asradapt.testing.mixed import MixedContract  # noqa: E402
from asradapt.testing.phones import PhonesContract  # noqa: E402

__all__ = [
    "FrozenContract",
    "LogitsContract",
    "MethodContract",
    "MixedContract",
    "PhonesContract",
    "SourceModelContract",
]


class SourceModelContract(FrozenContract, LogitsContract, PhonesContract, MethodContract, MixedContract):
    """All contracts; a subclass whose name begins with `Test` finds a fixture `model`, best made once."""
