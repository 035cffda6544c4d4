"""How well `asradapt check --match-text` finds texts that were swapped on purpose.

    python tools/planted_mismatches.py MANIFEST [--where part=enroll] [--share 0.1] [--seed 0] [--model source_en]

Texts of a share of the rows are exchanged among each other; the table of docs/measurement.md says how many of
them are found (recall), and how many of what is found was exchanged (precision). What is found beyond may be a
mismatch that was there before.
"""

from __future__ import annotations

import argparse
import random
from dataclasses import replace
from pathlib import Path

from asradapt.checks import match_texts
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model
from asradapt.types import Utterance


def swap(rows: list[Utterance], share: float, seed: int) -> tuple[list[Utterance], set[int]]:
    """Rows with texts exchanged in a ring among a share of them, and which those are."""
    chosen = random.Random(seed).sample(range(len(rows)), max(2, round(share * len(rows))))
    texts = [rows[place].text for place in chosen]
    swapped = list(rows)
    for place, text in zip(chosen, [*texts[1:], texts[0]], strict=True):
        swapped[place] = replace(rows[place], text=text)
    return swapped, {place for place in chosen if swapped[place].text != rows[place].text}


def main() -> None:
    """Plant, look, print one line of the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--where", action="append", default=[])
    parser.add_argument("--share", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="source_en")
    args = parser.parse_args()
    rows = list(read_manifest(args.manifest, where=parse_where(args.where)).utterances)
    swapped, planted = swap(rows, args.share, args.seed)
    matches, failed = match_texts(load_model(args.model, device="cpu"), swapped, seed=args.seed)
    assert not failed, failed[:3]
    found = {place for place, match in enumerate(matches) if match.suspect}
    print("| manifest | rows | planted | found | precision | recall |")
    print(
        f"| {args.manifest.parent.name} | {len(rows)} | {len(planted)} | {len(found)} | "
        f"{len(found & planted) / max(1, len(found)):.1%} | {len(found & planted) / len(planted):.1%} |"
    )
    for place in sorted(found - planted)[:20]:
        print(f"not planted: {rows[place].audio.name} {matches[place].share:.0%} {rows[place].text!r}")


if __name__ == "__main__":
    main()
