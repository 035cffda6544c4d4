"""Impediments of speech, each a change of samples; every module in this folder is imported."""

from importlib import import_module
from pkgutil import iter_modules

from asradapt.simulation.impediments.impediment import (
    IMPEDIMENTS,
    Impediment,
    apply,
    find_impediment,
    register,
)

__all__ = ["IMPEDIMENTS", "Impediment", "apply", "find_impediment", "register"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
