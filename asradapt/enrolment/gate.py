"""The gate: an adaptation is accepted only if utterances it was not trained on come out better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.scoring import ErrorCounts, Interval, paired_bootstrap, sign_flip, total
from asradapt.wording import counted

OVERLOOKED = 1
"""So many wrong words more, in all held-out utterances together, are overlooked where the letters improve."""


@dataclass(frozen=True)
class Verdict:
    """The gate's decision.

    Attributes:
        accepted: Whether the adaptation may be used.
        before: Counts of the source, one an utterance.
        after: Counts of the adaptations of the folds, in the same order.
        words: Paired bootstrap of the word error rate.
        chance: Probability that chance alone lowers the character errors this much (sign-flip test).
        explanation: The decision in one plain sentence.
    """

    accepted: bool
    before: tuple[ErrorCounts, ...]
    after: tuple[ErrorCounts, ...]
    words: Interval
    chance: float
    explanation: str


def decide(
    before: Sequence[ErrorCounts],
    after: Sequence[ErrorCounts],
    *,
    confidence: float,
    seed: int,
    overlooked: int = OVERLOOKED,
) -> Verdict:
    """Compare source and adaptation on held-out utterances.

    Characters decide, because ten sentences have few words but hundreds of characters; the word errors must not
    rise either, but by a single word. The test is exact at any number of utterances (a bootstrap of three or four
    is not): four that differ are the least that can pass at a confidence of 0.9, five at 0.95.

    Args:
        before: Counts of the source, one an utterance.
        after: Counts of the adaptations of the folds, in the same order; each fold by settings that were
            chosen without it, so that the choice does not flatter the result.
        confidence: 1 minus the probability of chance that is tolerated.
        seed: Seed of the resampling.
        overlooked: By how many wrong words the errors may rise.
    """
    words = paired_bootstrap(before, after, seed=seed, unit="words")
    pairs = zip(before, after, strict=True)
    chance = sign_flip([new.character_errors - old.character_errors for old, new in pairs], seed=seed)
    sure = chance <= 1 - confidence
    rise = total(after).errors - total(before).errors
    accepted = sure and rise <= overlooked
    explanation = _explain(before, after, words, accepted, sure, chance)
    return Verdict(accepted, tuple(before), tuple(after), words, chance, explanation)


def _explain(
    before: Sequence[ErrorCounts],
    after: Sequence[ErrorCounts],
    words: Interval,
    accepted: bool,
    sure: bool,
    chance: float,
) -> str:
    old, new = total(before), total(after)
    change = f"on held-out recordings the word error rate goes from {old.wer:.1%} to {new.wer:.1%}"
    if accepted:
        odds = f"chance alone does as well in {f'{chance:.1%}' if chance >= 0.001 else 'under 0.1%'} of cases"
        if words.difference <= 0:
            return f"adapted: {change} ({odds})"
        letters = f"of the letters {old.cer:.1%} were wrong and {new.cer:.1%} are ({odds})"
        return f"adapted: {letters}; {change}, by {counted(new.errors - old.errors, 'word')}"
    if old.errors == 0:
        return "the source is kept: it makes no error on these recordings"
    if sure:
        return f"the source is kept: fewer wrong letters, but {change}"
    if words.difference < 0 and new.character_errors >= old.character_errors:
        return (
            f"the source is kept: no fewer wrong letters, which decide ({old.cer:.1%} before, {new.cer:.1%} "
            f"after), although {change}"
        )
    if words.difference < 0:
        return f"the source is kept: {change}, which may be chance; more recordings would tell"
    return f"the source is kept: {change}, no improvement; more or cleaner recordings may help"
