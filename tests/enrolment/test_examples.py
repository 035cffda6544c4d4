from __future__ import annotations

import shutil
import zlib

import numpy as np
import pytest
import soundfile
import torch

from asradapt.enrolment.examples import LONGEST_SECONDS, prepare_examples
from asradapt.enrolment.spelling import encode_text, frames_needed, left_out_of
from asradapt.errors import TextError
from asradapt.types import Utterance

TOKENS = ("", " ", "'", *"abcdefghijklmnopqrstuvwxyz")


@pytest.fixture
def record(tmp_path, babble):
    """Writes a recording: `record("a.wav", 1.0)`."""

    def write(name: str, seconds: float = 1.0, level: float = 0.1, rate: int = 16000):
        soundfile.write(tmp_path / name, babble(seconds, zlib.crc32(name.encode()), level, rate).numpy(), rate)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Hello, World!", "hello world"),
        ("  don't   SHOUT ", "don't shout"),
        ("it’s - fine", "it's fine"),
        ("a\tb\nc", "a b c"),
    ],
)
def test_text_is_normalised_and_encoded_so_that_it_reads_back(text, normal):
    written, indices = encode_text(text, TOKENS)
    assert written == normal == "".join(TOKENS[index] for index in indices)
    assert all(index > 0 for index in indices)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ["empty", "write down what is said"]),
        ("", ["empty"]),
        (" \n\t", ["empty"]),
        ("?! ...", ["holds no word"]),
        ("room 42", ["cannot write: 2 4", "numbers as words"]),
        ("hello 👍", ["cannot write: 👍"]),
        ("привет", ["в", "е", "и", "п", "р", "т"]),
        ("café", ["cannot write: é"]),
        ("cafe\u0301", ["cannot write: é"]),
        ("日本 🎉 7", ["7", "日", "本", "🎉"]),
    ],
)
def test_text_that_cannot_be_written_is_told_with_every_character(text, parts):
    with pytest.raises(TextError) as caught:
        encode_text(text, TOKENS)
    assert all(part in str(caught.value) for part in parts)


def test_the_numbers_hint_is_for_numbers_only():
    with pytest.raises(TextError) as caught:
        encode_text("café", TOKENS)
    assert "numbers" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "frames"), [([], 0), ([3], 1), ([3, 4, 3], 3), ([3, 3], 3), ([3, 3, 3, 4, 4], 8)]
)
def test_equal_neighbours_need_a_blank_between_them(target, frames):
    assert frames_needed(target) == frames


def test_a_good_recording_becomes_an_example(tiny_model, record):
    model, path = tiny_model(), record("good.wav", 1.2, rate=8000)
    found = prepare_examples(model, [Utterance(path, "Good morning!", "ann")])
    (example,) = found.usable
    assert not found.failed
    assert not found.warnings
    assert (example.text, example.utterance.audio, example.seconds) == ("good morning", path, 1.2)
    assert example.features.shape == (120, 80)
    assert not example.features.requires_grad
    assert [model.tokens[index] for index in example.target] == list("good morning")
    assert len(example.digest) == 64
    assert example.quality.level == pytest.approx(-20, abs=5)
    assert len(example.bands) == 32


def test_features_are_those_of_the_model(tiny_model, record):
    model, path = tiny_model(), record("good.wav", 0.5)
    (example,) = prepare_examples(model, [Utterance(path, "good")]).usable
    samples = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
    features, _ = model.prepare(samples[None], torch.tensor([len(samples)]))
    assert torch.equal(example.features, features[0])


def test_what_cannot_be_used_is_reported_with_its_reason_and_the_rest_is_kept(tiny_model, record, tmp_path):
    (tmp_path / "notes.wav").write_text("this is no audio")
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000, np.float32), 16000)
    soundfile.write(tmp_path / "long.wav", 0.1 * np.ones(41 * 8000, np.float32), 8000)
    cases = {
        "empty.wav": ("", "the text is empty"),
        "digits.wav": ("call 911", "write numbers as words"),
        "emoji.wav": ("nice 👍", "👍"),
        "script.wav": ("привет", "cannot write"),
        "dense.wav": ("far too much text for a recording of one second", "too many for 1.0 s"),
        "silent.wav": ("hello", "silent"),
        "short.wav": ("a", "0.10 s long; enrolment takes 0.2 to 40 s"),
        "long.wav": ("hello", "long.wav lasts 41.0 s; at most 40 s are allowed: split it"),
        "notes.wav": ("hello", "not audio"),
        "missing.wav": ("hello", "does not exist"),
    }
    for name in ("empty.wav", "digits.wav", "emoji.wav", "script.wav", "dense.wav", "short.wav"):
        record(name, 0.1 if name == "short.wav" else 1.0)
    good = [Utterance(record("first.wav"), "good day"), Utterance(record("last.wav"), "good night")]
    bad = [Utterance(tmp_path / name, text) for name, (text, _) in cases.items()]
    found = prepare_examples(tiny_model(), [good[0], *bad, good[1]])
    assert [example.utterance for example in found.usable] == good
    assert [failure.item for failure in found.failed] == [str(utterance.audio) for utterance in bad]
    for failure, (_, reason) in zip(found.failed, cases.values(), strict=True):
        assert reason in failure.reason


def test_odd_recordings_are_used_with_a_warning_that_names_them(tiny_model, record):
    path = record("loud.wav", level=9.0)
    found = prepare_examples(tiny_model(), [Utterance(path, "hello")])
    assert len(found.usable) == 1
    assert len(found.warnings) == 1
    assert str(path) in found.warnings[0]
    assert "clipped" in found.warnings[0]


def test_text_may_fill_the_recording_but_no_more(tiny_model, record):
    path = record("one.wav", 1.0)  # 25 output frames
    fits, too_long = Utterance(path, "ab" * 12 + "a"), Utterance(path, "ab" * 13)
    found = prepare_examples(tiny_model(), [fits, too_long])
    assert [example.utterance for example in found.usable] == [fits]
    assert len(found.failed) == 1
    assert not prepare_examples(tiny_model(), [Utterance(path, "a" * 14)]).usable  # with blanks between


def test_the_same_recording_twice_is_used_once_with_a_warning(tiny_model, record, tmp_path):
    path, copy, other = record("a.wav"), tmp_path / "copy.wav", record("b.wav", 1.2)
    shutil.copy(path, copy)
    soundfile.write(tmp_path / "a.flac", soundfile.read(path, dtype="int16")[0], 16000)  # the same samples
    rows = [Utterance(p, "Good day!") for p in (path, other, copy, path, tmp_path / "a.flac")]
    rows[2] = Utterance(copy, "good  day")  # the same text after normalisation
    found = prepare_examples(tiny_model(), rows)
    assert [example.utterance for example in found.usable] == rows[:2]
    assert len({example.digest for example in found.usable}) == 2
    assert not found.failed
    assert list(found.warnings) == [
        f"{again}: the same recording as {path}, used once" for again in (copy, path, tmp_path / "a.flac")
    ]


def test_the_same_recording_with_another_text_is_refused(tiny_model, record, tmp_path):
    path, copy = record("a.wav"), tmp_path / "copy.wav"
    shutil.copy(path, copy)
    rows = [Utterance(path, "good day"), Utterance(copy, "good night"), Utterance(path, "good morning")]
    found = prepare_examples(tiny_model(), rows)
    assert [example.text for example in found.usable] == ["good day"]
    assert [failure.item for failure in found.failed] == [str(copy), str(path)]
    assert all(f"the same recording as {path} with another text" in f.reason for f in found.failed)
    assert not found.warnings


def test_a_recording_of_exactly_the_longest_time_is_taken(tiny_model, record):
    found = prepare_examples(tiny_model(), [Utterance(record("long.wav", LONGEST_SECONDS, rate=8000), "hello")])
    assert [example.seconds for example in found.usable] == [40.0]


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("<blank>", " ", *"abc'-"), ""),
        (("<blank>", " ", *"abc\u00df\u0905"), ""),
        (("<blank>", " ", *"abcABC"), "writes capitals,"),
        (("<blank>", " ", *"abc,."), "writes punctuation,"),
        (("<blank>", " ", *"aB?"), "writes capitals and punctuation, which are not learned from"),
        ((), ""),
    ],
)
def test_what_a_model_writes_and_texts_have_not_is_told(tokens, said):
    found = left_out_of(tokens)
    assert said in found if said else found == ""
