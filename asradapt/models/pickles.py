"""Reading PyTorch's own format, of which only tensors are taken."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_pickles() -> Iterator[None]:
    """Without torch's warning of a newer protocol: a pickle that is refused is told of in a sentence."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Detected pickle protocol")
        yield
