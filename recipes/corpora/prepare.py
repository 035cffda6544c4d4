"""Turn an unpacked corpus into a manifest with parts that share no speaker and no text.

    python recipes/corpora/prepare.py recipes/torgo/config.toml DATA OUT/manifest.jsonl

Says how many rows each part has, what was left out and why, and which texts or speakers parts share.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

import accent_archive  # noqa: F401  (each of these registers its parser)
import audiomnist  # noqa: F401
import commonvoice  # noqa: F401
import l2arctic  # noqa: F401
import torgo  # noqa: F401
import uaspeech  # noqa: F401
from asradapt.errors import AsradaptError, UsageError
from asradapt.manifests import write_manifest
from recipe import Recipe, read_recipe
from rows import LAYOUTS
from splits import PART, split


def prepare(recipe: Recipe, data: Path, out: Path) -> list[str]:
    """Writes the manifest and returns what is to be known about it, a line each.

    Raises:
        UsageError: The recipe names no layout, or an unknown one.
        ManifestError: The folder does not hold the corpus.
    """
    if recipe.layout not in LAYOUTS:
        raise UsageError(f"layout is {recipe.layout!r}; known are {', '.join(sorted(LAYOUTS))}")
    corpus = LAYOUTS[recipe.layout](data)
    found = split(corpus.rows, recipe.split)
    write_manifest(out, found.rows)
    parts = Counter(row.fields[PART] for row in found.rows)
    people = {part: len({r.speaker for r in found.rows if r.fields[PART] == part}) for part in parts}
    return [
        *(f"{part}: {parts[part]} recordings of {people[part]} speakers" for part in sorted(parts)),
        *(f"left out: {count}, {reason}" for reason, count in sorted(corpus.skipped.items())),
        f"left out: {found.dropped}, text that is tested, or no part",
        *(f"in common, {name}: {count}" for name, count in found.leaks.items()),
    ]


def main() -> None:
    """Prepare one corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("config", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    try:
        lines = prepare(read_recipe(args.config), args.data, args.out)
    except AsradaptError as error:
        sys.exit(f"error: {error}")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
