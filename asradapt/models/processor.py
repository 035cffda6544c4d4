"""What the processor of this machine can do."""

from __future__ import annotations

from functools import cache

import torch


@cache
def native_bf16() -> bool:
    """Whether it has instructions for bf16 (AVX-512 or AMX); without them bf16 is slower than fp32."""
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))
