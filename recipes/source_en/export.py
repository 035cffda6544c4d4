"""Write the weights of a checkpoint as a source model: fp16 safetensors and the JSON beside it.

python recipes/source_en/export.py --work DIR --out asradapt/assets/source_en.safetensors
"""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import torch

from asradapt.features import FeatureOptions
from asradapt.models.source import ConformerSource, save_source
from state import build
from tokens import PHONES, tokens_of


def main() -> None:
    """Read the checkpoint, write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("config.toml"))
    parser.add_argument("--card", type=Path, default=Path(__file__).with_name("card.toml"))
    parser.add_argument("--weights", choices=["best", "average", "model"], default="best")
    args = parser.parse_args()
    config = tomllib.loads(args.config.read_text())
    best = args.weights == "best"  # the averaged weights with the least validation error
    if not (args.work / ("best.pt" if best else "checkpoint.pt")).exists():
        raise SystemExit(
            f"{args.work} holds no such weights: train first, or without validation --weights average"
        )
    saved = torch.load(args.work / ("best.pt" if best else "checkpoint.pt"), weights_only=True)
    network = build(config)
    network.load_state_dict(saved["average" if best else args.weights])
    card = tomllib.loads(args.card.read_text()) | {"steps": saved["step"], "hours_heard": round(saved["hours"], 1)}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    phones = PHONES if network.options.phones else ()
    model = ConformerSource(args.out.stem, network, FeatureOptions(), tokens_of(config), card, phones=phones)
    save_source(model, args.out)
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB after {saved['step']} steps")


if __name__ == "__main__":
    main()
