"""Common Voice (Ardila et al., LREC 2020): clients who read sentences, in one language's folder.

ROOT/validated.tsv    client_id path sentence age gender accents (or accent) ...
ROOT/clips/common_voice_en_1.mp3
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

from rows import Corpus, layout, read_table, require

COLUMNS = ("client_id", "path", "sentence")
LEAST_CLIPS = 20
"""Clients with fewer have too little to enrol and to test."""
NAME_LENGTH = 16
"""So many characters of a client's hash are the speaker's name."""


def _file_name(path: str) -> str:
    """The first releases (2019) name their clips without the ending."""
    return path if not path or "." in path else f"{path}.mp3"


@layout("commonvoice")
def parse(root: Path) -> Corpus:
    """The validated clips of clients with at least `LEAST_CLIPS` of them."""
    corpus, table = Corpus(), root / "validated.tsv"
    if not table.is_file():
        return require(corpus, root, "validated.tsv with clips")
    rows = read_table(table, COLUMNS, delimiter="\t", quoting=csv.QUOTE_NONE)
    clips = Counter(row["client_id"] for row in rows)
    for row in rows:
        if clips[row["client_id"]] < LEAST_CLIPS:
            corpus.skipped[f"clients with fewer than {LEAST_CLIPS} clips"] += 1
            continue
        corpus.add(
            root / "clips" / _file_name(row["path"]),
            row["sentence"],
            row["client_id"][:NAME_LENGTH],
            age=row.get("age") or "",
            gender=row.get("gender") or "",
            accent=row.get("accents") or row.get("accent") or "",
        )
    return require(corpus, root, f"clients with {LEAST_CLIPS} clips in validated.tsv")
