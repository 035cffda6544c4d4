"""What the processor of this machine can do."""

from __future__ import annotations

from functools import cache

import torch


@cache
def faster_in_bf16() -> bool:
    """Whether it multiplies matrices in bf16 faster than in fp32.

    AMD's with AVX-512 instructions for it take half the time, Intel's a third more (docs/performance.md): there
    they are no faster than those for fp32, and converting comes on top. AMX is made for it. By name and not by a
    measurement, so that the same machine always computes in the same way.
    """
    known = torch.cpu.get_capabilities()
    vectors = known.get("avx512_bf16", False) and "AMD" in str(known.get("cpu_name", ""))
    return bool(known.get("amx_bf16") or vectors)
