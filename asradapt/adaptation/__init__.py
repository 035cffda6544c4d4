"""Adaptation methods and the speaker bank that holds their tensors.

Every module in this folder is imported, so that a new method is one new file with `@register`; and so is what
other packages name as an entry point of the group `asradapt.methods`.
"""

import logging
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules

from asradapt.adaptation.bank import SpeakerBank
from asradapt.adaptation.method import METHODS, Method, TensorSpec, create, register

__all__ = ["METHODS", "Method", "SpeakerBank", "TensorSpec", "create", "register"]

GROUP = "asradapt.methods"

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")


def load_others() -> None:
    """Import the methods of other packages; one that does not load is told and keeps the others usable."""
    for point in entry_points(group=GROUP):
        try:
            point.load()
        except Exception as error:  # whatever another package raises
            logging.getLogger(__name__).warning(
                "methods of %s (%s) do not load: %s", point.name, point.value, error
            )


load_others()
