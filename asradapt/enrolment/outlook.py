"""What is told and remembered besides the adaptation: recordings to make again, misheard words, the forecast.

The misheard words are those of recordings that the adaptation was not trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.label_space import characters_of
from asradapt.enrolment.options import Enrolled, EnrolmentOptions, Forecast
from asradapt.enrolment.screening import Screening, screen
from asradapt.models.base import SourceModel
from asradapt.scoring.alignment import align
from asradapt.types import Failure, Utterance

MISHEARD_KEPT = 500
"""Most misheard words that a record holds."""


def refusals(
    model: SourceModel, people: Mapping[str, Sequence[Utterance]], options: EnrolmentOptions
) -> list[Failure]:
    """Every recording of everybody that cannot be used or does not pass the checks."""
    found: list[Failure] = []
    added = characters_of(options)
    for utterances in people.values():
        examples = prepare_examples(model, utterances, added)
        found += [*examples.failed, *examples.copies]
        if examples.usable:
            left_out = screen(model, examples.usable, options.training, added).left_out
            found += [Failure(one.audio, f"{one.reason}; record again: {one.text!r}") for one in left_out]
    return found


def misheard(texts: Sequence[str], heard: Sequence[str]) -> dict[str, int]:
    """How often each word of the texts was heard as another or not at all, the most frequent first."""
    missed = Counter(
        step.said
        for text, other in zip(texts, heard, strict=True)
        for step in align(text, other)
        if step.kind in ("substitution", "deletion")
    )
    return dict(sorted(missed.items(), key=lambda pair: (-pair[1], pair[0]))[:MISHEARD_KEPT])


def with_outlook(
    one: Enrolled, screening: Screening, heard: Mapping[str, Sequence[str]], forecasts: Mapping[str, Forecast]
) -> Enrolled:
    """A person with what the checks, the folds and the forecast say, in the outcome and in the record.

    Args:
        one: The outcome.
        screening: What the checks found.
        heard: What adaptations heard in held-out recordings, by speaker; elsewhere the source's hearing counts.
        forecasts: By speaker, of those who have one.
    """
    name = one.record.speaker
    forecast = forecasts.get(name)
    texts = [example.text for example in screening.kept]
    folds = one.record.folds | {"misheard": misheard(texts, heard.get(name, screening.heard))}
    if forecast:
        folds["forecast"] = forecast.as_dict()
    record = replace(one.record, folds=folds)
    left_out, remarks = screening.left_out, screening.remarks
    return replace(one, record=record, left_out=left_out, remarks=remarks, forecast=forecast)
