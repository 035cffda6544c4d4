"""Words with times and confidence, from tokens with frames and probabilities."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from asradapt.decoding.greedy import BLANK, Emissions
from asradapt.errors import InputError

LONGEST = 1.0  # seconds that a word may reach beyond its frames
FAINTEST = 1e-6  # probability below which a token counts no less


@dataclass(frozen=True)
class Word:
    """One word that was heard.

    Attributes:
        text: The word.
        start: Seconds from the beginning of the audio.
        end: Seconds; after `start`.
        confidence: How likely it is right, from 0 to 1.
    """

    text: str
    start: float
    end: float
    confidence: float

    def as_dict(self) -> dict[str, object]:
        """The word as JSON holds it."""
        times = {"start": round(self.start, 3), "end": round(self.end, 3)}
        return {"word": self.text, **times, "confidence": round(self.confidence, 4)}


@dataclass(frozen=True)
class Heard:
    """What was heard in one stretch of audio.

    Attributes:
        words: The words in the order of time.
        alternatives: Other texts, likeliest first, the best one first of all; empty for greedy decoding.
    """

    words: tuple[Word, ...]
    alternatives: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The words between single spaces."""
        return " ".join(word.text for word in self.words)

    @property
    def confidence(self) -> float | None:
        """How many of the words are expected to be right, as a share; None where there are none to be right."""
        return sum(word.confidence for word in self.words) / len(self.words) if self.words else None

    def placed(self, places: Sequence[tuple[float, float]], limit: float) -> Heard:
        """The same in a whole recording, from which stretches were heard one right behind the other.

        Args:
            places: Where each stretch begins in the recording, and how long it is, in seconds.
            limit: No time lies behind these seconds.
        """
        behind = list(accumulate(length for _, length in places))  # where each ends in what was heard

        def there(time: float, number: int) -> float:
            start, length = places[number]
            return min(limit, start + length + time - behind[number])

        moved, last = [], len(places) - 1
        for word in self.words:  # one that begins at a seam is of the later stretch, one that ends there is not
            first = min(last, bisect_right(behind, word.start))
            final = max(first, min(last, bisect_left(behind, word.end)))
            moved.append(replace(word, start=there(word.start, first), end=there(word.end, final)))
        return replace(self, words=tuple(moved))


def joined(parts: Sequence[Heard]) -> Heard:
    """Stretches of audio one after another; alternatives are kept where there is one stretch only."""
    if len(parts) == 1:
        return parts[0]
    return Heard(tuple(word for part in parts for word in part.words))


@dataclass(frozen=True)
class Timing:
    """How far a word reaches beyond the frames of its letters, which CTC puts inside the sounds.

    Attributes:
        lead: Seconds by which it begins before the first frame of its first letter.
        trail: Seconds by which it ends behind the last frame of its last letter; may be negative.
    """

    lead: float = 0.0
    trail: float = 0.0

    @classmethod
    def of(cls, card: Mapping[str, Any]) -> Timing:
        """What the card of a model says under `word_timing`; none where it says nothing.

        Raises:
            InputError: If it says something other than seconds.
        """
        said = card.get("word_timing", {})
        try:
            found = cls(**{key: float(value) for key, value in dict(said).items()})
        except (TypeError, ValueError):
            found = cls(math.nan)
        if not (0 <= found.lead < LONGEST and abs(found.trail) < LONGEST):
            raise InputError(f"the model's card has a word_timing without a usable lead and trail: {said!r}")
        return found

    def __call__(self, words: Sequence[Word], seconds: float) -> tuple[Word, ...]:
        """The words of a stretch of so many seconds with their times moved, still one after another and inside."""
        found: list[Word] = []
        behind = 0.0
        for number, word in enumerate(words):
            start = max(behind, word.start - self.lead)
            latest = words[number + 1].start if number + 1 < len(words) else seconds
            middle = (word.start + word.end) / 2  # a word of one frame stays where it is
            behind = max(middle, min(word.end + self.trail, latest))
            found.append(replace(word, start=start, end=behind))
        return tuple(found)


@dataclass(frozen=True)
class Calibration:
    """How a word's confidence follows from the probabilities of its tokens (Platt 1999).

    Attributes:
        slope: Factor of the log odds of the geometric mean; 1 / temperature.
        offset: Added to them.
    """

    slope: float = 1.0
    offset: float = 0.0

    def __call__(self, probabilities: Sequence[float]) -> float:
        """The confidence of a word."""
        raw = self.slope * log_odds(probabilities) + self.offset
        return 1 / (1 + math.exp(-raw))


def log_odds(probabilities: Sequence[float]) -> float:
    """Log odds of the geometric mean of a word's token probabilities."""
    mean = sum(math.log(max(one, FAINTEST)) for one in probabilities) / len(probabilities)
    mean = min(mean, math.log1p(-FAINTEST))
    return mean - math.log(-math.expm1(mean))


def words_of(
    emissions: Emissions, row: int, tokens: Sequence[str], frame_seconds: float, calibration: Calibration
) -> tuple[Word, ...]:
    """The words of one row: its tokens, split at the word boundary.

    Args:
        emissions: The tokens of a batch.
        row: Which row.
        tokens: The V tokens.
        frame_seconds: Seconds from frame to frame.
        calibration: From probabilities to confidence.
    """
    found: list[Word] = []
    place: list[int] = []  # of the letters of the word that is being read
    numbers = emissions.tokens[row]
    for index in [*range(len(numbers)), -1]:
        letter = tokens[numbers[index]] if index >= 0 and numbers[index] != BLANK else " "
        if letter != " ":
            place.append(index)
        elif place:
            text = "".join(tokens[numbers[i]] for i in place)
            start = float(emissions.first[row, place[0]]) * frame_seconds
            end = float(emissions.last[row, place[-1]] + 1) * frame_seconds
            found.append(Word(text, start, end, calibration(emissions.probability[row, place].tolist())))
            place = []
    return tuple(found)
