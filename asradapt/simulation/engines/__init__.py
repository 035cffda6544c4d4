"""Free synthesisers, one file each; every module in this folder is imported."""

from importlib import import_module
from pkgutil import iter_modules

from asradapt.simulation.engines.engine import (
    ENGINES,
    Engine,
    Line,
    Spoken,
    Voice,
    find_engine,
    find_voice,
    register,
    require_engines,
)

__all__ = [
    "ENGINES",
    "Engine",
    "Line",
    "Spoken",
    "Voice",
    "find_engine",
    "find_voice",
    "register",
    "require_engines",
]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
