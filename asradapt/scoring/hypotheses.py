"""What other recognisers heard, read from the files they write: JSON lines, NIST's ctm and trn.

sclite's `trn` and `ctm` are written too, so that its scores can be laid beside ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from asradapt.errors import ManifestError

ID_KEYS = ("id", "utterance_id", "utt_id", "audio_filepath", "audio", "path", "file")
"""Columns of JSON lines that may name the utterance, the first that is there counts."""

TEXT_KEYS = ("pred_text", "hypothesis", "transcript", "text")
"""Columns that may hold what was heard; `pred_text` first, because NeMo keeps the reference in `text`."""

SUFFIXES = (".jsonl", ".json", ".ctm", ".trn")

_TRN = re.compile(r"^(.*)\(([^()\s]+)\)\s*$")


def read_hypotheses(path: str | Path) -> dict[str, str]:
    """Read what a recogniser heard, by the name it gives each utterance.

    Args:
        path: `.jsonl` (or the JSON of `asradapt transcribe --json`), `.ctm` or `.trn`, UTF-8.

    Raises:
        ManifestError: The file cannot be read, or rows of it are wrong; the first ten are named.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read ({error}): give a file of hypotheses in UTF-8") from error
    problems: list[str] = []
    readers = {".ctm": _ctm, ".trn": _trn}
    found: dict[str, str] = {}
    for line, name, heard in readers.get(path.suffix.lower(), _json)(text, problems):
        if name in found:
            problems.append(f"line {line} names {name} again")
        found[name] = heard
    if problems:
        more = f" and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ManifestError(f"{path} is no list of hypotheses: {'; '.join(problems[:10])}{more}")
    if not found:
        raise ManifestError(f"{path} holds no hypothesis: write one utterance per line")
    return found


Rows = Iterator[tuple[int, str, str]]  # line, name of the utterance, what was heard


def _json(text: str, problems: list[str]) -> Rows:
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
            problems.append(f"line {line} needs one of {', '.join(ID_KEYS)} and one of {', '.join(TEXT_KEYS)}")
        else:
            yield line, name, heard


def _json_lines(text: str, problems: list[str]) -> Iterator[tuple[int, object]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            try:
                yield line, json.loads(content)
            except ValueError:
                problems.append(f"line {line} is not JSON")


def _trn(text: str, problems: list[str]) -> Rows:
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip() or content.startswith(";;"):
            continue
        if found := _TRN.match(content):
            yield line, found[2], " ".join(found[1].split())
        else:
            problems.append(f"line {line} does not end with the utterance's name in parentheses")


def _ctm(text: str, problems: list[str]) -> Rows:
    words: dict[str, list[tuple[float, str]]] = {}
    first: dict[str, int] = {}
    for line, content in enumerate(text.split("\n"), start=1):
        parts = content.split()
        if not parts or content.startswith(";;"):
            continue
        try:
            start, word = float(parts[2]), parts[4]
        except (IndexError, ValueError):
            problems.append(f"line {line} is not: file channel start duration word")
            continue
        first.setdefault(parts[0], line)
        words.setdefault(parts[0], []).append((start, word))
    for name, timed in words.items():
        yield first[name], name, " ".join(word for _, word in sorted(timed, key=lambda one: one[0]))


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
