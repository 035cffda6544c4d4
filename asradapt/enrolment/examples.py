"""Enrolment recordings made ready for training: checked, turned into features and target tokens.

Letters: F frames, M mel bands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asradapt.enrolment.objective import longest_seconds, objective_of
from asradapt.errors import AudioError, InputError, TextError
from asradapt.held import recording_of
from asradapt.models.base import SourceModel
from asradapt.pace import Pace, prepare_one
from asradapt.pcm import digest
from asradapt.recordings.duplicates import Bands, spectrum
from asradapt.recordings.quality import Quality, measure_quality
from asradapt.types import Failure, Utterance

LONGEST_SECONDS = 40.0
SHORTEST_SECONDS = 0.2


@dataclass(frozen=True, eq=False)
class Example:
    """One recording with its text, ready for training.

    Attributes:
        utterance: Where it came from.
        features: (F, M) prepared features.
        text: The normalised text.
        target: (U,) token indices of the text.
        seconds: Length of the recording.
        digest: Hash of its samples, by which the same recording is known under another name.
        quality: Its level, noise and ends.
        bands: Its long-term spectrum, by which the same sound in another form is looked for.
        whole: Hash of the recording that it is a piece of; empty where it is no piece.
        longer: How many times as long its features are as the recording, which fast speech takes.
    """

    utterance: Utterance
    features: Tensor
    text: str
    target: Tensor
    seconds: float
    digest: str = ""
    quality: Quality | None = None
    bands: Bands | None = None
    whole: str = ""
    longer: float = 1.0

    @property
    def heard_seconds(self) -> float:
        """Seconds that the network hears."""
        return self.seconds * self.longer


def digests_of(examples: Iterable[Example]) -> list[str]:
    """The digests by which recordings are known again, and of pieces those of the whole."""
    return list(dict.fromkeys(known for one in examples for known in (one.digest, one.whole) if known))


@dataclass(frozen=True)
class Examples:
    """What could be used, what could not and why, what is odd about the rest, and copies that are used once."""

    usable: tuple[Example, ...]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]
    copies: tuple[Failure, ...] = ()


@torch.no_grad()
def prepare_example(model: SourceModel, utterance: Utterance, added: str = "") -> tuple[Example, tuple[str, ...]]:
    """One utterance to an example and warnings; `added` are characters beyond those of the model.

    Raises:
        InputError: If the recording or its text cannot be used for enrolment; says why.
    """
    objective = objective_of(model)
    text, target = objective.spell(utterance.text, added)
    longest = longest_seconds(model, LONGEST_SECONDS)
    recording = recording_of(utterance, model.sample_rate, longest)
    if recording.silent:
        raise AudioError("the recording is silent; record it again")
    if not SHORTEST_SECONDS <= recording.seconds <= longest:
        allowed = f"{SHORTEST_SECONDS:g} to {longest:g} s"
        raise AudioError(
            f"the recording is {recording.seconds:.2f} s long; enrolment takes {allowed}, record it again"
        )
    features, longer = prepare_one(model, recording.samples)
    if not objective.fits(target, recording.seconds * longer):
        raise TextError(
            f"the text has {len(text)} characters, too many for {recording.seconds:.1f} s of audio; "
            "does it belong to this recording?"
        )
    quality = measure_quality(recording.samples, model.sample_rate, recording.clipped)
    bands = spectrum(recording.samples, model.sample_rate)
    own = digest(recording.samples)
    example = Example(
        utterance, features, text, torch.tensor(target), recording.seconds, own, quality, bands, longer=longer
    )
    return example, recording.warnings


def prepare_examples(model: SourceModel, utterances: Sequence[Utterance], added: str = "") -> Examples:
    """All usable utterances of a person; what cannot be used is reported and left out.

    A recording that comes twice is used once: its copy would carry what is held out into the training part.

    Args:
        model: The source model.
        utterances: The recordings with their texts.
        added: Characters that the person may write beyond those of the model.
    """
    usable: dict[str, Example] = {}
    failed, warnings, copies = [], [], []
    Pace.of(model)  # a card that is wrong is no fault of the recordings
    for utterance in utterances:
        try:
            example, notes = prepare_example(model, utterance, added)
            first = usable.setdefault(example.digest, example)
            if first.text != example.text:
                raise TextError(f"the same recording as {first.utterance.audio} with another text; one is wrong")
            warnings += [f"{utterance.audio}: {note}" for note in notes]
            if first is not example:
                copies.append(Failure(str(utterance.audio), f"the same recording as {first.utterance.audio}"))
                warnings.append(f"{utterance.audio}: the same recording as {first.utterance.audio}, used once")
        except InputError as error:
            failed.append(Failure.of(str(utterance.audio), error))
    return Examples(tuple(usable.values()), tuple(failed), tuple(warnings), tuple(copies))
