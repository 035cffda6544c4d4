"""Every two systems compared, with the tests corrected for how many there are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from asradapt.comparison.scored import Comparison
from asradapt.scoring import Interval, McNemar, SegmentTest, holm, mapsswe, mcnemar, normalize


@dataclass(frozen=True)
class PairTest:
    """Two systems on the same utterances.

    Attributes:
        first: Name of the one system.
        second: Name of the other.
        over_speakers: WER of the second minus that of the first; the interval asks about other people.
        over_utterances: The same; the interval asks about other utterances of these people.
        segments: MAPSSWE.
        words: McNemar's test; only where every utterance is one word.
        corrected: The p value of MAPSSWE (of McNemar's test for isolated words) after Holm's correction
            for all pairs.
    """

    first: str
    second: str
    over_speakers: Interval
    over_utterances: Interval
    segments: SegmentTest
    words: McNemar | None
    corrected: float | None

    @property
    def p(self) -> float | None:
        """The p value of the test that fits: McNemar's for isolated words, else MAPSSWE."""
        return self.words.p if self.words else self.segments.p

    def as_dict(self) -> dict[str, object]:
        """The comparison for `--json` outputs."""
        return {
            "first": self.first,
            "second": self.second,
            "over_speakers": self.over_speakers.as_dict(),
            "over_utterances": self.over_utterances.as_dict(),
            "mapsswe": self.segments.as_dict(),
            "mcnemar": self.words.as_dict() if self.words else None,
            "holm": self.corrected,
        }


def compare_pairs(comparison: Comparison, *, seed: int = 0) -> list[PairTest]:
    """Compares every two systems: intervals, MAPSSWE, McNemar for isolated words, Holm over all pairs."""
    indices = list(combinations(range(len(comparison.systems)), 2))
    segments = [mapsswe((one.alignment(a), one.alignment(b)) for one in comparison.utterances) for a, b in indices]
    words = [_words(comparison, a, b) for a, b in indices]
    tests = zip(words, segments, strict=True)
    corrected = holm([one.p if one else other.p for one, other in tests])
    return [
        PairTest(
            comparison.systems[a],
            comparison.systems[b],
            comparison.difference(a, b, over_speakers=True, seed=seed),
            comparison.difference(a, b, over_speakers=False, seed=seed),
            segments[place],
            words[place],
            corrected[place],
        )
        for place, (a, b) in enumerate(indices)
    ]


def _words(comparison: Comparison, first: int, second: int) -> McNemar | None:
    """McNemar's test where every utterance is an isolated word."""
    said = [normalize(one.utterance.text or "").split() for one in comparison.utterances]
    if not said or any(len(words) != 1 for words in said):
        return None
    right = [[count.errors == 0 for count in comparison.counts(system)] for system in (first, second)]
    return mcnemar(*right)
