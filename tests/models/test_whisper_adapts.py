"""A small Whisper, taught here to write tones down, adapts to a person whose tones are shifted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

pytest.importorskip("transformers")
from tones import RATE, record_person, spoken

from asradapt.adaptation import SpeakerBank, create
from asradapt.checks import match_texts
from asradapt.decoding import Decoder, DecoderOptions
from asradapt.enrollees import NOBODY
from asradapt.enrolment import EnrolmentOptions, enroll, enroll_untranscribed
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.objective import objective_of
from asradapt.enrolment.screening import NOT_JUDGED
from asradapt.enrolment.training import Task, Trainer, train
from asradapt.enrolment.updates import TrainingOptions, evaluate_pairs, pair_batches
from asradapt.errors import UsageError
from asradapt.evaluation import evaluate
from asradapt.models import load_model
from asradapt.scoring import score, total
from asradapt.store import SpeakerStore
from asradapt.test_time import EachOptions, adapted_outputs
from asradapt.transcriber import Transcriber
from asradapt.transcript import Loaded, TranscriberOptions, Transcript
from asradapt.types import Utterance

SHIFT = 1.0
OPTIONS = EnrolmentOptions(method="input", forecast=False)


@pytest.fixture(scope="module")
def model(whisper_folder):
    return load_model(str(whisper_folder), device="cpu")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Two people with shifted tones, one each way, and one who speaks as the model knows it."""
    folder = tmp_path_factory.mktemp("people")
    return {
        name: record_person(folder, name, shift=shift, utterances=count)
        for name, shift, count in (("ann", SHIFT, 22), ("anna", -SHIFT, 22), ("bob", 0.0, 8))
    }


@pytest.fixture(scope="module")
def enrolled(model, people, tmp_path_factory):
    """The store after enrolling two of them together on 14 recordings, and what came of it."""
    store = SpeakerStore(tmp_path_factory.mktemp("home"))
    taught = {name: people[name][:14] for name in ("ann", "anna")}
    return store, enroll(model, taught, options=OPTIONS, store=store)


def transcripts(transcriber: Transcriber, utterances, **how) -> list[Transcript]:
    return [one for one in transcriber.transcribe(utterances, **how) if isinstance(one, Transcript)]


def test_the_taught_model_writes_what_it_was_taught(model, people):
    texts = [one.text for one in transcripts(Transcriber(model), people["bob"])]
    assert total(score(one.text, text) for one, text in zip(people["bob"], texts, strict=True)).wer < 0.1


def test_two_people_are_enrolled_in_one_job_and_the_gate_accepts(enrolled):
    _, result = enrolled
    assert not result.failed
    for one in result.speakers:
        assert one.record.decision == "adapted", one.explanation
        assert one.after.wer < 0.7 * one.before.wer
        assert NOT_JUDGED in one.remarks


def test_errors_fall_on_recordings_that_were_not_learned_from(model, people, enrolled):
    store, _ = enrolled
    unseen = [one for name in ("ann", "anna") for one in people[name][14:]]
    result = evaluate(Transcriber(model, store), unseen)
    assert result.before.wer > 0.5
    assert result.after.wer < 0.6 * result.before.wer


def test_a_mixed_batch_writes_the_same_as_each_person_alone(model, people, enrolled):
    store, _ = enrolled
    triples = zip(people["ann"][14:], people["anna"][14:], people["bob"], strict=True)
    unseen = [one for triple in triples for one in triple]
    together = transcripts(Transcriber(model, store, TranscriberOptions(batch_seconds=1000.0)), unseen)
    for one in together:
        (alone,) = transcripts(Transcriber(model, store), [one.utterance])
        assert alone.text == one.text
        assert [(word.text, word.start, word.end) for word in alone.words] == [
            (word.text, word.start, word.end) for word in one.words
        ]
    sources = transcripts(Transcriber(model, store), unseen, source_only=True)
    assert sum(one.text != other.text for one, other in zip(together, sources, strict=True)) >= 8


def test_words_are_heard_about_where_they_are_said(model, tmp_path):
    """Each tone takes 0.2 s with the pause behind it: the second word begins at 0.88 s."""
    path = tmp_path / "one.wav"
    soundfile.write(path, spoken("abc de", 0.0, 1).numpy(), RATE)
    (transcript,) = transcripts(Transcriber(model), [Utterance(path)])
    assert transcript.text == "abc de"
    first, second = transcript.words
    assert 0 <= first.start < first.end <= second.start < second.end <= transcript.seconds
    assert abs(second.start - 0.88) < 0.35


def test_a_recording_longer_than_the_window_is_cut(model, tmp_path):
    sound = np.concatenate([spoken("abc de", 0.0, seed).numpy() for seed in range(4)])
    path = tmp_path / "long.wav"
    soundfile.write(path, sound, RATE)
    listener = Transcriber(model, options=TranscriberOptions(detect_voice=False))  # tones are no voice
    (transcript,) = transcripts(listener, [Utterance(path)])
    assert transcript.seconds > 2 * model.window_seconds
    assert len(transcript.segments) >= 3
    assert all(part.end - part.start <= model.window_seconds + 0.01 for part in transcript.segments)
    assert transcript.words[-1].end <= transcript.seconds
    assert transcript.words[-1].start > model.window_seconds


def test_pieces_of_a_recording_are_heard_apart(model):
    near = Loaded(Utterance(Path("a.wav")), [np.zeros(RATE // 2, np.float32)] * 2, 1.2, NOBODY, (0.0, 0.7))
    assert [len(run) for run in Transcriber(model)._runs(near)] == [1, 1]


def test_a_recording_longer_than_the_window_is_not_learned_from(model, tmp_path):
    path = tmp_path / "long.wav"
    soundfile.write(path, np.concatenate([spoken("abc de", 0.0, seed).numpy() for seed in range(3)]), RATE)
    examples = prepare_examples(model, [Utterance(path, "abc de abc de abc de")])
    assert not examples.usable
    assert "at most 2 s are allowed" in examples.failed[0].reason


def test_a_text_that_nobody_says_so_fast_does_not_fit(model):
    objective = objective_of(model)
    assert objective.fits([1] * 50, 1.0)
    assert not objective.fits([1] * 51, 1.0)


def test_batches_count_whole_windows(model, people):
    examples = prepare_examples(model, people["bob"]).usable
    sizes = [len(batch) for batch in pair_batches(model, [(0, one) for one in examples], 6.0)]
    assert sizes == [3, 3, 2]
    assert [len(batch) for batch in Transcriber(model)._batches([8000] * 100)] == [48, 48, 4]


def test_people_trained_together_come_out_as_alone(model, people):
    options = TrainingOptions(augmentation=OPTIONS.training.augmentation, anchor=0.3)
    crowd = [prepare_examples(model, people[name][:6]).usable for name in ("ann", "anna")]
    banks = []
    for rows in ((0, 1), (1,)):
        bank = SpeakerBank(model, create("input+affine"), speakers=len(rows))
        train(Trainer(model, bank, [Task(crowd[row], 1.0, row) for row in rows], options), [3] * len(rows))
        banks.append(bank.state(len(rows) - 1))
    for name, tensor in banks[0].items():
        assert float((tensor - banks[1][name]).abs().max()) < 1e-3 + 0.02 * float(tensor.abs().max()), name


def test_an_anchor_holds_the_adaptation_to_the_source(model, people):
    examples = prepare_examples(model, people["ann"][:8]).usable
    losses = {}
    for anchor in (0.0, 0.9):
        bank = SpeakerBank(model, create("input"))
        train(Trainer(model, bank, [Task(examples, 1.0, 0)], TrainingOptions(anchor=anchor)), [12])
        bank.requires_grad(False)
        found = evaluate_pairs(model, bank, [(0, one) for one in examples], TrainingOptions())
        losses[anchor] = sum(found[0].losses.values())
    source = sum(evaluate_pairs(model, None, [(0, one) for one in examples], TrainingOptions())[0].losses.values())
    assert losses[0.0] < losses[0.9] < source


# ---- what has no meaning for it


def test_what_takes_ctc_outputs_is_refused_in_a_sentence(model, people, tone_decoder):
    said = r"takes a model with an output for each frame \(CTC\), and hf:tones writes its texts token by token"
    with pytest.raises(UsageError, match=f"adapting to each segment {said}"):
        Transcriber(model, None, TranscriberOptions(adapt_each=EachOptions()))
    with pytest.raises(UsageError, match=f"beam search {said}"):
        Transcriber(model, None, None, tone_decoder)
    with pytest.raises(UsageError, match=f"learning without transcripts {said}"):
        enroll_untranscribed(model, {"bob": people["bob"]})
    with pytest.raises(UsageError, match=f"learning without transcripts {said}"):
        enroll_untranscribed(model, {"bob": people["bob"]}, decoder=tone_decoder)
    with pytest.raises(UsageError, match=f"comparing recordings with their texts {said}"):
        match_texts(model, people["bob"])
    features, frames = model.prepare(spoken("ab", 0.0, 0)[None], torch.tensor([9600]))
    with pytest.raises(UsageError, match=f"adapting to each utterance {said}"):
        adapted_outputs(model, features, frames)


@pytest.fixture(scope="module")
def tone_decoder():
    return Decoder(("<blank>", " ", "a"), 0.02, None, DecoderOptions(beams=4))


def test_a_vocabulary_that_is_not_used_is_told_once(model, people, enrolled):
    store, _ = enrolled
    store.set_vocabulary("ann", ["abc"])
    windows = list(Transcriber(model, store).windows([people["ann"][0], people["ann"][1], people["anna"][0]]))
    told = [warning for window in windows for warning in window.warnings if "vocabulary" in warning]
    assert len(told) == 1
    assert told[0].startswith("the vocabulary of ann is not used")
    store.set_vocabulary("ann", [])
