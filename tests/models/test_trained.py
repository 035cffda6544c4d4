"""A foreign model that really recognises something adapts to a person, by the same code as the embedded one."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("transformers")

from tones import record_person
from trained import train_ctc

from asradapt.cli import run
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.models import load_model
from asradapt.scoring import score, total
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript

SHIFT = 1.0  # in bands: half way to the next letter


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """36 s of training."""
    return train_ctc(tmp_path_factory.mktemp("trained") / "tones")


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder), device="cpu")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """One person whom the model understands, and one whose tones it takes for others."""
    home = tmp_path_factory.mktemp("people")
    return {
        "usual": record_person(home, "usual", utterances=12),
        "shifted": record_person(home, "shifted", shift=SHIFT, utterances=12),
    }


@pytest.fixture(scope="module")
def enrolled(model, people, tmp_path_factory):
    store = SpeakerStore(tmp_path_factory.mktemp("store"))
    return store, enroll(model, people, options=EnrolmentOptions(method="lowrank"), store=store)


def texts(model, store, utterances):
    """What is written for each; tones are no voice, so nothing is cut away as silence."""
    transcriber = Transcriber(model, store, TranscriberOptions(detect_voice=False))
    return [one.text for one in transcriber.transcribe(utterances) if isinstance(one, Transcript)]


def test_held_out_error_falls_and_the_gate_accepts(enrolled):
    _, done = enrolled
    by_name = {one.record.speaker: one for one in done.speakers}
    shifted, usual = by_name["shifted"], by_name["usual"]
    assert shifted.before.wer > 0.8
    assert shifted.after.wer < 0.7 * shifted.before.wer
    assert shifted.record.decision == "adapted"
    assert usual.before.wer < 0.1
    assert usual.record.decision == "source"  # nothing to gain


def test_new_speech_of_the_person_is_understood_better(model, enrolled, tmp_path):
    store, _ = enrolled
    fresh = record_person(tmp_path, "shifted", shift=SHIFT, utterances=12, seed=9)
    before, after = (
        total(score(one.text, text) for one, text in zip(fresh, texts(model, given, fresh), strict=True))
        for given in (None, store)
    )
    assert after.cer < 0.7 * before.cer


def test_a_batch_of_several_speakers_says_what_each_says_alone(model, enrolled, people):
    store, _ = enrolled
    mixed = [one for pair in zip(people["usual"], people["shifted"], strict=True) for one in pair]
    together = texts(model, store, mixed)
    assert together == [texts(model, store, [one])[0] for one in mixed]
    assert together != texts(model, None, mixed)


def test_the_command_line_enrols_transcribes_and_evaluates(folder, people, tmp_path, capsys):
    manifest = tmp_path / "people.jsonl"
    rows = [
        {"audio_filepath": str(one.audio), "text": one.text, "speaker": one.speaker, "part": part}
        for name in people
        for number, one in enumerate(people[name])
        for part in ["test" if number % 3 == 0 else "enroll"]
    ]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    common = ["--model", str(folder), "--device", "cpu", "--store", str(tmp_path / "store"), "--json"]
    given = ["--manifest", str(manifest), "--where"]

    def output(*arguments: str) -> dict:
        assert run([*arguments, *common]) == 0
        return json.loads(capsys.readouterr().out)

    found = output("enroll", "--every-speaker", "--method", "lowrank", *given, "part=enroll")
    assert [one["decision"] for one in found["speakers"]] == ["source", "adapted"]
    spoken = output("transcribe", "--no-vad", *given, "part=test")
    assert len(spoken["results"]) == 8
    scored = output("evaluate", *given, "part=test")
    assert scored["model"] == f"hf:{folder.name}"
    assert scored["pooled"]["after"]["wer"] < scored["pooled"]["before"]["wer"]
