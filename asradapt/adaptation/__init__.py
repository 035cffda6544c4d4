"""Adaptation methods and the speaker bank that holds their tensors.

Every module in this folder is imported, so that a new method is one new file with `@register`.
"""

from importlib import import_module
from pkgutil import iter_modules

from asradapt.adaptation.bank import SpeakerBank
from asradapt.adaptation.method import METHODS, Method, TensorSpec, create, register

__all__ = ["METHODS", "Method", "SpeakerBank", "TensorSpec", "create", "register"]

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
