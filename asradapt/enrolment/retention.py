"""Retention: what an adaptation does to the speech of other people; reported, never enforced.

An adaptation is for one person, and may mishear others more than the source does. Who shares a microphone, or
picks the wrong speaker, should know by how much. The others are 24 synthetic people that come with the
program (`tools/make_others.py`), saying sentences that are read last at enrolments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.training import TrainingOptions, evaluate_pairs
from asradapt.manifests import read_manifest
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, total
from asradapt.types import Utterance

DEAF = 0.95
"""Word error rate of the source on the other people's speech above which nothing can be lost."""


@dataclass(frozen=True)
class Retention:
    """Errors on other people's speech.

    Attributes:
        before: Of the source.
        after: Of the source with the adaptation of one speaker.
    """

    before: ErrorCounts
    after: ErrorCounts

    def as_dict(self) -> dict[str, float | int]:
        """Word error rates for the record and for `--json`."""
        return {"before": self.before.wer, "after": self.after.wer, "words": self.before.words}

    def __str__(self) -> str:
        return f"other people's word error rate goes from {self.before.wer:.1%} to {self.after.wer:.1%}"


@lru_cache(maxsize=1)
def others() -> tuple[Utterance, ...]:
    """The recordings of other people that come with the program."""
    return tuple(read_manifest(Path(str(files("asradapt") / "assets" / "others" / "manifest.jsonl"))).utterances)


@dataclass(eq=False)
class RetentionCheck:
    """Measures adaptations of one source model on other people's speech; reads it once, at the first use.

    Attributes:
        model: The source model.
        options: Sizes of batches.
        utterances: The speech; by default what comes with the program.
    """

    model: SourceModel
    options: TrainingOptions
    utterances: Sequence[Utterance] = field(default_factory=others)
    _examples: tuple[Example, ...] | None = None
    _before: ErrorCounts | None = None

    def measure(self, methods: Sequence[Method], states: Sequence[Mapping[str, Tensor]]) -> list[Retention | None]:
        """Errors before and after for adaptations (1, ...) of the same methods, all in one run.

        Returns:
            One result a state; None for all where the model can write none of the texts, or understands nearly
            none of them: its language is not English.
        """
        if self._examples is None:
            self._examples = prepare_examples(self.model, self.utterances).usable
            pairs = [(0, example) for example in self._examples]
            scores = evaluate_pairs(self.model, None, pairs, self.options)
            self._before = total(scores[0].counts.values()) if scores else None
        if self._before is None or self._before.wer > DEAF or not states:
            return [None for _ in states]
        bank = SpeakerBank(self.model, methods, speakers=len(states))
        for row, state in enumerate(states):
            bank.load(row, {name: tensor.to(self.model.device) for name, tensor in state.items()})
        pairs = [(row, example) for row in range(len(states)) for example in self._examples]
        scores = evaluate_pairs(self.model, bank, pairs, self.options)
        return [Retention(self._before, total(scores[row].counts.values())) for row in range(len(states))]
