"""A moved adaptation judged on its new model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.folds import speaker_seed
from asradapt.enrolment.gate import Verdict, decide
from asradapt.enrolment.moving import Moved
from asradapt.enrolment.options import EnrolmentOptions
from asradapt.enrolment.past import Past
from asradapt.enrolment.screening import LeftOut, screen
from asradapt.enrolment.updates import evaluate_pairs
from asradapt.errors import StoreError
from asradapt.models.base import SourceModel
from asradapt.store import Adaptation
from asradapt.types import Failure, Utterance
from asradapt.wording import counted


@dataclass(frozen=True, eq=False)
class Trial:
    """The moved adaptation against the new model alone, on recordings that it has not learned from.

    Attributes:
        verdict: What the gate says.
        examples: The recordings that judged it.
        failed: Recordings that could not be used.
        warnings: What is odd about the others.
    """

    verdict: Verdict
    examples: tuple[Example, ...]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]


def judge_moved(
    model: SourceModel,
    stored: Adaptation,
    moved: Moved,
    utterances: Sequence[Utterance],
    options: EnrolmentOptions,
) -> Trial:
    """The gate, on recordings that the adaptation has not learned from.

    Raises:
        StoreError: If there are too few of these.
    """
    found = prepare_examples(model, utterances, moved.added)
    checked = screen(model, found.usable, options.training, moved.added)
    seen = Past(stored).seen(checked.kept)
    fair = tuple(one for one, known in zip(checked.kept, seen, strict=True) if not known)
    left = left_out_lines(checked.left_out)
    if len(fair) < options.least_utterances:
        reasons = "; ".join(failure.reason for failure in found.failed[:3])
        raise StoreError(
            f"{len(fair)} of {counted(len(utterances), 'recording')} can judge the adaptation, at least "
            f"{options.least_utterances} are needed; {sum(seen)} are known to it from the enrolment"
            + (f"; unusable: {reasons}" if reasons else "")
            + (f"; {'; '.join(left[:3])}" if left else "")
        )
    pairs = [(0, one) for one in fair]
    before, after = (evaluate_pairs(model, bank, pairs, options.training)[0].counts for bank in (None, moved.bank))
    verdict = decide(
        [before[id(one)] for one in fair],
        [after[id(one)] for one in fair],
        confidence=options.confidence,
        seed=speaker_seed(options.seed, stored.record.speaker),
    )
    return Trial(verdict, fair, found.failed, (*found.warnings, *left))


def left_out_lines(recordings: Sequence[LeftOut]) -> list[str]:
    """A line for each recording that was left out."""
    return [f"{one.audio}: left out: {one.reason}" for one in recordings]
