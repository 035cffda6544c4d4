"""People whose recordings have no texts: what was heard, and the candidates that were learned from it.

Letters: S rows of the bank.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from asradapt.adaptation import SpeakerBank
from asradapt.decoding import Decoder, Heard
from asradapt.enrolment.objective import Pair
from asradapt.enrolment.options import EnrolmentOptions, Setting
from asradapt.enrolment.people import Person
from asradapt.enrolment.pseudo import hear
from asradapt.enrolment.selection import Choice
from asradapt.enrolment.training import Task
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts
from asradapt.scoring.alignment import align_items

GRAINS = 10  # a confidence is counted in tenths, because counts are whole numbers
UNSURE = 0.3  # confidence below which a word counts for nothing


@dataclass(eq=False)
class Candidates:
    """What was found in one half of the learning: by round and strength.

    Attributes:
        seen: What the folds make of the recordings that they have not learned from.
        states: For each of them the tensors that were learned from all recordings.
    """

    seen: list[Choice] = field(default_factory=list)
    states: list[dict[str, Tensor]] = field(default_factory=list)

    def add(self, choice: Choice, state: dict[str, Tensor]) -> None:
        """Note one more."""
        self.seen.append(choice)
        self.states.append(state)


@dataclass(eq=False)
class Learner:
    """One person who is learned from: rows, what was heard, and what has been found so far.

    Attributes:
        person: The recordings, with what the source heard as their texts.
        heard: The same with confidence, in the order of the recordings.
        phrases: The person's vocabulary.
        heard_again: What the folds hear after the first half in the recordings that they have not learned from.
        rows: A row for each fold, and last one for all recordings.
        first: Candidates of the first half.
        second: Those of the second half, where there was one.
    """

    person: Person
    heard: tuple[Heard, ...]
    phrases: tuple[str, ...] = ()
    heard_again: tuple[Heard, ...] = ()
    rows: range = range(0)
    first: Candidates = field(default_factory=Candidates)
    second: Candidates = field(default_factory=Candidates)

    def tasks(self) -> list[Task]:
        """What every row learns from."""
        setting, seed = self.person.settings[0], self.person.seed
        held_out = [set(fold) for fold in (*self.person.folds, ())]
        return [
            Task(tuple(e for i, e in enumerate(self.person.examples) if i not in fold), setting.rate, seed)
            for fold in held_out
        ]

    def tests(self, rows: Sequence[int]) -> list[Pair]:
        """Every held-out recording with the row, of those of the folds, that does not learn from it."""
        return [
            (row, self.person.examples[index])
            for row, fold in zip(rows, self.person.folds, strict=False)
            for index in fold
        ]


def agreement(heard: Heard, text: str) -> ErrorCounts:
    """How much of what was heard with the language model a text holds; sure words count more.

    Every word counts in tenths of its confidence, as whole numbers, and its letters with it; unsure words, and
    words that only the text has, do not count: nobody knows whether they were said.

    Args:
        heard: The words with their confidence.
        text: What is compared.
    """
    weights = iter([round(GRAINS * word.confidence) * (word.confidence >= UNSURE) for word in heard.words])
    words = wrong = deleted = letters = wrong_letters = 0
    for step in align_items([word.text for word in heard.words], text.split()):
        if step.kind == "insertion":
            continue
        weight = next(weights)
        words, letters = words + weight, letters + weight * len(step.said)
        wrong += weight * (step.kind == "substitution")
        deleted += weight * (step.kind == "deletion")
        wrong_letters += weight * len(step.said) * (step.kind != "hit")
    return ErrorCounts(wrong, deleted, 0, words, wrong_letters, letters)


def judge(
    model: SourceModel,
    bank: SpeakerBank,
    judged: Sequence[tuple[Learner, Sequence[int], Setting, int]],
    strength: float,
    options: EnrolmentOptions,
) -> list[Choice]:
    """What adaptations make of the recordings that they have not learned from: a candidate for each learner.

    Args:
        model: The source model.
        bank: The adaptations at their strength.
        judged: Learners, each with the rows of its folds, and what these have been trained by and how often.
        strength: The strength.
        options: Sizes of the batches.
    """
    pairs = [pair for one, rows, _, _ in judged for pair in one.tests(rows)]
    found = hear(model, bank, pairs, Decoder(model.tokens, model.frame_seconds), options.training)
    texts = {id(example): heard.text for (_, example), heard in zip(pairs, found, strict=True)}
    choices = []
    for one, _, setting, steps in judged:
        said = [texts[id(example)] for example in one.person.examples]
        counts = tuple(agreement(heard, text) for heard, text in zip(one.heard, said, strict=True))
        again = [agreement(heard, text) for heard, text in zip(one.heard_again, said, strict=False)]
        missed = tuple(count.character_errors for count in again)
        choices.append(Choice(setting, steps, float(steps), strength, counts, (), missed=missed))
    return choices


def prefer_clearly(seen: Sequence[Choice], indices: Sequence[int]) -> Choice:
    """The candidate to use, judged on some recordings: the full training unless another is clearly better.

    There is no text whose loss could tell candidates apart, and the fewest missed words are mostly luck, so
    another candidate must be better by more than the standard error of the difference (the one-standard-error
    rule, Breiman et al. 1984). Those of a second half are judged by the words that the first half hears: those of
    the source favour what has hardly changed.
    """
    usual = max((choice for choice in seen if choice.strength == 1.0), key=lambda choice: choice.steps)

    def missed(choice: Choice) -> list[int]:
        return [choice.missed[i] if choice.missed else choice.counts[i].character_errors for i in indices]

    best = min(seen, key=lambda choice: sum(missed(choice)))
    gains = [old - new for old, new in zip(missed(usual), missed(best), strict=True)]
    mean = sum(gains) / len(gains)
    deviation = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / max(1, len(gains) - 1))
    return best if sum(gains) > deviation * math.sqrt(len(gains)) else usual
