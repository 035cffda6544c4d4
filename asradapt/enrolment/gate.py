"""The gate: an adaptation is accepted only if utterances it was not trained on come out better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.scoring import ErrorCounts, Interval, paired_bootstrap, total


@dataclass(frozen=True)
class Verdict:
    """The gate's decision.

    Attributes:
        accepted: Whether the adaptation may be used.
        words: Paired bootstrap of the word error rate.
        characters: Paired bootstrap of the character error rate, which decides.
        explanation: The decision in one plain sentence.
    """

    accepted: bool
    words: Interval
    characters: Interval
    explanation: str


def decide(
    before: Sequence[ErrorCounts], after: Sequence[ErrorCounts], *, confidence: float, seed: int
) -> Verdict:
    """Compare source and adaptation on held-out utterances (paired bootstrap, Bisani and Ney 2004).

    Characters decide, because ten sentences have few words but hundreds of characters; the word error rate
    must not rise either. Settings were chosen on the same folds, so the difference is slightly flattered:
    the confidence asked for is the guard.

    Args:
        before: Counts of the source, one an utterance.
        after: Counts of the adaptations of the folds, in the same order.
        confidence: Share of resamples that must be better.
        seed: Seed of the resampling.
    """
    words = paired_bootstrap(before, after, seed=seed, unit="words")
    characters = paired_bootstrap(before, after, seed=seed, unit="characters")
    likely = characters.probability_better is not None and characters.probability_better >= confidence
    sure = likely and characters.difference < 0  # ties count half: no change at all is better with 50%
    accepted = sure and words.difference <= 0
    return Verdict(accepted, words, characters, _explain(before, after, words, accepted, sure))


def _explain(
    before: Sequence[ErrorCounts], after: Sequence[ErrorCounts], words: Interval, accepted: bool, sure: bool
) -> str:
    old, new = total(before), total(after)
    change = f"on held-out recordings the word error rate goes from {old.wer:.1%} to {new.wer:.1%}"
    if accepted:
        return f"adapted: {change}"
    if old.errors == 0:
        return "the source is kept: it makes no error on these recordings"
    if sure:
        return f"the source is kept: fewer wrong letters, but {change}"
    if words.difference < 0:
        return f"the source is kept: {change}, which may be chance; more recordings would tell"
    return f"the source is kept: {change}, no improvement; more or cleaner recordings may help"
