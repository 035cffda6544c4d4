"""What the parsers of all corpora share: rows, what was skipped, and lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import soundfile

from asradapt.errors import ManifestError
from asradapt.scoring import normalize
from asradapt.types import Utterance


@dataclass
class Corpus:
    """What a parser found.

    Attributes:
        rows: The recordings with texts, speakers and what is known of these.
        skipped: How many files were left out, by reason.
    """

    rows: list[Utterance] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

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
        return round(soundfile.info(audio).duration, 3)
    except soundfile.LibsndfileError:
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


def read_text(path: Path) -> str | None:
    """The text of a file; None where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
