"""Which recordings of the demo speaker are left out, on the embedded model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asradapt.audio import load_audio
from asradapt.enrolment import EnrolmentOptions, enroll
from asradapt.enrolment.examples import prepare_examples
from asradapt.enrolment.outlook import misheard
from asradapt.enrolment.screening import screen
from asradapt.enrolment.updates import TrainingOptions
from asradapt.manifests import parse_where, read_manifest
from asradapt.models import load_model

MANIFEST = Path(__file__).parents[2] / "data" / "demo" / "manifest.jsonl"
RATE = 16_000


@pytest.fixture(scope="module")
def source():
    return load_model("source_en", device="cpu")


@pytest.fixture(scope="module")
def rows():
    """Ten recordings of a whispering voice that the source mishears."""
    return list(read_manifest(MANIFEST, where=parse_where(["part=enroll"])).utterances[:10])


def swapped(rows, first, second):
    changed = list(rows)
    changed[first] = replace(rows[first], text=rows[second].text)
    changed[second] = replace(rows[second], text=rows[first].text)
    return changed


def checked(source, rows):
    return screen(source, prepare_examples(source, rows).usable, TrainingOptions())


def copy_of(row, folder, change):
    samples = load_audio(row.audio, RATE).samples
    path = folder / f"{row.audio.stem}-copy.wav"
    soundfile.write(path, change(samples), RATE)
    return replace(row, audio=path)


def test_good_recordings_are_all_kept(source, rows):
    found = checked(source, rows)
    assert (len(found.kept), found.left_out) == (10, ())
    assert len(found.heard) == 10


def test_swapped_texts_are_left_out_with_their_texts_and_the_better_one(source, rows):
    found = checked(source, swapped(rows, 2, 7))
    assert [one.audio for one in found.left_out] == [str(rows[2].audio), str(rows[7].audio)]
    assert {one.kind for one in found.left_out} == {"text-mismatch"}
    assert found.left_out[0].text == rows[7].text
    assert "fits better" in found.left_out[0].reason
    assert len(found.kept) == len(found.heard) == 8


def test_copies_clipped_and_quiet_recordings_are_left_out(source, rows, tmp_path):
    late = copy_of(rows[0], tmp_path, lambda s: np.concatenate([np.zeros(2000, np.float32), 0.7 * s]))
    clipped = copy_of(rows[1], tmp_path, lambda s: np.clip(30 * s / np.abs(s).max(), -1, 1))
    found = checked(source, [rows[0], clipped, *rows[2:], late])
    reasons = {Path(one.audio).stem: (one.kind, one.reason) for one in found.left_out}
    kind, reason = reasons[late.audio.stem]
    assert kind == "duplicate"
    assert reason == f"the same sound as {rows[0].audio}"
    assert reasons[clipped.audio.stem][0] in ("quality", "text-mismatch")
    assert len(found.kept) == 9


def test_of_two_copies_the_one_whose_text_is_right_is_kept(source, rows, tmp_path):
    late = copy_of(rows[2], tmp_path, lambda s: np.concatenate([np.zeros(2000, np.float32), s]))
    wrong = replace(rows[2], text=rows[7].text)
    found = checked(source, [*rows[:2], wrong, *rows[3:], late])
    assert [(one.audio, one.kind) for one in found.left_out] == [(str(wrong.audio), "text-mismatch")]


def test_what_is_the_matter_with_most_recordings_leaves_nothing_out(source, rows, tmp_path):
    def whisper(samples):
        power = np.square(samples[: len(samples) // 400 * 400].reshape(-1, 400)).mean(axis=1)
        return 10 ** (-57 / 20) * samples / np.sqrt(np.percentile(power, 95))

    quiet = [copy_of(row, tmp_path, whisper) for row in rows[:6]]
    found = checked(source, [*quiet, *rows[6:]])
    assert not any(one.kind == "quality" for one in found.left_out)
    assert any("6 of 10 recordings are bad" in remark for remark in found.remarks)


def test_a_person_whose_texts_mostly_do_not_fit_keeps_them_all_and_is_told(source, rows):
    shifted = [replace(row, text=rows[n - 1].text) for n, row in enumerate(rows)]
    found = checked(source, shifted)
    assert found.left_out == ()
    assert any("too badly to tell" in remark for remark in found.remarks)


def test_strict_enrols_nobody_and_says_which_recordings(source, rows, tmp_path):
    people = {"ann": rows[:4], "bob": swapped(rows, 2, 7)}
    refused = enroll(source, people, options=EnrolmentOptions(strict=True))
    assert refused.speakers == ()
    assert [failure.item for failure in refused.failed] == [str(rows[2].audio), str(rows[7].audio)]
    assert rows[7].text in refused.failed[0].reason


def test_strict_names_a_file_that_is_given_twice(source, rows, tmp_path):
    copy = tmp_path / "copy.opus"
    copy.write_bytes(rows[0].audio.read_bytes())
    refused = enroll(
        source, {"ann": [*rows[:4], replace(rows[0], audio=copy)]}, options=EnrolmentOptions(strict=True)
    )
    assert refused.speakers == ()
    assert [(one.item, one.reason) for one in refused.failed] == [
        (str(copy), f"the same recording as {rows[0].audio}")
    ]


def test_the_outcome_and_the_record_say_what_was_left_out_and_misheard(tone_model, speak):
    (one,) = enroll(tone_model, {"bob": speak("bob", utterances=4)}).speakers
    assert one.left_out == ()
    entry = json.loads(json.dumps(one.as_dict()))
    assert (entry["left_out"], entry["forecast"]) == ([], None)
    assert one.record.folds["misheard"] == {}


def test_misheard_words_are_counted_the_most_frequent_first():
    texts = ["the cat sat", "a cat ran", "yes"]
    assert misheard(texts, ["the hat sat down", "a", "yes"]) == {"cat": 2, "ran": 1}
