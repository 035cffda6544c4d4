"""Reading PyTorch's own format, of which only tensors are taken."""

from __future__ import annotations

import pickle
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

UNPICKLER = "_weights_only_unpickler.py"
"""Torch's own reader, out of which any error may come where a file is not a pickle at all."""


@contextmanager
def quiet_pickles() -> Iterator[None]:
    """Without torch's warning of a newer protocol: a pickle that is refused is told of in a sentence."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        yield


REFUSED = "a pickle that holds more than tensors, or is damaged; it is not read further, and nothing in it was run"


def causes(error: BaseException) -> list[BaseException]:
    """An error and those that it was raised from, the first cause last."""
    found = [error]
    while inner := found[-1].__cause__ or found[-1].__context__:
        found.append(inner)
    return found


def from_a_pickle(error: BaseException) -> bool:
    """Whether an error tells of a pickle that holds more than tensors, or that is none."""
    return any(isinstance(one, pickle.UnpicklingError) or _inside_the_reader(one) for one in causes(error))


def _inside_the_reader(error: BaseException) -> bool:
    steps = traceback.extract_tb(error.__traceback__)
    return bool(steps) and steps[-1].filename.endswith(UNPICKLER)
