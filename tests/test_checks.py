from __future__ import annotations

import zlib
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from asradapt.checks import check_utterances, match_texts, text_match
from asradapt.checks.parts import role
from asradapt.recordings.duplicates import same_sounds
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript
from asradapt.types import Utterance

RATE = 16_000


@pytest.fixture
def clip(tmp_path, babble):
    """Makes a recording and its row: `clip("a.wav", "text", seconds=2.0, part="test")`."""

    def make(name, text="one two three four", *, seconds=2.0, seed=None, speaker="ann", rate=RATE, **fields):
        samples = babble(seconds, zlib.crc32(name.encode()) % 1000 if seed is None else seed, rate=rate).numpy()
        samples *= fields.pop("gain", 1.0)
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples, rate, **fields.pop("format", {}))
        return Utterance(path, text, speaker, fields.pop("duration", None), fields)

    return make


def kinds(*utterances):
    found = check_utterances(utterances)
    return {one.kind: one.items for one in found.findings}


def test_nothing_is_wrong_with_good_recordings(clip):
    rows = [clip("a.wav", part="enroll", duration=2.0), clip("b.wav", "five six seven eight", part="test")]
    checked = check_utterances(rows)
    assert checked.findings == ()
    assert checked.errors == 0
    summary = checked.summary()
    assert (summary["rows"], summary["minutes"], summary["parts"]) == (2, 0.07, {"enroll": 1, "test": 1})


def test_levels_durations_rates_and_unreadable_files(clip, tmp_path):
    rows = [
        clip("clipped.wav", gain=30.0),
        clip("silent.wav", gain=0.0),
        clip("quiet.wav", gain=0.02),
        clip("wrong.wav", duration=3.0),
        clip("slow.wav", rate=8000),
        clip("short.wav", seconds=0.15),
        Utterance(tmp_path / "no.wav", "one two"),
    ]
    found = kinds(*rows)
    assert found["unreadable"][0].startswith(str(tmp_path / "no.wav"))
    assert {item.split("/")[-1].split(":")[0] for item in found["level"]} == {"clipped.wav", "silent.wav"}
    assert [item.split("/")[-1].split(":")[0] for item in found["quiet"]] == ["quiet.wav"]
    assert "3.00 s stated, 2.00 s long" in found["duration"][0]
    assert "8000 Hz" in found["rates"][0]
    assert [item.split("/")[-1] for item in found["short"]] == ["short.wav: 0.15 s"]


def test_texts_that_are_missing_odd_or_too_fast(clip):
    found = kinds(
        clip("a.wav", "..."),
        clip("b.wav", "room 12 costs 5€ <noise>"),
        clip("c.wav", "one two three four five six seven eight nine ten eleven twelve thirteen", seconds=1.0),
        clip("d.wav", "a b c d", seconds=30.0),
        clip("e.wav", "yes", seconds=30.0),  # one word may stand alone
    )
    assert "'...'" in found["no-text"][0]
    assert found["characters"][0].endswith("1 2 5 < > €")
    assert [item.split(":")[0].split("/")[-1] for item in found["speed"]] == ["c.wav", "d.wav"]


def test_the_same_sound_under_another_name_or_format_is_found(clip):
    found = kinds(
        clip("a.wav", seed=1, part="enroll"),
        clip("b.mp3", seed=1, part="enroll", gain=0.5),
        clip("c.wav", seed=2, part="enroll"),
        clip("d.flac", seed=2, part="test"),
        clip("e.wav", seed=3, part="test"),
        clip("f.wav", seed=4, part="test", gain=0.0),
        clip("g.wav", seed=5, part="test", gain=0.0),  # silence is the same as no sound
    )
    assert len(found["duplicate-audio"]) == 1
    assert "a.wav = " in found["duplicate-audio"][0]
    assert "b.mp3" in found["duplicate-audio"][0]
    (crossing,) = found["duplicate-across-parts"]
    assert "c.wav (enroll)" in crossing
    assert "d.flac (test)" in crossing


def test_sentences_and_people_that_leak_into_what_is_measured(clip):
    found = kinds(
        clip("a.wav", "the same four words", part="enroll"),
        clip("b.wav", "The SAME four words!", part="test"),
        clip("c.wav", "yes", part="enroll"),
        clip("d.wav", "yes", part="test"),
        clip("e.wav", "other words than those here", part="train", speaker="bob"),
        clip("f.wav", "some words of another kind", part="test", speaker="bob"),
    )
    assert found["text-in-enroll-and-test"] == ("'the same four words': 1 and 1 times",)
    assert found["speaker-in-training-and-test"] == ("bob (train and test)",)
    assert "text-in-train-and-test" not in found


def test_one_recording_in_two_parts_is_found_whatever_it_holds(clip, tmp_path):
    said, silent, missing = clip("a.wav"), clip("b.wav", gain=0.0), Utterance(tmp_path / "no.wav", "one two")
    rows = [replace(u, fields={"part": part}) for part in ("enroll", "test") for u in (said, silent, missing)]
    found = check_utterances(rows)
    (finding,) = [one for one in found.findings if one.kind == "duplicate-across-parts"]
    assert finding.severity == "error"
    assert {item.split(" = ")[1].split("/")[-1] for item in finding.items} == {
        f"{name}.wav (test)" for name in ("a", "b", "no")
    }


@pytest.mark.parametrize(
    ("part", "meant"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("train-clean-100", "train"),
        ("enrolment", "enroll"),
        ("adapt", "enroll"),
        ("validation", "dev"),
        ("valid_2", "dev"),
        ("dev", "dev"),
        ("eval", "test"),
        ("test-other", "test"),
        ("testing", "test"),
        ("train-dev", None),
        ("attest", None),
        ("A", None),
        ("", None),
    ],
)
def test_parts_are_known_by_their_usual_names(part, meant):
    assert role(part) == meant


def test_people_and_sentences_leak_under_usual_names_too(clip):
    found = kinds(
        clip("a.wav", "the same four words", part="adapt"),
        clip("b.wav", "the same four words", part="Testing"),
        clip("c.wav", "the same four words", part="valid"),
        clip("d.wav", "other words than those here", part="training", speaker="bob"),
        clip("e.wav", "some words of another kind", part="eval", speaker="bob"),
        clip("f.wav", "some words of another kind", part="test-clean", speaker="eve"),
        clip("a2.wav", "these are one two three", seed=9, part="training", speaker="eve2"),
        clip("b2.wav", "four five six seven eight", seed=9, part="train_2", speaker="eve2"),
    )
    assert found["speaker-in-training-and-test"] == ("bob (training and eval)",)
    assert found["text-in-enroll-and-test"] == ("'the same four words': 1 and 1 times",)
    assert found["text-in-enroll-and-dev"] == ("'the same four words': 1 and 1 times",)
    assert "duplicate-across-parts" not in found  # both are for training
    assert len(found["duplicate-audio"]) == 1
    assert "unknown-part" not in found


def test_parts_that_are_not_known_are_named(clip):
    rows = [clip("a.wav", part="A"), clip("b.wav", part="test"), clip("c.wav"), clip("d.wav", part="A", seed=8)]
    assert kinds(*rows)["unknown-part"] == ("no part (1 row)", "A (2 rows)")
    assert "unknown-part" not in kinds(rows[2])


def test_a_column_that_says_what_rows_are_for_under_another_name_is_told(clip):
    rows = [clip("a.wav", split="train"), clip("b.wav", split="test", subset="")]
    assert kinds(*rows)["no-part"] == ("split",)
    assert "no-part" not in kinds(*rows, clip("c.wav", part="test"))
    assert "no-part" not in kinds(clip("d.wav"))


def sure_of_itself(model):
    """The model with sharper scores: what it hears is far more likely to it than anything else."""
    with torch.no_grad():
        for weight in model.module.output.parameters():
            weight.mul_(5.0)
    return model


@pytest.fixture(scope="module")
def spoken(tmp_path_factory, babble, tiny_model):
    """Recordings with the texts that a model hears in them: the right ones."""
    model, folder = sure_of_itself(tiny_model(kernel=5)), tmp_path_factory.mktemp("spoken")
    rows = []
    for number in range(30):
        soundfile.write(folder / f"{number}.wav", babble(0.8 + 0.02 * number, number).numpy(), RATE)
        rows.append(Utterance(folder / f"{number}.wav", None, "ann"))
    heard = [one for one in Transcriber(model).transcribe(rows) if isinstance(one, Transcript)]
    return model, [Utterance(one.utterance.audio, one.text, "ann") for one in heard]


def test_right_texts_are_believed_and_swapped_ones_are_found(spoken):
    model, rows = spoken
    right, failed = match_texts(model, rows)
    assert failed == []
    assert not any(one.suspect for one in right)
    assert min(one.others for one in right) >= 20
    assert sum(one.margin > 0 for one in right) >= 28
    swapped = list(rows)
    for a, b in ((0, 9), (3, 20), (11, 25)):
        swapped[a] = Utterance(rows[a].audio, rows[b].text, "ann")
        swapped[b] = Utterance(rows[b].audio, rows[a].text, "ann")
    found, _ = match_texts(model, swapped)
    assert {place for place, one in enumerate(found) if one.suspect} == {0, 3, 9, 11, 20, 25}


def test_recordings_are_read_in_windows_of_bounded_length(spoken, monkeypatch):
    model, rows = spoken
    whole, _ = match_texts(model, rows)
    held, shares = [], []
    listened = text_match._listened

    def noted(model, window):
        held.append(sum(map(len, window.values())) / RATE)
        return listened(model, window)

    monkeypatch.setattr(text_match, "_listened", noted)
    monkeypatch.setattr(text_match, "WINDOW_SECONDS", 3.0)
    found, _ = match_texts(model, rows, progress=shares.append)
    assert len(held) > 5
    assert max(held) < 3.0 + 2.0  # one recording more than the window
    assert [one.utterance for one in found] == rows
    assert [one.share for one in found] == [one.share for one in whole]
    assert [one.margin for one in found] == pytest.approx([one.margin for one in whole], abs=1e-3)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_few_texts_are_too_few_to_suspect_any(spoken):
    model, rows = spoken
    swapped = [Utterance(rows[a].audio, rows[b].text, "ann") for a, b in ((0, 9), (9, 0), (3, 3), (20, 20))]
    found, _ = match_texts(model, swapped)
    assert found[0].share > 0.3  # the other text fits better
    assert not any(one.suspect for one in found)


def test_what_cannot_be_matched_fails_alone(spoken, tmp_path):
    model, rows = spoken
    broken = [Utterance(tmp_path / "no.wav", rows[0].text), Utterance(rows[0].audio, "größe 3")]
    found, failed = match_texts(model, [*broken, *rows[:2]])
    assert len(found) == 2
    assert [failure.item for failure in failed] == [str(tmp_path / "no.wav"), str(rows[0].audio)]
    alone, _ = match_texts(model, rows[:1])
    assert (alone[0].others, alone[0].suspect) == (0, False)
    assert np.isfinite(alone[0].margin)


def test_no_recording_has_no_duplicate() -> None:
    assert same_sounds([], [], lambda place: np.zeros(1, np.float32)) == []
