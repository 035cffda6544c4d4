"""Files read in windows of bounded length, ahead of the work on them, and cut into pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from asradapt.adaptation.mixed import Member
from asradapt.audio import Recording
from asradapt.enrollees import NOBODY, Asked, Enrollees
from asradapt.errors import InputError
from asradapt.held import recording_of
from asradapt.pcm import digest
from asradapt.phrases import Phrases
from asradapt.pipeline import Ahead, reading_threads
from asradapt.transcript import Loaded, Window
from asradapt.types import Failure, Utterance
from asradapt.voice import Detector, Piece, VoiceOptions, left_out, pieces

WINDOW_FILES = 4096  # of a window at most: very short files, and those that fail, hardly fill one with audio


@dataclass(frozen=True)
class Sizes:
    """How files are read.

    Attributes:
        sample_rate: Hz.
        longest: Seconds of a piece at most.
        window: Seconds of audio read at a time.
    """

    sample_rate: int
    longest: float
    window: float


class WindowReader:
    """Reads the files of any number of people, each with whose adaptation and phrases apply.

    Args:
        sizes: How.
        enrollees: Who is enrolled.
        phrases: A speaker's vocabulary.
        detector: What finds speech; None for the usual one.
    """

    def __init__(
        self,
        sizes: Sizes,
        enrollees: Enrollees,
        phrases: Callable[[str | None], Phrases],
        detector: Detector | None = None,
    ) -> None:
        self._sizes, self._enrollees, self._phrases, self._detector = sizes, enrollees, phrases, detector

    def windows(self, utterances: Iterable[Utterance], *, source_only: bool = False) -> Iterator[Window]:
        """Read files in windows of bounded length; what cannot be read is in the window's `failed`.

        Threads read the files of the next window while this one is worked on.
        """
        window, seconds = Window(), 0.0
        asked = Asked()
        reader = Ahead(
            self._read,
            utterances,
            weight=lambda recording: recording.seconds,
            most=self._sizes.window,
            threads=reading_threads(),
        )
        for utterance, recording in reader:
            window.inputs += 1
            try:
                member = (
                    NOBODY if source_only else self._enrollees.or_nobody(utterance.speaker, asked, window.warnings)
                )
                loaded, notes = self._load(utterance, member, recording(), with_phrases=not source_only)
            except InputError as error:
                window.failed.append(Failure(str(utterance.audio), str(error)))
            else:
                window.loaded.append(loaded)
                window.warnings += [f"{utterance.audio}: {note}" for note in notes]
                seconds += loaded.seconds
            if seconds >= self._sizes.window or window.inputs >= WINDOW_FILES:
                yield window
                window, seconds = Window(), 0.0
        if window.inputs:
            yield window

    def _read(self, utterance: Utterance) -> Recording:
        return recording_of(utterance, self._sizes.sample_rate, None)

    def _load(
        self, utterance: Utterance, member: Member, recording: Recording, *, with_phrases: bool
    ) -> tuple[Loaded, tuple[str, ...]]:
        found: list[Piece] = []
        notes = recording.warnings
        if not recording.silent:
            options = VoiceOptions(longest=self._sizes.longest)
            found = pieces(recording.samples, recording.sample_rate, options, self._detector)
            note = left_out(recording.samples, recording.sample_rate, found)
            notes = (*notes, f"{note}; transcribe and evaluate hear all of it with --no-vad") if note else notes
        starts = tuple(piece.start / recording.sample_rate for piece in found)
        phrases = self._phrases(utterance.speaker) if with_phrases else ()
        samples = [piece.samples for piece in found]
        known = digest(recording.samples)
        return Loaded(utterance, samples, recording.seconds, member, starts, phrases, known), notes
