"""What the parsers of all corpora share: files and tables, rows, what was skipped, and lengths."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from asradapt.errors import ManifestError
from asradapt.scoring import normalize
from asradapt.types import Utterance

OLDEST = 120


@dataclass
class Corpus:
    """What a parser found.

    Attributes:
        rows: The recordings with texts, speakers and what is known of these.
        skipped: How many files were left out, by reason.
    """

    rows: list[Utterance] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def leave_out(self, reason: str, count: int = 1) -> None:
        """Count what is left out; nothing is said of none."""
        if count:
            self.skipped[reason] += count

    def add(self, audio: Path, text: str | None, speaker: str, **fields: str) -> None:
        """Take in one recording, or count why not."""
        if not text or not normalize(text):
            self.skipped["no text"] += 1
        elif not audio.is_file():
            self.skipped["no audio"] += 1
        else:
            known = {key: value for key, value in fields.items() if value}
            self.rows.append(Utterance(audio, " ".join(text.split()), speaker, _seconds(audio), known))


def _seconds(audio: Path) -> float | None:
    try:
        with audio.open("rb") as file:  # by its path libsndfile would look at `._a.mp3` for the header of `a.mp3`
            return round(soundfile.info(file).duration, 3)
    except (OSError, soundfile.LibsndfileError):
        return None  # `asradapt check` says what is wrong with it


LAYOUTS: dict[str, Callable[[Path], Corpus]] = {}
"""The parsers by name."""


def layout(name: str) -> Callable[[Callable[[Path], Corpus]], Callable[[Path], Corpus]]:
    """Registers the parser of a corpus."""

    def register(parse: Callable[[Path], Corpus]) -> Callable[[Path], Corpus]:
        LAYOUTS[name] = parse
        return parse

    return register


def require(corpus: Corpus, root: Path, looked_for: str) -> Corpus:
    """The corpus, if anything was found.

    Raises:
        ManifestError: Nothing was found; says what was looked for.
    """
    if not corpus.rows:
        skipped = "; ".join(f"{count} with {reason}" for reason, count in corpus.skipped.items())
        raise ManifestError(
            f"{root} holds no {looked_for}{f' ({skipped})' if skipped else ''}: give the unpacked corpus"
        )
    return corpus


def visible(root: Path, pattern: str) -> list[Path]:
    """What a folder and its subfolders hold of these names, sorted, without what is hidden.

    A Mac leaves `._a.wav` beside `a.wav` in archives and on other file systems: neither audio nor text.
    """
    found = root.rglob(pattern)
    return sorted(path for path in found if not any(p.startswith(".") for p in path.relative_to(root).parts))


def read_table(path: Path, needed: Sequence[str], **dialect: Any) -> list[dict[str, str]]:
    """The rows of a table with these columns; cells that a row lacks are empty.

    Raises:
        ManifestError: A column is missing, or the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            reader = csv.DictReader(file, restval="", **dialect)
            missing = [name for name in needed if name not in (reader.fieldnames or ())]
            if not missing:
                return list(reader)
    except (OSError, csv.Error) as error:
        raise ManifestError(f"{path} cannot be read ({error}): give the corpus's own file") from error
    raise ManifestError(f"{path} lacks the columns {', '.join(missing)}: give the corpus's own file")


def years(value: object) -> str:
    """An age in whole years; empty for what nobody can be, such as the 0 and 1234 of those who did not say."""
    try:
        age = int(float(str(value)))
    except (ValueError, OverflowError):
        return ""
    return str(age) if 0 < age <= OLDEST else ""


def read_text(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
