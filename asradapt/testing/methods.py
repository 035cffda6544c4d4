"""What every adaptation method keeps to on a source model: the parts of the contract, by theme, together."""

from __future__ import annotations

from asradapt.testing.identity import IdentityContract
from asradapt.testing.rows import RowsContract
from asradapt.testing.state import StateContract
from asradapt.testing.training import TrainingContract


class MethodContract(IdentityContract, StateContract, TrainingContract, RowsContract):
    """The part of the contract about one method or combination of methods at a time."""
