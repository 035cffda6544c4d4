"""Does the audio say its text, for one person with few recordings.

A text is compared, on its own audio, with the person's other texts and with sentences that come with the program,
and its fit with the usual fit of this person: the sum of both in log probability per character. Whoever the model
mishears has a low usual fit, so no threshold on the fit itself is needed. The threshold on the sum comes from the
125 training speakers of speechocean762 (tools/calibrate_mismatches.py, docs/recordings.md).

Letters: F frames, V tokens, N recordings.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import median

from torch import Tensor

from asradapt.prompts import load_prompts
from asradapt.recordings.fits import fit_texts, writable
from asradapt.scoring import normalize

SUSPECT = -1.2
"""Score, in log probability per character, below which audio and text hardly belong together."""
POOL = 40
"""So many sentences that come with the program are tried, those of the most similar lengths."""
OWN = 100
"""So many other texts of the person are tried at most, those of the most similar lengths."""
LEAST_OTHERS = 12
"""With fewer other texts nothing is told."""
LEAST_CHARACTERS = 12
"""Shorter texts (digits, commands) are not judged: one misheard word would already be suspect."""
LEAST_RECORDINGS = 4
"""With fewer recordings the usual fit of the person is not known."""
MOST_SUSPECT = 1 / 3
"""Where more of the texts are suspect, it is the model that cannot tell."""
CLEAR = 1.0
"""Median margin, in log probability per character, from which the model can tell right texts of a person."""


@dataclass(frozen=True)
class Fit:
    """How well one recording fits its text.

    Attributes:
        margin: By how much the text fits better than the best other one, in log probability per character.
        usual: By how much it fits better than is usual for this person, in the same unit.
        other: The other text that fits best.
        judged: Whether text and person allow a judgement.
    """

    margin: float
    usual: float
    other: str
    judged: bool

    @property
    def score(self) -> float:
        """High where audio and text belong together."""
        return self.margin + self.usual

    @property
    def suspect(self) -> bool:
        """Whether audio and text hardly belong together."""
        return self.judged and self.score < SUSPECT


@dataclass(frozen=True)
class Judged:
    """The texts of one person on their recordings.

    Attributes:
        fits: One a recording (N).
        told: Whether the model can tell right texts of this person from wrong ones; nothing is suspect if not.
    """

    fits: tuple[Fit, ...]
    told: bool

    @property
    def suspects(self) -> tuple[int, ...]:
        """Numbers of the recordings that hardly say their texts."""
        return tuple(n for n, fit in enumerate(self.fits) if fit.suspect) if self.told else ()


@lru_cache(maxsize=1)
def pool_texts() -> tuple[str, ...]:
    """The normalised sentences that come with the program, short ones first."""
    return tuple(sorted({normalize(prompt.text) for prompt in load_prompts()}, key=lambda text: (len(text), text)))


def nearest(texts: Sequence[str], length: int, most: int) -> list[str]:
    """The texts of the most similar lengths; of equally near ones the first in the alphabet."""
    return sorted(texts, key=lambda text: (abs(len(text) - length), text))[:most]


def judge_texts(texts: Sequence[str], scores: Sequence[Tensor], index: Mapping[str, int]) -> Judged:
    """Compares each text of a person with other texts on its own recording.

    Args:
        texts: The normalised text of every recording (N); the model can write them.
        scores: Log probabilities (F, V) of the source model on every recording (N).
        index: Number of every token of the model.
    """
    pool = [text for text in pool_texts() if writable(text, index)]
    own, margins, others, counts = [], [], [], []
    for text, score in zip(texts, scores, strict=True):
        mine = nearest([other for other in set(texts) if other != text], len(text), OWN)
        tried = mine + nearest([other for other in pool if other not in {text, *mine}], len(text), POOL)
        fits = fit_texts(score, [text, *tried], index)
        own.append(float(fits[0]))
        best = int(fits[1:].argmax()) if tried else -1
        margins.append(float(fits[0] - fits[1 + best]) if tried else 0.0)
        others.append(tried[best] if tried else "")
        counts.append(len(tried))
    judged_fits = []
    for number, text in enumerate(texts):
        rest = own[:number] + own[number + 1 :]
        judged = (
            counts[number] >= LEAST_OTHERS and len(text) >= LEAST_CHARACTERS and len(texts) >= LEAST_RECORDINGS
        )
        usual = own[number] - median(rest) if rest else 0.0
        judged_fits.append(Fit(margins[number], usual, others[number], judged))
    return Judged(tuple(judged_fits), _told([fit for fit in judged_fits if fit.judged]))


def _told(fits: Sequence[Fit]) -> bool:
    """Whether most texts of a person fit clearly better than others do."""
    if not fits:
        return False
    suspects = sum(fit.suspect for fit in fits)
    return suspects <= MOST_SUSPECT * len(fits) and median(fit.margin for fit in fits) > CLEAR
