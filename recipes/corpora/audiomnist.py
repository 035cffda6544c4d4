"""AudioMNIST (Becker et al. 2018): 60 people say each digit fifty times.

ROOT/data/01/0_01_0.wav    digit, speaker, take
ROOT/data/audioMNIST_meta.txt    JSON by speaker: accent, age, gender, native speaker, ...
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from asradapt.errors import ManifestError
from rows import Corpus, layout, read_text, require, visible, years

DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
ENROLL_TAKES = 10
NAME = re.compile(r"([0-9])_([^_]+)_([0-9]+)")


def _people(table: Path) -> dict[str, dict[str, object]]:
    try:
        found: dict[str, dict[str, object]] = json.loads(read_text(table) or "{}")
    except json.JSONDecodeError as error:
        raise ManifestError(f"{table} is not valid JSON ({error}): download it again") from error
    return found


@layout("audiomnist")
def parse(root: Path) -> Corpus:
    """All takes; the first ten of each digit are for enrolment."""
    corpus = Corpus()
    table = next(iter(visible(root, "audioMNIST_meta.txt")), None)
    people = _people(table) if table else {}
    for audio in visible(root, "*_*_*.wav"):
        name = NAME.fullmatch(audio.stem)
        if name is None:
            corpus.skipped["another name"] += 1
            continue
        digit, speaker, take = name.groups()
        known = people.get(speaker, {})
        corpus.add(
            audio,
            DIGITS[int(digit)],
            speaker,
            age=years(known.get("age")),
            gender=str(known.get("gender", ""))[:1],
            accent=str(known.get("accent", "")).lower(),
            part="enroll" if int(take) < ENROLL_TAKES else "test",
        )
    return require(corpus, root, "files data/01/0_01_0.wav")
