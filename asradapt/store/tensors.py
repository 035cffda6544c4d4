"""The tensors of an adaptation as safetensors bytes: nothing in the file can run code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from asradapt.errors import DamagedSpeaker, StoreError

if TYPE_CHECKING:
    from torch import Tensor

TENSORS_FILE = "adaptation.safetensors"


def encode(tensors: Mapping[str, Tensor], *, decision: str) -> bytes:
    """The contents of `adaptation.safetensors`.

    Args:
        tensors: The adaptation's own tensors, on any device; none for the decision `source`.
        decision: The gate's decision.

    Raises:
        StoreError: A tensor holds NaN or infinity, or the tensors contradict the decision.
    """
    import safetensors.torch

    # Copies, because safetensors refuses tensors that share memory.
    plain = {key: tensor.detach().cpu().clone().contiguous() for key, tensor in tensors.items()}
    if problems := _problems(plain, decision):
        raise StoreError(f"the adaptation is not stored: {'; '.join(problems)}")
    data: bytes = safetensors.torch.save(plain)
    return data


def decode(data: bytes, *, decision: str, sha256: str) -> dict[str, Tensor]:
    """Reads the contents of `adaptation.safetensors` strictly, onto the CPU.

    Args:
        data: The bytes of the file.
        decision: The gate's decision.
        sha256: The hash that `speaker.json` states.

    Raises:
        DamagedSpeaker: The bytes have changed, are no safetensors file, or hold NaN or infinity.
    """
    import safetensors.torch

    if (found := digest(data)) != sha256:
        raise DamagedSpeaker(
            f"adaptation.safetensors ({len(data)} bytes) has changed: its sha256 is {found[:12]}..., "
            f"speaker.json says {sha256[:12]}..."
        )
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load(data)
    except Exception as error:  # safetensors raises bare Exceptions, and KeyError for types torch lacks
        raise DamagedSpeaker(f"adaptation.safetensors cannot be read: {error}") from error
    if problems := _problems(tensors, decision):
        raise DamagedSpeaker(f"adaptation.safetensors is damaged: {'; '.join(problems)}")
    return tensors


def digest(data: bytes) -> str:
    """The sha256 of a file's contents in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def _problems(tensors: Mapping[str, Tensor], decision: str) -> list[str]:
    """Everything that is wrong with the tensors of an adaptation."""
    import torch

    problems = [
        f"{key!r} holds NaN or infinity"
        for key, tensor in tensors.items()
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.double()).all())
    ]
    if tensors and decision == "source":
        problems.append(f"the decision is 'source', yet there are {len(tensors)} tensors")
    if not tensors and decision == "adapted":
        problems.append("the decision is 'adapted', yet there are no tensors")
    return problems
