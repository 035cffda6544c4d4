"""Words as subtitles that can be read: short lines, two at most, broken at pauses, shown long enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asradapt.decoding import Word

LINE = 42  # characters, the usual limit of broadcasters
LINES = 2
LONGEST = 7.0  # seconds that a subtitle stands at most
SHORTEST = 1.0  # seconds that it stands at least, where there is room
LEAST = 0.25  # seconds that it stands, room or not
PAUSE = 0.8  # seconds of silence that end a subtitle
BREATH = 0.3  # seconds of silence at which a full subtitle is rather broken


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    Attributes:
        start: Seconds.
        end: Seconds.
        lines: One or two lines.
    """

    start: float
    end: float
    lines: tuple[str, ...]


def cues(words: Sequence[Word], seconds: float) -> list[Cue]:
    """Subtitles of the words of an audio of some seconds."""
    groups = _groups(list(words))
    spans = _shown([(group[0].start, group[-1].end) for group in groups], seconds)
    return [Cue(*span, lines_of([w.text for w in group])) for span, group in zip(spans, groups, strict=True)]


def _shown(spoken: Sequence[tuple[float, float]], seconds: float) -> list[tuple[float, float]]:
    """From when to when subtitles stand, in order and without overlap, of the times of their words.

    Each stands for LEAST where the audio is long enough: words that were given one time push those behind them
    on, and at the end of the audio those before them back.
    """
    least = min(LEAST, seconds / max(1, len(spoken)))
    found: list[tuple[float, float]] = []
    free = 0.0
    for place, (start, end) in enumerate(spoken):
        start = max(start, free)
        limit = max(start, spoken[place + 1][0] if place + 1 < len(spoken) else seconds)
        end = min(max(end, start + SHORTEST), limit)
        free = max(end, start + least)
        found.append((start, free))
    limit = seconds
    for place in reversed(range(len(found))):
        start, end = found[place]
        if end <= limit and start <= limit - least:
            break
        end = min(end, limit)
        found[place] = (min(start, end - least), end)
        limit = found[place][0]
    return found


def _groups(words: list[Word]) -> list[list[Word]]:
    groups: list[list[Word]] = []
    while words:
        count = _fitting(words)
        if count < len(words) and words[count].start - words[count - 1].end < PAUSE:
            count = _at_a_breath(words, count)
        groups.append(words[:count])
        words = words[count:]
    return groups


def _fitting(words: Sequence[Word]) -> int:
    """How many words go into one subtitle, at least one."""
    for count in range(1, len(words)):
        paused = words[count].start - words[count - 1].end >= PAUSE
        lasts = words[count].end - words[0].start > LONGEST
        if paused or lasts or len(lines_of([w.text for w in words[: count + 1]])) > LINES:
            return count
    return len(words)


def _at_a_breath(words: Sequence[Word], most: int) -> int:
    """The longest pause in the second half of a full subtitle, if it is one."""
    later = range(max(1, most // 2), most + 1)
    best = max(later, key=lambda count: (words[count].start - words[count - 1].end, count))
    return best if words[best].start - words[best - 1].end >= BREATH else most


def lines_of(words: Sequence[str]) -> tuple[str, ...]:
    """Lines of at most LINE characters (a longer word stands alone); two are about equally long."""
    text = " ".join(words)
    if len(text) <= LINE:
        return (text,)
    splits = ((" ".join(words[:cut]), " ".join(words[cut:])) for cut in range(1, len(words)))
    fitting = [pair for pair in splits if max(map(len, pair)) <= LINE]
    if fitting:
        return min(fitting, key=lambda pair: (max(map(len, pair)), -len(pair[0])))
    first = 1
    while first < len(words) and len(" ".join(words[: first + 1])) <= LINE:
        first += 1
    return (" ".join(words[:first]), *(lines_of(words[first:]) if first < len(words) else ()))
