"""A device that is not there: its tensors compute on the CPU, but do not mix with those of the CPU.

Most of what forgets to move a tensor fails on it as it would on a GPU. Kernels, streams, memory and speed are not
those of one. Made of PyTorch's device for other backends, with tensors that hold the real ones. PyTorch takes it
for the accelerator of the process from then on, so it is for processes of their own: `tests/test_pretended.py`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

NAME = "pretended"
aten = torch.ops.aten
BETWEEN = ("copy_", "_to_copy", "_ctc_loss", "_ctc_loss_backward", "_use_cudnn_ctc_loss")
"""Operations that take tensors of the CPU beside those of a GPU."""
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")
"""Operations whose second argument may be indices of the CPU."""
WHOLE = ("cat", "stack", "index_select", "gather")
"""Operations that do not take single numbers of the CPU, as those do that go number by number."""


class Held(torch.Tensor):
    """A tensor that says it is on the device; `held` is the one on the CPU."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Held:
        like = {"dtype": held.dtype, "layout": held.layout, "strides": held.stride()}
        made = torch.Tensor._make_wrapper_subclass(
            cls, held.size(), storage_offset=held.storage_offset(), device=torch.device(NAME, 0), **like
        )
        made.held = held
        return made

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Held({self.held!r})"

    def tolist(self) -> Any:  # which PyTorch refuses to subclasses
        return self.detach().cpu().tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


def tensors_in(values: Any) -> Iterator[torch.Tensor]:
    """The tensors in nested lists, tuples and dictionaries."""
    if isinstance(values, torch.Tensor):
        yield values
    elif isinstance(values, list | tuple | dict):
        for value in values.values() if isinstance(values, dict) else values:
            yield from tensors_in(value)


def changed(values: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    """The same nest with changed tensors."""
    if isinstance(values, torch.Tensor):
        return change(values)
    if isinstance(values, dict):
        return {name: changed(value, change) for name, value in values.items()}
    return type(values)(changed(value, change) for value in values) if type(values) in (list, tuple) else values


def check(func: Any, args: Any, kwargs: Any) -> dict[int, Held]:
    """The tensors of the device that an operation takes, by the identity of what they hold.

    Raises:
        RuntimeError: If it takes tensors of both, as on a GPU.
    """
    name = func.overloadpacket.__name__
    looked_at = (args[0], *args[2:]) if name in INDEXING else args
    tensors = list(tensors_in((args, kwargs)))
    there = {id(tensor.held): tensor for tensor in tensors if isinstance(tensor, Held)}
    here = [tensor for tensor in tensors_in((looked_at, kwargs)) if not isinstance(tensor, Held)]
    mixed = here if name in WHOLE else [tensor for tensor in here if tensor.dim() > 0]
    if there and mixed and name not in BETWEEN:
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found cpu and {NAME}")
    return there


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Runs an operation on the CPU; the outcome is on the device where its arguments or `device` say so."""
    given = check(func, args, kwargs)
    there = bool(given)
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]).type == NAME
        kwargs = kwargs | {"device": torch.device("cpu")}
    if func is aten.copy_.default:
        there = isinstance(args[0], Held)
    if func is aten._fused_sdp_choice.default:
        return 0  # attention of products and a softmax; the others have kernels of their own for each device
    own, named = changed((args, kwargs), lambda tensor: tensor.held if isinstance(tensor, Held) else tensor)
    found = func(*own, **named)
    if not there:
        return found
    # what is changed in place is the tensor that was given
    return changed(found, lambda tensor: given[id(tensor)] if id(tensor) in given else Held(tensor))


class Pretence(TorchDispatchMode):
    """While it is on, this thread can make tensors on the device; others can by moving them there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return compute(func, args, kwargs or {})


@cache
def register() -> torch.library.Library:
    """Tell PyTorch of the device, once a process; what is returned must be kept."""
    _setup_privateuseone_for_python_backend(rename=NAME)
    for name in torch._C._dispatch_get_all_op_names():  # each must have been named before it is fallen back to
        if name.startswith("aten::"):
            packet, _, overload = name.removeprefix("aten::").partition(".")
            with contextlib.suppress(AttributeError):
                getattr(getattr(aten, packet), overload or "default")
    library = torch.library.Library("_", "IMPL")
    library.fallback(lambda func, *args, **kwargs: compute(func, args, kwargs), "PrivateUse1")
    return library


@contextlib.contextmanager
def pretended() -> Iterator[str]:
    """The name of the device; inside the context tensors can be made there."""
    register()
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    try:
        with Pretence():
            yield NAME
    finally:
        torch._C._set_only_lift_cpu_tensors(before)


CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is available here"),
    ],
)
DEVICES: tuple[Any, ...] = (NAME,) if os.environ.get("ASRADAPT_TEST_DEVICE") == NAME else (CUDA,)
"""What tests of devices are run on: CUDA, or the pretended one where the environment says so."""
