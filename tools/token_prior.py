"""How often the source model gives each token, on average over frames: the prior that decoding divides out.

    python tools/token_prior.py SPEECH --work DIR [--model source_en] [--write-card]

SPEECH holds the corpora, each with manifest.jsonl; the `enroll` and `validation` parts that weights are tuned on
are heard, never `test`. Prints the log probabilities; `--write-card` puts them into the model's card in
asradapt/assets.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from asradapt.decoding.priors import CARD, LEAST
from asradapt.models import load_model
from decoding_report import TUNED_ON
from logits_cache import load

ASSETS = Path(__file__).resolve().parents[1] / "asradapt" / "assets"


def main() -> None:
    """Average, print, and write where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("speech", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="source_en")
    parser.add_argument("--write-card", action="store_true")
    args = parser.parse_args()
    model = load_model(args.model, device="cpu")
    sets = [load(args.speech, corpus, part, model, args.work) for corpus, part in TUNED_ON]
    frames = torch.cat([rows for chosen in sets for rows in chosen.logits]).double()
    prior = [max(LEAST, round(value, 3)) for value in frames.softmax(dim=1).mean(dim=0).log().tolist()]
    print(" ".join(f"{token or 'blank'!s}:{value}" for token, value in zip(model.tokens, prior, strict=True)))
    if args.write_card:
        file = ASSETS / f"{args.model}.json"
        content = json.loads(file.read_text(encoding="utf-8"))
        content["card"][CARD] = prior
        file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
