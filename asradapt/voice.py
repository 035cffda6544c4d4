"""Where somebody speaks: long recordings are cut where nobody does, and long silences are left out.

silero-vad (the extra `asradapt[vad]`; its weights come with it) says where speech is. Without it loudness does,
where a recording has clearly louder and quieter parts.

Letters: T samples.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt

from asradapt.batching import segments

Waveform = npt.NDArray[np.float32]
Span = tuple[int, int]  # first sample, and the one behind the last
Detector = Callable[[Waveform, int, float], list[Span]]  # samples, rate, threshold: where speech is
RATE = 16_000  # silero-vad's own
STEP = 0.03  # seconds over which loudness is measured
HANG = 0.15  # seconds of quiet that do not end speech
CLEAR = 20.0  # decibels by which loud parts must exceed quiet ones
ALIKE = 10.0  # decibels below the speech of a recording from which something else is about as loud
MANY = 3.0, 0.05  # seconds, and share of a recording, of loud sound left out that are worth a word


@dataclass(frozen=True)
class VoiceOptions:
    """How recordings are cut.

    Attributes:
        longest: Seconds of a piece at most; shorter recordings stay whole.
        padding: Seconds of silence that are kept on both sides of speech.
        gap: Longer silences in seconds are left out, but for the padding.
        near: Neighbours that so many seconds at most were left out between are also heard as one (`runs_of`).
        threshold: Probability of speech above which silero-vad hears some.
    """

    longest: float = 20.0
    padding: float = 0.35
    gap: float = 0.7
    near: float = 1.0
    threshold: float = 0.2


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of a recording.

    Attributes:
        start: Its first sample in the recording.
        samples: (T,) a view of the recording.
    """

    start: int
    samples: Waveform


def detector_installed() -> bool:
    """Whether silero-vad is there."""
    return find_spec("silero_vad") is not None


@lru_cache(maxsize=1)
def _silero() -> object:
    """The detector, loaded once."""
    import silero_vad

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the way in which it loads itself
        return silero_vad.load_silero_vad()


def detect(samples: Waveform, rate: int, threshold: float) -> list[Span]:
    """Where speech is, by silero-vad; spans of samples in order, not overlapping."""
    import silero_vad
    import torch

    found = silero_vad.get_speech_timestamps(
        torch.from_numpy(np.ascontiguousarray(samples)),
        _silero(),
        threshold=threshold,
        sampling_rate=rate,
        min_silence_duration_ms=100,
        speech_pad_ms=0,
    )
    return [(int(span["start"]), int(span["end"])) for span in found]


def loud(samples: Waveform, rate: int, threshold: float) -> list[Span]:
    """Where a recording is loud, in steps of 30 ms; everywhere, if loud parts are not much louder than quiet ones.

    The border lies a third of the way, in decibels, from the quiet parts (10th percentile) to the loud (95th).
    """
    step = _step(rate)
    level = _levels(samples, step)
    if not len(level):
        return [(0, len(samples))]
    quiet, most = np.percentile(level, (10, 95))
    if most - quiet < CLEAR:
        return [(0, len(samples))]
    active = np.concatenate([[False], level > quiet + (most - quiet) / 3, [False]])
    edges = np.flatnonzero(active[1:] != active[:-1])
    starts, ends = edges[::2], edges[1::2]
    apart = np.r_[True, starts[1:] - ends[:-1] > HANG / STEP]  # short dips do not end speech
    firsts, lasts = starts[apart], ends[np.r_[apart[1:], True]]
    return [(int(a) * step, min(len(samples), int(b) * step)) for a, b in zip(firsts, lasts, strict=True)]


def _step(rate: int) -> int:
    """Samples over which loudness is measured."""
    return max(1, round(STEP * rate))


def _levels(samples: Waveform, step: int) -> npt.NDArray[np.float64]:
    """Loudness in decibels of every whole step."""
    whole = samples[: len(samples) // step * step].reshape(-1, step)
    power = np.einsum("st,st->s", whole, whole, dtype=np.float64) / step  # without a copy of the recording
    levels: npt.NDArray[np.float64] = 10 * np.log10(power + 1e-10)
    return levels


def passed_over(samples: Waveform, rate: int, found: Sequence[Piece]) -> float:
    """Seconds outside the pieces of a recording that are about as loud as what is in them.

    Detectors take whispering, and voices unlike those that they have learned from, for something else.
    """
    step = _step(rate)
    levels, heard = _levels(samples, step), np.zeros(len(samples) // step, dtype=bool)
    for piece in found:
        heard[piece.start // step : -(-(piece.start + len(piece.samples)) // step)] = True
    if not heard.any() or heard.all():
        return STEP * int((~heard).sum())
    speech = np.percentile(levels[heard], 65)  # the middle of what is left without the quietest 30%
    return STEP * int((~heard & (levels > speech - ALIKE)).sum())


def left_out(samples: Waveform, rate: int, found: Sequence[Piece]) -> str | None:
    """A sentence about sound that was not taken for speech, where there is much of it."""
    seconds, least = len(samples) / rate, max(MANY[0], MANY[1] * len(samples) / rate)
    if sum(len(piece.samples) for piece in found) > len(samples) - least * rate:
        return None
    if not found:
        return "no speech was found in it"
    if (loud_seconds := passed_over(samples, rate, found)) < least:
        return None
    return (
        f"{loud_seconds:.0f} of its {seconds:.0f} seconds were not heard, as they do not seem to be speech, "
        "although they are as loud"
    )


def everywhere(samples: Waveform, rate: int, threshold: float) -> list[Span]:
    """The detector that takes everything for speech: nothing is left out."""
    return [(0, len(samples))]


def pieces(
    samples: Waveform,
    rate: int,
    options: VoiceOptions | None = None,
    detector: Detector | None = None,
) -> list[Piece]:
    """Pieces of bounded length that together hold all speech, no word cut in two where it can be helped.

    A recording of at most `longest` seconds stays whole. Neighbouring stretches of speech share a piece while
    they fit; cuts lie in the middle of the silence between two. Speech without a pause for longer than a piece is
    cut at its quietest place.

    Args:
        samples: (T,) waveform.
        rate: Samples per second.
        options: How to cut.
        detector: Says where speech is; by default silero-vad if it is installed and knows the rate, else loudness.
    """
    options = options or VoiceOptions()
    if len(samples) <= options.longest * rate:
        return [Piece(0, samples)] if len(samples) else []
    if detector is None:
        detector = detect if rate == RATE and detector_installed() else loud
    spans = padded(detector(samples, rate, options.threshold), len(samples), rate, options)
    return [piece for span in grouped(spans, rate, options) for piece in _cut(samples, span, rate, options)]


def padded(spans: Sequence[Span], count: int, rate: int, options: VoiceOptions) -> list[Span]:
    """Stretches of speech with silence around them; those whose silence would be short touch in its middle."""
    wide, most = round(options.padding * rate), round(options.gap * rate)
    found: list[list[int]] = []
    for start, end in spans:
        if found and start - found[-1][2] <= max(most, 2 * wide):
            middle = (found[-1][2] + start) // 2
            found[-1][1] = middle
            found.append([middle, min(count, end + wide), end])
        else:
            found.append([max(0, start - wide), min(count, end + wide), end])
    return [(start, end) for start, end, _ in found]


def grouped(spans: Sequence[Span], rate: int, options: VoiceOptions) -> list[Span]:
    """Stretches that touch, joined while they are no longer than a piece."""
    found: list[Span] = []
    for start, end in spans:
        touches = found and found[-1][1] == start
        if touches and end - found[-1][0] <= options.longest * rate:
            found[-1] = (found[-1][0], end)
        else:
            found.append((start, end))
    return found


def _cut(samples: Waveform, span: Span, rate: int, options: VoiceOptions) -> list[Piece]:
    """One stretch in pieces of bounded length."""
    found, start = [], span[0]
    for part in segments(
        samples[span[0] : span[1]], rate, shortest=0.6 * options.longest, longest=options.longest
    ):
        found.append(Piece(start, part))
        start += len(part)
    return found
