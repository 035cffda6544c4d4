"""Transcripts as text, JSON, subtitles and tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from asradapt.subtitles import Cue, cues

if TYPE_CHECKING:
    from asradapt.transcript import Transcript

CHANNEL = "1"  # of CTM; files are mixed down


def txt(transcript: Transcript) -> str:
    """The text on one line."""
    return transcript.text + "\n"


def one_json(transcript: Transcript) -> str:
    """One indented JSON object."""
    return json.dumps(transcript.as_dict(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def jsonl(transcript: Transcript) -> str:
    """One JSON object on one line."""
    return json.dumps(transcript.as_dict(), ensure_ascii=False, allow_nan=False) + "\n"


def clock(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds and milliseconds, `mark` before the last."""
    thousandths = round(seconds * 1000)
    minutes, rest = divmod(thousandths, 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{rest // 1000:02}{mark}{rest % 1000:03}"


def _cues(transcript: Transcript) -> list[Cue]:
    return cues(transcript.words, transcript.seconds)


def srt(transcript: Transcript) -> str:
    """SubRip subtitles."""
    blocks = []
    for number, cue in enumerate(_cues(transcript), start=1):
        times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
        blocks.append("\n".join([str(number), times, *cue.lines]) + "\n")
    return "\n".join(blocks)


def vtt(transcript: Transcript) -> str:
    """WebVTT subtitles."""
    blocks = ["WEBVTT\n"]
    for cue in _cues(transcript):
        blocks.append("\n".join([f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}", *cue.lines]) + "\n")
    return "\n".join(blocks)


def tsv(transcript: Transcript) -> str:
    """One subtitle a line: begin and end in milliseconds, and the text."""
    rows = (f"{round(c.start * 1000)}\t{round(c.end * 1000)}\t{' '.join(c.lines)}" for c in _cues(transcript))
    return "\n".join(["start\tend\ttext", *rows]) + "\n"


def ctm(transcript: Transcript, name: str | None = None) -> str:
    """One word a line, as NIST's scoring tools read it: file, channel, begin, length, word, confidence.

    Args:
        transcript: The transcript.
        name: What the recording is called, the name of its file if None; blanks in it become `_`.
    """
    name = "_".join((name or transcript.utterance.audio.stem).split()) or "audio"
    rows = (
        f"{name} {CHANNEL} {w.start:.3f} {w.end - w.start:.3f} {w.text} {w.confidence:.4f}\n"
        for w in transcript.words
    )
    return "".join(rows)


FORMATS: dict[str, Callable[[Transcript], str]] = {
    "txt": txt,
    "json": one_json,
    "jsonl": jsonl,
    "srt": srt,
    "vtt": vtt,
    "tsv": tsv,
    "ctm": ctm,
}
ONE_A_FILE: Sequence[str] = ("srt", "vtt", "tsv")  # several transcripts cannot follow each other
