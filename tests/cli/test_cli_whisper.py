"""Whisper through the command line: a checkpoint folder in its real format, from enrolment to evaluation."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("transformers")
from samples import write_rows
from tones import record_person


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> tuple[Path, Path]:
    """Recordings of one person to enrol from, and others to test on."""
    folder = tmp_path_factory.mktemp("whispered")
    rows = [
        {"audio_filepath": str(one.audio), "text": one.text, "speaker": "ann"}
        for one in record_person(folder, "ann", shift=1.0, utterances=22)
    ]
    return write_rows(folder / "enrol.jsonl", rows[:14]), write_rows(folder / "test.jsonl", rows[14:])


def test_a_person_is_enrolled_transcribed_and_evaluated(whisper_folder, manifests, asradapt, tmp_path):
    enrol, test = manifests
    common = ["--model", whisper_folder, "--store", tmp_path / "store", "--device", "cpu"]
    done = asradapt("enroll", "ann", "--manifest", enrol, "--method", "input", *common, "--json")
    assert done.code == 0, done.err
    (ann,) = done.json["speakers"]
    assert ann["decision"] == "adapted"
    assert any("was not judged" in remark for remark in ann["remarks"])
    heard = asradapt("transcribe", "--manifest", test, *common, "--json")
    assert heard.code == 0, heard.err
    assert all(word["end"] >= word["start"] for one in heard.json["results"] for word in one["words"])
    assert all(one["adapted"] for one in heard.json["results"])
    judged = asradapt("evaluate", "--manifest", test, *common, "--json")
    assert judged.code == 0, judged.err
    assert judged.json["model"] == "hf:tones"
    assert judged.json["pooled"]["after"]["wer"] < 0.6 * judged.json["pooled"]["before"]["wer"]
    one = heard.json["results"][0]["audio"]
    subtitles = asradapt("transcribe", one, "--speaker", "ann", *common, "--format", "srt")
    assert subtitles.code == 0, subtitles.err
    assert " --> " in subtitles.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--beam", "8"], "--beam: beam search takes a model with an output for each frame"),
        (["--lm", "lm_en"], "--lm: beam search takes"),
        (["--word-score", "1"], "--word-score: beam search takes"),
        (["--adapt-each"], "adapting to each segment takes"),
        (["--language", "de"], "--language is of no use"),
        (["--task", "translate"], "--task is of no use"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_options_without_meaning_are_refused(whisper_folder, manifests, asradapt, tmp_path, arguments, said):
    done = asradapt(
        "transcribe", "--manifest", manifests[1], "--model", whisper_folder, "--store", tmp_path, *arguments
    )
    assert done.code == 2
    assert said in done.err


def test_options_that_ask_for_what_it_does_anyway_are_taken(whisper_folder, manifests, asradapt, tmp_path):
    common = ["--manifest", manifests[1], "--model", whisper_folder, "--store", tmp_path]
    assert asradapt("transcribe", *common, "--no-lm", "--beam", "0").code == 0


@pytest.mark.parametrize("lm", [[], ["--lm", "lm_en"]], ids=["", "lm"])
def test_learning_without_transcripts_is_refused(whisper_folder, manifests, asradapt, tmp_path, lm):
    done = asradapt(
        "enroll",
        "ann",
        "--untranscribed",
        *lm,
        "--manifest",
        manifests[0],
        "--model",
        whisper_folder,
        "--store",
        tmp_path,
    )
    assert done.code == 2
    assert "learning without transcripts takes a model with an output for each frame" in done.err


def test_comparing_texts_is_refused(whisper_folder, manifests, asradapt):
    done = asradapt("check", manifests[0], "--match-text", "--model", whisper_folder)
    assert done.code == 2
    assert "comparing recordings with their texts takes" in done.err
