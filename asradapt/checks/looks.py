"""What is looked for: each function names one or more kinds of problems in the rows of a manifest."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from asradapt.audio import load_audio
from asradapt.checks.measured import RATE, Finding, Measured
from asradapt.checks.parts import by, leaks, part, role, unknown_parts
from asradapt.enrolment.examples import LONGEST_SECONDS, SHORTEST_SECONDS
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.errors import InvalidSpeakerName
from asradapt.recordings.duplicates import Samples, same_sounds
from asradapt.scoring import normalize
from asradapt.store import validate_speaker

DURATION_SLACK = 0.1
"""Seconds by which a stated duration may be wrong."""
CHARACTERS_A_SECOND = (2.0, 30.0)
"""Outside, text and audio hardly belong together: slow reading has 8, fast speech 20."""
QUIET_RMS = 0.003
"""Root mean square below which a recording is quiet (-50 dBFS)."""


def _name(path: Path) -> str:
    return "/".join(path.parts[-2:])


def _label(row: Measured, text: str) -> str:
    return f"{_name(row.utterance.audio)}: {text}"


def _readable(rows: Sequence[Measured]) -> Iterator[Finding]:
    items = tuple(row.problem for row in rows if row.problem)
    yield Finding("unreadable", "error", "these recordings cannot be used", items)


def _names(rows: Sequence[Measured]) -> Iterator[Finding]:
    reasons = []
    for speaker in sorted({row.utterance.speaker for row in rows if row.utterance.speaker}):
        try:
            validate_speaker(speaker)
        except InvalidSpeakerName as error:
            reasons.append(str(error))
    yield Finding("name", "warning", "nobody can be enrolled under these names", tuple(reasons))


def _levels(rows: Sequence[Measured]) -> Iterator[Finding]:
    noted = tuple(_label(row, note) for row in rows for note in row.warnings)
    yield Finding("level", "warning", "look at these recordings, or record them again", noted)
    quiet = tuple(
        _label(row, f"{20 * np.log10(max(row.rms, 1e-9)):.0f} dBFS")
        for row in rows
        if row.seconds is not None and row.rms < QUIET_RMS and not row.warnings
    )
    yield Finding("quiet", "warning", "very quiet: raise the input level", quiet)


def _durations(rows: Sequence[Measured]) -> Iterator[Finding]:
    good = [row for row in rows if row.seconds is not None]
    yield Finding(
        "duration",
        "warning",
        "the stated duration is not that of the audio: write it anew, or check that the file is the right one",
        tuple(
            _label(row, f"{row.utterance.duration:.2f} s stated, {row.seconds:.2f} s long")
            for row in good
            if row.utterance.duration is not None
            and abs(row.utterance.duration - (row.seconds or 0)) > DURATION_SLACK
        ),
    )
    yield Finding(
        "short",
        "warning",
        f"shorter than {SHORTEST_SECONDS:g} s: enrolment does not take them",
        tuple(_label(row, f"{row.seconds:.2f} s") for row in good if (row.seconds or 0) < SHORTEST_SECONDS),
    )
    yield Finding(
        "long",
        "warning",
        f"longer than {LONGEST_SECONDS:g} s: enrolment does not take them, cut them",
        tuple(_label(row, f"{row.seconds:.1f} s") for row in good if (row.seconds or 0) > LONGEST_SECONDS),
    )
    rates = {row.rate for row in good}
    if len(rates) > 1:
        usual = max(rates, key=lambda rate: sum(row.rate == rate for row in good))
        yield Finding(
            "rates",
            "warning",
            f"other sample rates than the usual {usual} Hz: are they other microphones or channels?",
            tuple(_label(row, f"{row.rate} Hz") for row in good if row.rate != usual),
        )


def _texts(rows: Sequence[Measured]) -> Iterator[Finding]:
    yield Finding(
        "no-text",
        "error",
        "no word is left of the text: write what was said",
        tuple(
            _label(row, repr(row.utterance.text or "")) for row in rows if not normalize(row.utterance.text or "")
        ),
    )
    odd = [(row, _odd(row.utterance.text or "")) for row in rows]
    yield Finding(
        "characters",
        "warning",
        "digits, symbols or markup in the text: write numbers and signs as words, as they were said",
        tuple(_label(row, " ".join(found)) for row, found in odd if found),
    )
    yield Finding(
        "speed",
        "warning",
        f"fewer than {CHARACTERS_A_SECOND[0]:g} or more than {CHARACTERS_A_SECOND[1]:g} characters a second: text "
        "or audio is cut off, or they do not belong together",
        tuple(
            _label(row, f"{speed:.1f} characters a second")
            for row in rows
            if row.seconds
            and (text := normalize(row.utterance.text or ""))
            and len(text.split()) >= SENTENCE_WORDS
            and not CHARACTERS_A_SECOND[0] <= (speed := len(text) / row.seconds) <= CHARACTERS_A_SECOND[1]
        ),
    )


def _odd(text: str) -> list[str]:
    """Characters that are not read out as they stand."""
    return sorted({c for c in text if unicodedata.category(c)[0] in "NS" or c in "<>[]{}()*_/\\#@&%+="})


def _duplicates(rows: Sequence[Measured]) -> Iterator[Finding]:
    groups = _same_recordings(rows)
    crossing = [group for group in groups if len({role(part(row)) or part(row) for row in group}) > 1]
    yield Finding(
        "duplicate-across-parts",
        "error",
        "the same sound in several parts: a part that is measured must hold nothing of one that is learned from",
        tuple(
            " = ".join(f"{_name(row.utterance.audio)} ({part(row) or 'no part'})" for row in group)
            for group in crossing
        ),
    )
    yield Finding(
        "duplicate-audio",
        "warning",
        "the same sound in several rows: keep one, and check whose text and speaker is right",
        tuple(
            " = ".join(_name(row.utterance.audio) for row in group) for group in groups if group not in crossing
        ),
    )


def _same_recordings(rows: Sequence[Measured]) -> list[list[Measured]]:
    """Rows that name one file, whatever it holds, or files that hold one sound."""
    files = list(by(rows, lambda row: str(row.utterance.audio)).values())
    heard = [own for own in files if own[0].seconds is not None and own[0].rms > 0]

    @lru_cache(maxsize=16)
    def load(place: int) -> Samples:
        return load_audio(heard[place][0].utterance.audio, RATE).samples

    measured = [own[0] for own in heard]
    found = same_sounds([row.seconds or 0.0 for row in measured], [row.spectrum for row in measured], load)
    groups = [[row for place in group for row in heard[place]] for group in found]
    grouped = {id(row) for group in groups for row in group}
    return groups + [own for own in files if len(own) > 1 and id(own[0]) not in grouped]


LOOKS: tuple[Callable[[Sequence[Measured]], Iterator[Finding]], ...] = (
    _readable,
    _names,
    _levels,
    _durations,
    _texts,
    _duplicates,
    unknown_parts,
    leaks,
)
