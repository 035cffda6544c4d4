"""Retention: what an adaptation does to the speech of other people; reported, never enforced.

An adaptation is for one person, and may mishear others more than the source does. Who shares a microphone, or
picks the wrong speaker, should know by how much. The others are 24 synthetic people that come with the
program (`tools/make_others.py`), saying sentences that are read last at enrolments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from pathlib import Path
from weakref import WeakKeyDictionary

from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.adaptation.method import Method
from asradapt.enrolment.examples import Example, prepare_examples
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs
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


@dataclass(frozen=True)
class Heard:
    """Other people's speech as a model is given it, and the errors of the source, None where it can write none."""

    examples: tuple[Example, ...]
    before: ErrorCounts | None


_HEARD: WeakKeyDictionary[SourceModel, Heard] = WeakKeyDictionary()  # of what comes with the program, by model


@dataclass(eq=False)
class RetentionCheck:
    """Measures adaptations of one source model on other people's speech.

    What comes with the program is read once for a model, at the first use: one job a person would do it for each.

    Attributes:
        model: The source model.
        options: Sizes of batches.
        utterances: The speech; by default what comes with the program.
    """

    model: SourceModel
    options: TrainingOptions
    utterances: Sequence[Utterance] = field(default_factory=others)

    @cached_property
    def _heard(self) -> Heard:
        if self.utterances is not others():
            return self._hear()
        if self.model not in _HEARD:
            _HEARD[self.model] = self._hear()
        return _HEARD[self.model]

    def _hear(self) -> Heard:
        examples = prepare_examples(self.model, self.utterances).usable
        scores = evaluate_pairs(self.model, None, [(0, example) for example in examples], self.options)
        return Heard(examples, total(scores[0].counts.values()) if scores else None)

    def measure(self, methods: Sequence[Method], states: Sequence[Mapping[str, Tensor]]) -> list[Retention | None]:
        """Errors before and after for adaptations (1, ...) of the same methods, all in one run.

        Returns:
            One result a state; None for all where the model can write none of the texts, or understands nearly
            none of them: its language is not English.
        """
        heard = self._heard
        if heard.before is None or heard.before.wer > DEAF or not states:
            return [None for _ in states]
        bank = SpeakerBank(self.model, methods, speakers=len(states))
        for row, state in enumerate(states):
            bank.load(row, {name: tensor.to(self.model.device) for name, tensor in state.items()})
        pairs = [(row, example) for row in range(len(states)) for example in heard.examples]
        scores = evaluate_pairs(self.model, bank, pairs, self.options)
        return [Retention(heard.before, total(scores[row].counts.values())) for row in range(len(states))]
