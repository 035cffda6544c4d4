"""Enrolment recordings made ready for training: checked, turned into features and target tokens.

Letters: F frames, M mel bands.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from asradapt.enrolment.held import recording_of
from asradapt.errors import AudioError, InputError, TextError
from asradapt.models.base import SourceModel
from asradapt.pcm import digest
from asradapt.recordings.duplicates import Bands, spectrum
from asradapt.recordings.quality import Quality, measure_quality
from asradapt.scoring import normalize
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
    """

    utterance: Utterance
    features: Tensor
    text: str
    target: Tensor
    seconds: float
    digest: str = ""
    quality: Quality | None = None
    bands: Bands | None = None


@dataclass(frozen=True)
class Examples:
    """What could be used, what could not and why, what is odd about the rest, and copies that are used once."""

    usable: tuple[Example, ...]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]
    copies: tuple[Failure, ...] = ()


def encode_text(text: str | None, tokens: Sequence[str]) -> tuple[str, list[int]]:
    """Normalise a text and turn it into token indices.

    Raises:
        TextError: If it is empty or holds characters the model cannot write; all of them are named.
    """
    if text is None or not text.strip():
        raise TextError("the text is empty; write down what is said in the recording")
    odd = {c for c in text if unicodedata.category(c) in ("So", "Co", "Cn", "Cs")}
    normal = normalize(text)
    odd |= set(normal) - set(tokens)
    if odd:
        shown = " ".join(sorted(odd)[:12])
        digits = "; write numbers as words" if any(c.isdigit() for c in odd) else ""
        addable = "".join(sorted(one for one in odd if one.isalpha())[:12])
        advice = f"; --add-tokens {addable!r} teaches it, for this speaker" if addable else ""
        raise TextError(f"the model cannot write: {shown}{digits}{advice}")
    if not normal:
        raise TextError(f"the text {text!r} holds no word")
    index = {token: number for number, token in enumerate(tokens)}
    return normal, [index[character] for character in normal]


def frames_needed(target: Sequence[int]) -> int:
    """Output frames that CTC needs at least: one a token and a blank between equal neighbours."""
    return len(target) + sum(a == b for a, b in pairwise(target))


@torch.no_grad()
def prepare_example(model: SourceModel, utterance: Utterance, added: str = "") -> tuple[Example, tuple[str, ...]]:
    """One utterance to an example and warnings; `added` are characters beyond those of the model.

    Raises:
        InputError: If the recording or its text cannot be used for enrolment; says why.
    """
    text, target = encode_text(utterance.text, (*model.tokens, *added))
    recording = recording_of(utterance, model.sample_rate, LONGEST_SECONDS)
    if recording.silent:
        raise AudioError("the recording is silent; record it again")
    if not SHORTEST_SECONDS <= recording.seconds <= LONGEST_SECONDS:
        allowed = f"{SHORTEST_SECONDS:g} to {LONGEST_SECONDS:g} s"
        raise AudioError(
            f"the recording is {recording.seconds:.2f} s long; enrolment takes {allowed}, record it again"
        )
    samples = torch.from_numpy(recording.samples)[None].to(model.device)
    lengths = torch.tensor([samples.shape[1]], device=model.device)
    features, frames = model.prepare(samples, lengths)
    available = int(recording.seconds / model.frame_seconds)
    if frames_needed(target) > available:
        raise TextError(
            f"the text has {len(target)} characters, too many for {recording.seconds:.1f} s of audio; "
            "does it belong to this recording?"
        )
    kept = features[0, : int(frames[0])]
    quality = measure_quality(recording.samples, model.sample_rate, recording.clipped)
    bands = spectrum(recording.samples, model.sample_rate)
    made = digest(recording.samples)
    example = Example(utterance, kept, text, torch.tensor(target), recording.seconds, made, quality, bands)
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
            failed.append(Failure(str(utterance.audio), str(error)))
    return Examples(tuple(usable.values()), tuple(failed), tuple(warnings), tuple(copies))
