"""What a transcription is told, what it reads, and what it gives.

Letters: T samples.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
import numpy.typing as npt

from asradapt.adaptation.mixed import Member
from asradapt.decoding import Word
from asradapt.errors import UsageError
from asradapt.phrases import STRONGEST
from asradapt.scoring import normalize
from asradapt.test_time import EachOptions
from asradapt.types import Failure, Utterance


@dataclass(frozen=True)
class TranscriberOptions:
    """Sizes of the work.

    Attributes:
        batch_seconds: Audio in one forward pass, padding included; bounds the memory; 0 finds what suits.
        batch_size: Most segments in one forward pass; 0 for any number.
        window_seconds: Audio that is read before it is batched; bounds the memory of many files; 0 finds it too.
        segment_seconds: Longer recordings are cut where nobody speaks into pieces of at most this length.
        detect_voice: Whether silences of longer recordings are left out.
        adapt_each: How every segment adapts the model to itself before it is decoded, from its speaker's
            adaptation if there is one; None does not.
        phrase_strength: How strongly every speaker's phrases are listened for; None for as is stored.
    """

    batch_seconds: float = 0.0
    batch_size: int = 0
    window_seconds: float = 0.0
    segment_seconds: float = 20.0
    detect_voice: bool = True
    adapt_each: EachOptions | None = None
    phrase_strength: float | None = None

    def __post_init__(self) -> None:
        sizes = (self.batch_seconds, self.batch_size, self.window_seconds)
        strength = self.phrase_strength or 0.0
        problems = []
        if not all(0 <= size < inf for size in sizes):
            problems.append(f"sizes of batches and windows are 0 or more, and finite, not {sizes}")
        if not 1 <= self.segment_seconds < inf:
            problems.append(f"segment_seconds must be 1 or more, and finite, got {self.segment_seconds}")
        if not 0 <= strength <= STRONGEST:
            problems.append(f"phrase_strength must lie from 0 to {STRONGEST:g}, got {strength}")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True)
class Segment:
    """A stretch of the audio that was recognised by itself.

    Attributes:
        start: Seconds from the beginning of the audio.
        end: Seconds; after `start`.
        text: What was heard in it.
    """

    start: float
    end: float
    text: str

    def as_dict(self) -> dict[str, object]:
        """The segment as JSON holds it: `text` is for people to correct, `recognised` stays as it is."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {**times, "text": self.text, "recognised": self.text, "check": check_of(self.text)}


def check_of(recognised: str) -> str:
    """By which the words of a text are known again where an editor has replaced some wherever they stand."""
    return hashlib.sha256(normalize(recognised).encode("utf-8", "surrogatepass")).hexdigest()[:12]


def segments_of(words: Sequence[Word], places: Sequence[tuple[float, float]]) -> tuple[Segment, ...]:
    """The words by the stretch in which they were heard.

    Args:
        words: Words in the order of time.
        places: Begin and end of every stretch in seconds, in the order of time.
    """
    starts = [start for start, _ in places]
    texts: list[list[str]] = [[] for _ in places]
    for word in words:
        texts[max(0, bisect_right(starts, word.start + 1e-6) - 1)].append(word.text)
    return tuple(Segment(*place, " ".join(text)) for place, text in zip(places, texts, strict=True))


@dataclass(frozen=True)
class Transcript:
    """The text of one file.

    Attributes:
        utterance: What was transcribed.
        text: What was heard; empty for silence.
        seconds: Length of the audio.
        adapted: Whether an adaptation of the speaker was applied.
        words: The words of the text with their times and confidence.
        confidence: The share of the words that is expected to be right; None where there are none.
        segments: The stretches of the audio that were recognised, silence left out.
        digest: sha256 of the samples that were read (`pcm.digest`).
    """

    utterance: Utterance
    text: str
    seconds: float
    adapted: bool
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    segments: tuple[Segment, ...] = ()
    digest: str = ""

    def as_dict(self) -> dict[str, object]:
        """The transcript as an entry of `transcribe --json`."""
        return {
            "audio": str(self.utterance.audio),
            "speaker": self.utterance.speaker,
            "text": self.text,
            "recognised": self.text,
            "check": check_of(self.text),
            "seconds": round(self.seconds, 3),
            "adapted": self.adapted,
            "confidence": None if self.confidence is None else round(self.confidence, 4),
            "segments": [segment.as_dict() for segment in self.segments],
            "words": [word.as_dict() for word in self.words],
            "sha256": self.digest,
        }


@dataclass(frozen=True, eq=False)
class Loaded:
    """One file that was read: its segments, who speaks, where they begin, the speaker's phrases, the digest."""

    utterance: Utterance
    pieces: list[npt.NDArray[np.float32]]
    seconds: float
    member: Member
    starts: tuple[float, ...] = ()
    phrases: tuple[str, ...] = ()
    digest: str = ""

    def places(self, sample_rate: int) -> list[tuple[float, float]]:
        """Begin and length of every segment in seconds."""
        starts = self.starts or (0.0,) * len(self.pieces)
        return [(start, len(piece) / sample_rate) for start, piece in zip(starts, self.pieces, strict=True)]

    def segments(self, words: Sequence[Word], sample_rate: int) -> tuple[Segment, ...]:
        """The words that were heard, by segment."""
        ends = [(start, min(self.seconds, start + length)) for start, length in self.places(sample_rate)]
        return segments_of(words, ends)


@dataclass
class Window:
    """A stretch of the work: files that were read, failures and warnings met on the way."""

    loaded: list[Loaded] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    inputs: int = 0
