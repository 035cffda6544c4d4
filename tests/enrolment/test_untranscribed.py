"""A person who says one letter between two others: what the language model makes of it teaches the model."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
import soundfile
import torch
from tones import RATE, spoken

from asradapt.decoding import Decoder, DecoderOptions, Heard, Word
from asradapt.enrolment import EnrolmentOptions, SelfTraining, enroll, enroll_untranscribed, pseudo
from asradapt.enrolment.self_training import weighted
from asradapt.errors import UsageError
from asradapt.language import read_arpa
from asradapt.scoring import score, total
from asradapt.store import SpeakerRecord
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript
from asradapt.types import Utterance
from asradapt.voice import everywhere, pieces

WORDS = ("abcd", "bdce", "caeb", "deac", "ebda", "acbe")
OPTIONS = EnrolmentOptions(method="input", rates=(10.0,))  # as in test_enroll.py
PLAN = SelfTraining(steps=24, rate=1.0)
BETWEEN = 1.3  # bands: nearer to the next letter than to its own


@pytest.fixture(scope="module")
def teacher(tone_model, tmp_path_factory):
    """Beam search with a language model that knows the six words."""
    path = tmp_path_factory.mktemp("language") / "words.arpa"
    grams = ["-99\t<s>", "-1.0\t</s>", "-9.0\t<unk>", *(f"-0.8\t{word}" for word in WORDS)]
    path.write_text("\n".join(["\\data\\", f"ngram 1={len(grams)}", "", "\\1-grams:", *grams, "", "\\end\\", ""]))
    return Decoder(tone_model.tokens, tone_model.frame_seconds, read_arpa(path), DecoderOptions())


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Records somebody whose c is shifted: `record("ann", 9)`; the texts are there, and wrong."""

    def make(name, count, shift=BETWEEN):
        folder, chance, found = tmp_path_factory.mktemp("people"), random.Random(name), []
        for number in range(count):
            text = " ".join(chance.choices(WORDS, k=2))
            path = folder / f"{name}{number}.wav"
            sound = torch.cat([spoken(letter, shift * (letter == "c"), number) for letter in text])
            soundfile.write(path, sound.numpy(), RATE)
            found.append(Utterance(path, "not this", name, fields={"said": text}))
        return found

    return make


@pytest.fixture(scope="module")
def ann(record):
    return record("ann", 9)


@pytest.fixture(scope="module")
def enrolled(tone_model, ann, teacher):
    return enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=PLAN).speakers[0]


def wer(model, store, clips):
    found = [one for one in Transcriber(model, store).transcribe(clips) if isinstance(one, Transcript)]
    return total(score(one.utterance.fields["said"], one.text) for one in found).wer


def test_what_the_language_model_hears_teaches_the_model_without_it(tone_model, ann, teacher, record, store):
    enroll_untranscribed(tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=PLAN, store=store)
    others = [replace(clip, speaker="ann") for clip in record("others", 5)]
    assert wer(tone_model, None, others) > 0.5
    assert wer(tone_model, store, others) < 0.1


def test_the_record_says_that_no_transcripts_were_used(enrolled, ann):
    record = SpeakerRecord.from_json(replace(enrolled.record, version=1).to_json())
    assert (record.decision, record.method, record.transcribed) == ("adapted", "input", False)
    assert record.split["texts"] == []
    assert record.split["heard"] == [clip.fields["said"] for clip in ann]
    assert sorted(index for fold in record.split["folds"] for index in fold) == list(range(9))
    assert record.gate["self_training"]["rounds"] == PLAN.rounds
    assert 0 < record.gate["confidence_of_texts"] <= 1
    assert "language model" in record.folds["reference"]
    assert enrolled.as_dict()["transcribed"] is False
    assert enrolled.explanation.startswith("adapted without transcripts: on held-out recordings")
    assert enrolled.explanation.count(". ") == 0


def test_an_enrolment_with_texts_is_known_as_one(tone_model, speak):
    (one,) = enroll(tone_model, {"bob": speak("bob", utterances=3)}, options=OPTIONS).speakers
    assert one.record.transcribed
    assert one.as_dict()["transcribed"] is True


def test_the_source_is_kept_where_the_language_model_changes_nothing(tone_model, teacher, record):
    clear = record("clear", 4, shift=0.0)
    (one,) = enroll_untranscribed(tone_model, {"clear": clear}, decoder=teacher, options=OPTIONS).speakers
    assert (one.record.decision, one.state) == ("source", {})
    assert "teach nothing" in one.explanation


def test_the_source_is_kept_where_the_method_cannot_learn(tone_model, teacher, ann, store):
    options = replace(OPTIONS, method="lowrank")  # its sites pass nothing on in the tone model
    found = enroll_untranscribed(
        tone_model, {"ann": ann}, decoder=teacher, options=options, plan=PLAN, store=store
    )
    assert found.speakers[0].record.decision == "source"
    assert "no improvement" in found.speakers[0].explanation
    assert store.load("ann").tensors == {}


def test_too_few_recordings_keep_the_source_and_say_so(tone_model, teacher, ann):
    (one,) = enroll_untranscribed(tone_model, {"ann": ann[:2]}, decoder=teacher, options=OPTIONS).speakers
    assert one.record.decision == "source"
    assert "2 usable recordings are too few" in one.explanation


def test_a_person_alone_is_the_same_as_in_company(tone_model, teacher, ann, record, enrolled):
    people = {"other": record("other", 4), "ann": ann}
    both = enroll_untranscribed(tone_model, people, decoder=teacher, options=OPTIONS, plan=PLAN).speakers
    again = next(one for one in both if one.record.speaker == "ann")
    assert again.record == enrolled.record
    for name, tensor in enrolled.state.items():
        torch.testing.assert_close(tensor, again.state[name], rtol=0, atol=1e-4)


def test_silence_and_missing_files_are_told_and_the_rest_is_used(tone_model, teacher, ann, tmp_path):
    silent = Utterance(tmp_path / "silent.wav", None, "ann")
    soundfile.write(silent.audio, torch.zeros(RATE).numpy(), RATE)
    missing = Utterance(tmp_path / "missing.wav", None, "ann")
    found = enroll_untranscribed(
        tone_model, {"ann": [*ann[:2], silent, missing], "nobody": [silent]}, decoder=teacher, options=OPTIONS
    )
    assert [one.record.utterances for one in found.speakers] == [2]
    assert {failure.item for failure in found.failed} == {str(silent.audio), str(missing.audio), "nobody"}


def test_long_recordings_are_cut(tone_model, ann, tmp_path, monkeypatch):
    path = tmp_path / "long.wav"
    parts = [torch.from_numpy(soundfile.read(clip.audio, dtype="float32")[0]) for clip in ann]
    soundfile.write(path, torch.cat(parts * 2).numpy(), RATE)  # 32 s
    whole = soundfile.info(path).duration
    monkeypatch.setattr(pseudo, "pieces", lambda *given: pieces(*given, everywhere))  # tones are no voice
    found = pseudo.cut_recordings(tone_model, [Utterance(path)]).usable
    assert len(found) > 1
    assert max(one.seconds for one in found) <= 20.0
    assert sum(one.seconds for one in found) == pytest.approx(whole, abs=1.0)
    monkeypatch.setattr(pseudo, "pieces", lambda *given: [])
    (failure,) = pseudo.cut_recordings(tone_model, [Utterance(path)]).failed
    assert "nobody speaks" in failure.reason


def test_what_was_learned_from_transcripts_is_not_replaced(tone_model, teacher, ann, store):
    said = [replace(clip, text=clip.fields["said"]) for clip in ann]
    enroll(tone_model, {"ann": said}, options=replace(OPTIONS, passes=20), store=store)
    assert store.record("ann").decision == "adapted"
    found = enroll_untranscribed(
        tone_model, {"ann": ann}, decoder=teacher, options=OPTIONS, plan=PLAN, store=store
    )
    assert found.speakers == ()
    assert "learned from transcripts and stays in use" in found.warnings[0]
    assert store.versions("ann") == [1]


def test_without_a_language_model_there_is_nothing_to_learn_from(tone_model, ann):
    with pytest.raises(UsageError, match="comes without a language model"):
        enroll_untranscribed(tone_model, {"ann": ann})
    with pytest.raises(UsageError, match="needs beam search with a language model"):
        enroll_untranscribed(tone_model, {"ann": ann}, decoder=Decoder(tone_model.tokens, 0.04))


def test_recordings_count_by_their_confidence():
    counts = [score("a b", "a c"), score("a b", "a b")]
    heard = [Heard((Word("a", 0, 1, 0.9), Word("c", 1, 2, 0.5))), Heard((Word("a", 0, 1, 0.1),))]
    first, second = weighted(counts, heard)
    assert (first.errors, first.words, first.character_errors) == (7, 14, 7)
    assert (second.errors, second.words) == (0, 2)


@pytest.mark.parametrize("wrong", [{"rounds": 0}, {"steps": 0}, {"rate": 0.0}, {"share": 2.0}])
def test_plans_that_cannot_be_are_refused(wrong):
    with pytest.raises(UsageError):
        SelfTraining(**wrong)
