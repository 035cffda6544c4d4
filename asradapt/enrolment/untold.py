"""Recordings without texts beside those with texts: which they are, and what of them a fold may learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rapidfuzz.fuzz import partial_ratio

from asradapt.enrolment.examples import LONGEST_SECONDS, Example, Examples
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.enrolment.pseudo import cut_recordings
from asradapt.enrolment.screening import MOST_BAD, Sound, sounds_alike, sounds_of
from asradapt.errors import AudioError
from asradapt.held import recording_of
from asradapt.models.base import SourceModel
from asradapt.recordings.duplicates import spectrum
from asradapt.types import Utterance

ALIKE = 70.0
"""Letters in a hundred that a sentence and what was heard have in common where they are the same one, or more; of
different sentences of four words or more one pair in a hundred has 63, one in a thousand 74 (those of
speechocean762, by a script that is not kept). In what is heard in a long piece chance finds more, which only costs
that fold the piece."""


def divided(utterances: Sequence[Utterance], hears: bool) -> tuple[list[Utterance], list[Utterance]]:
    """Recordings to learn from by their texts, and those to be heard: the ones without, where somebody hears."""
    if not hears:
        return list(utterances), []
    return [one for one in utterances if one.text is not None], [one for one in utterances if one.text is None]


def pieces_of(model: SourceModel, utterances: Sequence[Utterance], known: Sequence[Example]) -> Examples:
    """Recordings without texts in pieces; those whose sound is there with its text are left out.

    Args:
        model: The source model.
        utterances: The recordings without texts.
        known: The recordings of the same person with texts.
    """
    copies = _copies(model, utterances, known) if utterances else {}
    cut = _good(cut_recordings(model, [one for number, one in enumerate(utterances) if number not in copies]))
    notes = [
        f"{utterances[number].audio}: left out, the same sound as in {original.utterance.audio}, which has a text"
        for number, original in copies.items()
    ]
    return replace(cut, warnings=(*cut.warnings, *notes))


def _good(cut: Examples) -> Examples:
    """The pieces of recordings that are not spoilt, unless most are: then it is the microphone or the room."""
    bad = {id(one.utterance): one.quality.problem for one in cut.usable if one.quality and one.quality.problem}
    count = len({id(one.utterance) for one in cut.usable})
    if len(bad) > MOST_BAD * count:
        told = f"{len(bad)} of {count} recordings without texts are bad, so none is left out for that"
        return replace(cut, warnings=(*cut.warnings, told))
    audio = {id(one.utterance): one.utterance.audio for one in cut.usable}
    notes = [f"{audio[key]}: left out: {problem}" for key, problem in bad.items()]
    kept = tuple(one for one in cut.usable if id(one.utterance) not in bad)
    return replace(cut, usable=kept, warnings=(*cut.warnings, *notes))


def _copies(model: SourceModel, utterances: Sequence[Utterance], known: Sequence[Example]) -> dict[int, Example]:
    """The recordings, by number, whose sound is that of one with a text, in whatever form.

    Recordings that are too long to be one are not looked at.
    """
    originals = [one for one in known if one.bands is not None]
    found: list[Sound] = []
    places: list[int] = []
    for number, utterance in enumerate(utterances):
        try:
            recording = recording_of(utterance, model.sample_rate, LONGEST_SECONDS)
        except AudioError:  # said where it is cut, unless it is only too long
            continue
        if not recording.silent:
            places.append(number)
            found.append((recording.seconds, spectrum(recording.samples, model.sample_rate), utterance))
    groups = sounds_alike([*sounds_of(originals), *found])
    count = len(originals)
    return {
        places[place - count]: originals[group[0]]
        for group in groups
        for place in group
        if group[0] < count <= place
    }


def says(heard: str, sentence: str) -> bool:
    """Whether what was heard is likely the sentence, or holds it; too few words to tell are not."""
    long = len(sentence.split()) >= SENTENCE_WORDS and len(heard) >= ALIKE / 100 * len(sentence)
    return long and partial_ratio(sentence, heard) >= ALIKE


def without(heard: Sequence[Example], held_out: Sequence[str]) -> tuple[Example, ...]:
    """What a fold may learn of what it has heard: no sentence that it holds out, read once more."""
    return tuple(one for one in heard if not any(says(one.text, sentence) for sentence in held_out))
