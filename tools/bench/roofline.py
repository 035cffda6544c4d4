"""Operations and bytes of features and encoder, counted, against what the device was measured to reach.

    python tools/bench/roofline.py [--device cuda] [--rows 64] [--seconds 10] [--json OUT]

The ceilings are measured here: a large matrix product for operations, a large copy for bytes. Counted are the
products of the encoder's linear layers, convolutions and attention, and for the features the waveforms read and
the features written: the least that has to move.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from measuring import Table, write
from torch.utils.flop_counter import FlopCounterMode

from asradapt.features import FeatureOptions, log_mel
from asradapt.models import load_model


def seconds(work: Callable[[], object], device: str, rounds: int = 10) -> float:
    """Least seconds of a call, the device's work included."""
    best = float("inf")
    for _ in range(rounds + 1):
        began = time.perf_counter()
        work()
        if device != "cpu":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - began)
    return best


@torch.no_grad()
def main() -> None:
    """Measure ceilings and parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    size = 2048 if args.device == "cpu" else 8192
    a, b = torch.randn(size, size, device=args.device), torch.randn(size, size, device=args.device)
    peak = 2 * size**3 / seconds(lambda: a @ b, args.device)
    big = torch.empty(2**26 if args.device == "cpu" else 2**29, device=args.device)
    target = torch.empty_like(big)
    bandwidth = 2 * big.numel() * 4 / seconds(lambda: target.copy_(big), args.device)
    model = load_model("source_en", device=args.device)
    waves = torch.randn(args.rows, round(16000 * args.seconds), device=args.device) * 0.1
    lengths = torch.full((args.rows,), waves.shape[1], device=args.device)
    features, frames = model.prepare(waves, lengths)
    with FlopCounterMode(display=False) as counter:
        model.encode(features, frames)
    encode = seconds(lambda: model.encode(features, frames), args.device)
    extract = seconds(lambda: log_mel(waves, lengths, FeatureOptions()), args.device)
    moved = waves.numel() * 4 + features.numel() * 4
    audio = args.rows * args.seconds
    table = Table(
        "Roofline, fp32", ["", "audio s per s", "counted per audio s", "reached per s", "ceiling per s", "share"]
    )
    operations = counter.get_total_flops()
    cells = [audio / encode, operations / audio, operations / encode, peak, operations / encode / peak]
    table.rows.append(["encoder, operations", *cells])
    cells = [audio / extract, moved / audio, moved / extract, bandwidth, moved / extract / bandwidth]
    table.rows.append(["features, bytes", *cells])
    write([table], args.json)


if __name__ == "__main__":
    main()
