"""Recordings that nobody has written down: what the model hears in them, as texts to learn from.

Letters: F frames, M mel bands, S rows of a bank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch

from asradapt.adaptation import SpeakerBank
from asradapt.budget import in_halves
from asradapt.decoding import Decoder, DecoderOptions, Heard
from asradapt.enrolment.examples import SHORTEST_SECONDS, Example, Examples
from asradapt.enrolment.memory import find_sizes
from asradapt.enrolment.objective import Pair, adapted, objective_of
from asradapt.enrolment.updates import TrainingOptions, pair_batches
from asradapt.errors import AudioError, InputError, StoreError, TextError, UsageError
from asradapt.held import recording_of
from asradapt.language import load_language
from asradapt.models.base import SourceModel, encode_all, without_ctc, writes
from asradapt.models.names import is_embedded
from asradapt.pace import Pace, prepare_one
from asradapt.pcm import digest
from asradapt.recordings.quality import measure_quality
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions, adapted_outputs
from asradapt.types import Failure, Utterance
from asradapt.voice import VoiceOptions, left_out, pieces

Phrases = Mapping[int, Sequence[str]]  # by row of the bank what its speaker's vocabulary holds


def teacher_for(model: SourceModel) -> Decoder:
    """The best decoder that comes with a model: beam search with the language model `lm_en`.

    Raises:
        UsageError: If no language model comes with it, or it has no outputs that one could be used with.
    """
    if writes(model):
        raise UsageError(without_ctc(model, "learning without transcripts"))
    if not is_embedded(model):
        raise UsageError(
            f"the model {model.name!r} comes without a language model, and its own greedy texts teach it nothing "
            "that it does not know: give a language model"
        )
    return Decoder.of(model, load_language(), DecoderOptions())


def phrases_of(store: SpeakerStore | None, name: str, warnings: list[str]) -> tuple[str, ...]:
    """A person's phrases, which help to hear; one damaged file must not end everybody's enrolment."""
    try:
        return store.vocabulary(name) if store is not None and name in store else ()
    except StoreError as error:
        warnings.append(f"{error}; nobody's phrases help to hear {name}")
        return ()


@torch.no_grad()
def _cut(model: SourceModel, utterance: Utterance, warnings: list[str]) -> Iterator[Example]:
    """A recording without text as examples of 20 seconds at most, cut where nobody speaks."""
    recording = recording_of(utterance, model.sample_rate, None)
    if recording.silent:
        raise AudioError("the recording is silent; record it again")
    if recording.seconds < SHORTEST_SECONDS:
        raise AudioError(
            f"the recording is {recording.seconds:.2f} s long; at least {SHORTEST_SECONDS:g} s are needed"
        )
    nothing, whole = torch.zeros(0, dtype=torch.int64), digest(recording.samples)
    quality = measure_quality(recording.samples, model.sample_rate, recording.clipped)
    found = pieces(recording.samples, recording.sample_rate, VoiceOptions())
    if found and (note := left_out(recording.samples, recording.sample_rate, found)):
        warnings.append(
            f"{utterance.audio}: {note}; files of {VoiceOptions.longest:g} seconds or less are heard whole"
        )
    for piece in found:
        seconds = len(piece.samples) / recording.sample_rate
        if seconds < SHORTEST_SECONDS:
            continue
        features, longer = prepare_one(model, piece.samples)
        own = digest(piece.samples)
        beside = "" if own == whole else whole
        yield Example(utterance, features, "", nothing, seconds, own, quality, whole=beside, longer=longer)


def cut_recordings(model: SourceModel, utterances: Sequence[Utterance]) -> Examples:
    """All usable recordings of a person, long ones in pieces; texts that are there are not looked at."""
    usable: dict[str, Example] = {}
    failed: list[Failure] = []
    warnings: list[str] = []
    Pace.of(model)  # a card that is wrong is no fault of the recordings
    for utterance in utterances:
        try:
            found = list(_cut(model, utterance, warnings))
            if not found:
                raise AudioError("nobody speaks in the recording")
            for example in found:
                first = usable.setdefault(example.digest, example)
                if first is not example:
                    warnings.append(f"{utterance.audio}: the same sound as in {first.utterance.audio}, used once")
        except InputError as error:
            failed.append(Failure(str(utterance.audio), str(error)))
    return Examples(tuple(usable.values()), tuple(failed), tuple(warnings))


@torch.no_grad()
def hear(
    model: SourceModel,
    bank: SpeakerBank | None,
    pairs: Sequence[Pair],
    decoder: Decoder,
    options: TrainingOptions,
    phrases: Phrases | None = None,
    each: EachOptions | None = None,
) -> list[Heard]:
    """What the teacher hears, in the order of `pairs`.

    Args:
        model: The source model.
        bank: The adaptations of the rows; None for the source alone.
        pairs: Rows with what each is to hear.
        decoder: The teacher.
        options: Sizes of the batches.
        phrases: Vocabularies of the rows.
        each: How every recording adapts the model to itself first; None does not.
    """
    heard: dict[tuple[int, int], Heard] = {}

    def listen(batch: Sequence[Pair]) -> list[Heard]:
        with adapted(model, bank, batch) as inputs:
            if each:
                found = adapted_outputs(model, *inputs, each, search=decoder.with_language)
            else:
                found = encode_all(model, *inputs)
        logits, frames, inner = found
        added = [bank.added if bank else ()] * len(batch)
        # with the calibration of plain logits, with which what weighs and judges these words was tuned
        own = [(phrases or {}).get(row, ()) for row, _ in batch]
        tempo = torch.tensor([1 / example.longer for _, example in batch])
        return decoder(logits, frames, own, added, inner=inner, tempo=tempo)

    by_row = bank is not None and bank.one_speaker
    seconds = min(each.batch_seconds, options.batch_seconds or find_sizes(model).learned) if each else 0.0
    for batch in pair_batches(model, pairs, seconds or options.batch_seconds, by_row=by_row):
        heard |= {(row, id(e)): one for (row, e), one in zip(batch, in_halves(listen, batch), strict=True)}
    return [heard[row, id(example)] for row, example in pairs]


def labelled(model: SourceModel, example: Example, heard: Heard, added: str = "") -> Example | None:
    """The example with what was heard as its text; None where that is nothing to learn from.

    `added` are characters beyond those of the model.
    """
    objective = objective_of(model)
    try:
        text, target = objective.spell(heard.text, added)
    except TextError:  # nothing was heard
        return None
    if not objective.fits(target, example.heard_seconds):
        return None
    return replace(example, text=text, target=torch.tensor(target))
