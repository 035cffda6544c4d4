"""What other recognisers heard, read from the files they write: JSON lines, NIST's ctm and trn.

sclite's `trn` and `ctm` are written too, so that its scores can be laid beside ours.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asradapt.errors import ManifestError
from asradapt.scoring.markup import balanced

Problem = tuple[str, str]  # the line or the recording, and what is wrong there

ID_KEYS = ("id", "utterance_id", "utt_id", "audio_filepath", "audio", "path", "file")
"""Columns of JSON lines that may name the utterance, the first that is there counts."""

TEXT_KEYS = ("pred_text", "hypothesis", "transcript", "text")
"""Columns that may hold what was heard; `pred_text` first, because NeMo keeps the reference in `text`."""

SUFFIXES = (".jsonl", ".json", ".ctm", ".trn")
WITH_ALTERNATIVES = (".ctm", ".trn")
"""NIST's formats, whose texts may hold alternatives; `markup.best_reading` chooses."""

_ALTERNATIVES = {"<ALT_BEGIN>": "{", "<ALT>": "/", "<ALT_END>": "}"}  # of ctm, and what trn has for them

_TRN = re.compile(r"^(.*)\(([^()\s]+)\)\s*$")


def read_hypotheses(path: str | Path) -> dict[str, str]:
    """Read what a recogniser heard, by the name it gives each utterance, with marks and alternatives as written.

    Args:
        path: `.jsonl` (or the JSON of `asradapt transcribe --json`), `.ctm` or `.trn`, UTF-8.

    Raises:
        ManifestError: The file cannot be read, or rows of it are wrong; the first ten are named.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ManifestError(f"{path} does not exist: check the path") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read ({error}): give a file of hypotheses in UTF-8") from error
    problems: list[Problem] = []
    readers = {".ctm": _ctm, ".trn": _trn}
    found: dict[str, str] = {}
    for line, name, heard in readers.get(path.suffix.lower(), _json)(text, problems):
        if name in found:
            problems.append((f"line {line}", f"names {name} again"))
        found[name] = heard
    if problems:
        raise ManifestError(f"{path} is no list of hypotheses: {_together(problems)}")
    if not found:
        raise ManifestError(f"{path} holds no hypothesis: write one utterance per line")
    return found


def _together(problems: Sequence[Problem]) -> str:
    """Ten problems in one line; what is wrong with several lines or recordings is said once."""
    by_reason: dict[str, list[str]] = {}
    for place, reason in problems[:10]:
        by_reason.setdefault(reason, []).append(place)
    said = [
        f"each of {', '.join(places)} {reason}" if len(places) > 1 else f"{places[0]} {reason}"
        for reason, places in by_reason.items()
    ]
    more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
    return "; ".join(said) + more


Rows = Iterator[tuple[int, str, str]]  # line, name of the utterance, what was heard


def _json(text: str, problems: list[Problem]) -> Rows:
    rows: Iterable[tuple[int, object]]
    try:
        whole = json.loads(text)
        rows = enumerate(whole.get("results", [whole]) if isinstance(whole, dict) else whole, start=1)
    except (ValueError, TypeError):
        rows = _json_lines(text, problems)
    for line, row in rows:
        content = row if isinstance(row, dict) else {}
        name = next((str(content[key]) for key in ID_KEYS if content.get(key) not in (None, "")), "")
        heard = next((content[key] for key in TEXT_KEYS if isinstance(content.get(key), str)), None)
        if not name or heard is None:
            problems.append(
                (f"line {line}", f"needs one of {', '.join(ID_KEYS)} and one of {', '.join(TEXT_KEYS)}")
            )
        else:
            yield line, name, heard


def _json_lines(text: str, problems: list[Problem]) -> Iterator[tuple[int, object]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except ValueError:
                problems.append((f"line {line}", "is not JSON"))


def _trn(text: str, problems: list[Problem]) -> Rows:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip() or content.startswith(";;"):
            continue
        if not (found := _TRN.match(content)):
            problems.append((f"line {line}", "does not end with the utterance's name in parentheses"))
        elif not balanced(found[1]):
            problems.append((f"line {line}", "has a brace without its other one: alternatives are { a / b }"))
        else:
            yield line, found[2], " ".join(found[1].split())


@dataclass
class _Recording:
    """The words of one recording in a ctm; alternatives are one item, which starts with their first word."""

    line: int
    channels: list[str] = field(default_factory=list)
    items: list[tuple[float, list[str]]] = field(default_factory=list)
    depth: int = 0

    def add(self, start: float, word: str) -> None:
        """Take a word; of the lines of alternatives, which have no times, `start` is infinite."""
        word = _ALTERNATIVES.get(word, word)
        if self.depth:
            begin, words = self.items[-1]
            self.items[-1] = min(begin, start), [*words, word]
        else:
            self.items.append((start, [word]))
        self.depth += (word == "{") - (word == "}")

    def text(self) -> str:
        """All words by time."""
        ordered = sorted(self.items, key=lambda item: item[0])
        return " ".join(word for _, words in ordered for word in words)


def _seconds(start: str, duration: str) -> float:
    """A start in seconds; ValueError where it or the duration is no time."""
    if not (0 <= float(start) < math.inf and 0 <= float(duration) < math.inf):
        raise ValueError
    return float(start)


def _ctm(text: str, problems: list[Problem]) -> Rows:
    found: dict[str, _Recording] = {}
    for line, content in enumerate(text.split("\n"), start=1):
        parts = content.split()
        if not parts or content.startswith(";;"):
            continue
        try:
            word = parts[4] if parts[2] != "*" else parts[-1]
            start = _seconds(parts[2], parts[3]) if parts[2] != "*" else math.inf
        except (IndexError, ValueError):
            problems.append((f"line {line}", "is not: file channel start duration word"))
            continue
        one = found.setdefault(parts[0], _Recording(line))
        one.add(start, word)
        if parts[1] not in one.channels:
            one.channels.append(parts[1])
    for name, one in found.items():
        if len(one.channels) > 1:
            channels = f"has words of the channels {' and '.join(one.channels)}"
            told = "an utterance is a whole recording, so give every channel a file name of its own"
            problems.append((name, f"{channels}: {told}"))
        elif not balanced(whole := one.text()):
            problems.append((name, "has <ALT_BEGIN> without <ALT_END>, or the other way round"))
        else:
            yield one.line, name, whole


def trn_lines(texts: Mapping[str, str], speakers: Mapping[str, str]) -> Iterator[str]:
    """Lines of a trn file: the text and `(speaker-utterance)`, as sclite's `-i rm` splits it."""
    for name, text in texts.items():
        yield f"{text} ({trn_name(name, speakers.get(name))})".lstrip()


def trn_name(name: str, speaker: str | None) -> str:
    """How trn calls an utterance: speaker, a hyphen, its name, without what would end the name."""
    clean = [re.sub(r"[\s()]+", "_", part) for part in (speaker or "nobody", name)]
    return f"{clean[0].replace('-', '_')}-{clean[1]}"


def ctm_lines(texts: Mapping[str, str], seconds: Mapping[str, float]) -> Iterator[str]:
    """Lines of a ctm file: utterance, channel, start, duration, word; times are spread evenly over the audio."""
    yield ";; the times are spread evenly over the audio: texts were compared, not times"
    for name, text in texts.items():
        words, clean = text.split(), re.sub(r"\s+", "_", name)
        each = seconds.get(name, float(len(words))) / max(1, len(words))
        for place, word in enumerate(words):
            yield f"{clean} 1 {place * each:.3f} {each:.3f} {word}"
