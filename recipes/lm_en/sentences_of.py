"""Sentences to train on: text files less every sentence that speech is measured on."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path


def plain(text: str) -> str:
    """Lower-case words of letters and apostrophes between single spaces."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return " ".join(re.sub(r"[^a-z' ]", " ", text).split())


def measured(speech: Path) -> set[str]:
    """Every text of a corpus whose part is not `train`."""
    found = set()
    for manifest in sorted(speech.glob("*/manifest.jsonl")):
        for line in manifest.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row.get("part") != "train":
                found.add(plain(row["text"]))
    return found


def prompts(files: Iterable[Path]) -> set[str]:
    """The sentences of prompt lists: the third tab-separated cell of a line, or else all of it."""
    found = set()
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines():
            cells = line.split("\t")
            found.add(plain(cells[2] if len(cells) > 2 else line))
    return found


def sentences(folder: Path, without: set[str]) -> Iterator[list[str]]:
    """The words of every line of every .txt file, but those of `without`."""
    for file in sorted(folder.glob("*.txt")):
        with file.open(encoding="utf-8") as lines:
            for line in lines:
                text = plain(line)
                if text and text not in without:
                    yield text.split()


def dictionary(file: Path) -> set[str]:
    """The words of a pronouncing dictionary, without its variants and symbols."""
    with file.open(encoding="utf-8") as lines:
        words = {line.split()[0].split("(")[0].lower() for line in lines if line.strip()}
    return {word for word in words if re.fullmatch(r"[a-z][a-z']*", word)}
