"""The matched-pairs sentence-segment word error test (MAPSSWE), as in NIST's sclite.

Gillick and Cox, ICASSP 1989; Pallett, Fisher and Fiscus, ICASSP 1990. Words of one utterance are not
independent, and whole utterances are few. So utterances are cut wherever both systems are right for at least
two words in a row: what happens in one segment hardly touches the next.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.special import stdtr

from asradapt.errors import UsageError
from asradapt.scoring.alignment import Step

BUFFER = 2
"""So many words in a row that both systems have right separate two segments (sclite's default)."""

Errors = tuple[int, int]  # of the first and of the second system


@dataclass(frozen=True)
class SegmentTest:
    """Result of the test.

    Attributes:
        segments: Number of segments in which at least one system makes an error.
        mean: Mean over the segments of errors of the first system minus errors of the second.
        deviation: Their standard deviation (divided by segments - 1).
        statistic: Mean over its standard error, the z of NIST; None where there are fewer than two segments, or
            all differ by the same.
        p: Two-sided p value, by Student's t with segments - 1 degrees of freedom, by the exact sign flip where
            all segments differ by the same; None with fewer than two segments.
    """

    segments: int
    mean: float
    deviation: float | None
    statistic: float | None
    p: float | None

    def as_dict(self) -> dict[str, float | None]:
        """The result for `--json` outputs."""
        return {"segments": self.segments, "mean": self.mean, "z": self.statistic, "p": self.p}


def mapsswe(pairs: Iterable[tuple[Sequence[Step], Sequence[Step]]]) -> SegmentTest:
    """Tests whether two systems make different numbers of word errors.

    Args:
        pairs: For every utterance the alignments of the first and of the second system with the same reference.

    Returns:
        The test; with few segments its p is larger than sclite's, which takes the normal distribution.

    Raises:
        UsageError: Two alignments of a pair have different references.
    """
    found = [errors for first, second in pairs for errors in segment_errors(first, second)]
    differences = [first - second for first, second in found]
    if len(differences) < 2:
        return SegmentTest(len(differences), fmean(differences) if differences else 0.0, None, None, None)
    mean, deviation = fmean(differences), stdev(differences)
    if deviation == 0:
        # Flipping signs by chance gives so great a mean only where all or none are flipped.
        p = 1.0 if mean == 0 else math.ldexp(1.0, 1 - len(differences))
        return SegmentTest(len(differences), mean, 0.0, 0.0 if mean == 0 else None, p)
    statistic = mean / (deviation / math.sqrt(len(differences)))
    # The deviation is estimated too: with the normal distribution few segments seem surer than they are.
    p = float(2 * stdtr(len(differences) - 1, -abs(statistic)))
    return SegmentTest(len(differences), mean, deviation, statistic, p)


def segment_errors(first: Sequence[Step], second: Sequence[Step]) -> list[Errors]:
    """Errors of both systems in every segment of an utterance in which there are any."""
    segments: list[Errors] = []
    one = two = good = 0
    open_ = False
    for a, b in _places(first, second):
        if a == b == 0:
            good += 1
            if good >= BUFFER and open_:
                segments.append((one, two))
                one = two = 0
                open_ = False
        else:
            one, two, good, open_ = one + a, two + b, 0, True
    return [*segments, (one, two)] if open_ else segments


def _places(first: Sequence[Step], second: Sequence[Step]) -> Iterator[Errors]:
    """Errors at every word of the reference, and between two of them where something was inserted."""
    (said, wrong, extra), (other, wrong2, extra2) = _split(first), _split(second)
    if said != other:
        raise UsageError(f"two alignments of different references: {' '.join(said)!r} and {' '.join(other)!r}")
    for place in range(len(said) + 1):
        if extra[place] or extra2[place]:
            yield extra[place], extra2[place]
        if place < len(said):
            yield wrong[place], wrong2[place]


def _split(steps: Sequence[Step]) -> tuple[list[str], list[int], list[int]]:
    """The words of the reference, whether each was missed, and the insertions before each and at the end."""
    said: list[str] = []
    wrong: list[int] = []
    extra = [0]
    for step in steps:
        if step.kind == "insertion":
            extra[-1] += 1
        else:
            said.append(step.said)
            wrong.append(int(step.kind != "hit"))
            extra.append(0)
    return said, wrong, extra
