"""One bad input among good ones: it is named at the end with what to do, the others are done, nothing is lost."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile
from samples import random_state, store_speaker, stored_files, write_rows

from asradapt.store import SpeakerStore

RATE = 16_000


def write(samples, subtype="PCM_16"):
    return lambda path: soundfile.write(path, samples, RATE, subtype=subtype)


def truncated(path):
    soundfile.write(path, np.full(RATE, 0.1), RATE)
    path.write_bytes(path.read_bytes()[:9_000])


# name of the file, how it is made (None: not at all), what the failure says
BAD_AUDIO = {
    "missing": ("a.wav", None, "does not exist"),
    "not audio": ("a.wav", lambda path: path.write_bytes(b"hello " * 1000), "not audio"),
    "no bytes": ("a.wav", lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
    "no samples": ("a.wav", write(np.zeros(0)), "holds no sound"),
    "truncated": ("a.wav", truncated, "cut off"),
    "nan": ("a.wav", write(np.full(RATE, np.nan), "FLOAT"), "NaN"),
    "infinite": ("a.wav", write(np.full(RATE, np.inf), "FLOAT"), "infinite"),
    "unscaled": ("a.wav", write(np.full(RATE, 20_000.0), "FLOAT"), "scale"),
    "empty folder": ("a", lambda path: path.mkdir(), "holds no audio file"),
    "text file": ("a.txt", lambda path: path.write_text("hello"), "not audio"),
}


@pytest.fixture(params=BAD_AUDIO)
def bad_audio(request, tmp_path):
    """A file that cannot be used, with a text beside it, and what is said about it."""
    name, make, said = BAD_AUDIO[request.param]
    path = tmp_path / name
    if make:
        make(path)
    if path.suffix == ".wav":
        path.with_suffix(".txt").write_text("hello")
    return path, said


def clips(recordings, speaker, *numbers):
    return [recordings / f"{speaker}{number}.wav" for number in numbers]


def test_bad_audio_among_good_is_named_and_the_others_are_transcribed(asradapt, recordings, bad_audio):
    path, said = bad_audio
    first, last = clips(recordings, "ann", 0, 1)
    done = asradapt("transcribe", first, path, last, "--json")
    assert done.code == 1
    assert list(done.failed) == [path.name]
    assert said in done.failed[path.name]
    good = asradapt("transcribe", first, last, "--json")
    assert done.json["results"] == good.json["results"]
    shown = asradapt("transcribe", first, path, last)
    assert shown.err.count(str(path)) == 1
    assert said in shown.err


def test_bad_audio_among_good_is_named_and_the_others_are_enrolled(asradapt, recordings, bad_audio, home):
    path, said = bad_audio
    first, last = clips(recordings, "ann", 0, 1)
    done = asradapt("enroll", "ann", first, path, last, "--json")
    assert done.code == 1
    assert list(done.failed) == [path.name]
    assert said in done.failed[path.name]
    assert SpeakerStore(home).record("ann").utterances == 2


def test_silence_is_no_error_it_transcribes_to_nothing_with_a_warning(asradapt, tmp_path):
    write(np.zeros(RATE))(tmp_path / "a.wav")
    done = asradapt("transcribe", tmp_path / "a.wav")
    assert (done.code, done.out) == (0, "\n")
    assert done.err.startswith("warning: ")
    assert "silent" in done.err
    (result,) = asradapt("transcribe", tmp_path / "a.wav", "--json").json["results"]
    assert (result["text"], result["seconds"]) == ("", 1.0)


def test_clipped_audio_is_used_with_a_warning(asradapt, tmp_path, babble):
    write(np.clip(30 * babble(1.0, 4).numpy(), -1, 1))(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("hello")
    for command in (["transcribe"], ["enroll", "ann"]):
        done = asradapt(*command, tmp_path / "a.wav")
        assert done.code == 0
        assert "clipped" in done.err


@pytest.mark.parametrize("seconds", [0.001, 0.05, 1.0])
def test_short_audio_is_transcribed(asradapt, tmp_path, babble, seconds):
    write(babble(seconds, 4).numpy())(tmp_path / "a.wav")
    done = asradapt("transcribe", tmp_path / "a.wav", "--json")
    assert done.code == 0
    assert done.json["results"][0]["seconds"] == seconds
    assert ("very short" in "".join(done.json["warnings"])) == (seconds < 0.1)


BAD_TEXT = {
    "missing": (None, "no text"),
    "empty": ("", "is empty"),
    "blank": (" \n\t", "is empty"),
    "punctuation": ("?!", "no word"),
    "digits": ("call 112 now", "write numbers as words"),
    "emoji": ("hello 😀", "😀"),
    "another script": ("привет", "п"),
    "another letter": ("naïve", "ï"),
    "too long": ("many words " * 20, "too many for"),
    "not UTF-8": (b"caf\xe9", "UTF-8"),
}


@pytest.mark.parametrize(("text", "said"), BAD_TEXT.values(), ids=BAD_TEXT)
def test_a_text_that_cannot_be_learnt_from_is_named_and_the_others_are_enrolled(
    asradapt, recordings, tmp_path, home, text, said
):
    bad, *good = clips(recordings, "ann", 0, 1, 2)
    shutil.copy(bad, tmp_path / "bad.wav")
    if text is not None:
        (tmp_path / "bad.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = asradapt("enroll", "ann", good[0], tmp_path / "bad.wav", good[1], "--json")
    assert done.code == 1
    assert list(done.failed) == ["bad.wav"]
    assert said in done.failed["bad.wav"]
    assert SpeakerStore(home).record("ann").utterances == 2


def test_any_text_may_stand_beside_audio_that_is_only_transcribed(asradapt, recordings, tmp_path):
    shutil.copy(recordings / "ann0.wav", tmp_path / "a.wav")
    expected = asradapt("transcribe", recordings / "ann0.wav").out
    for text in ("привет 112 😀", "", b"caf\xe9"):
        (tmp_path / "a.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
        done = asradapt("transcribe", tmp_path / "a.wav")
        assert (done.code, done.out) == (0, expected)


def row(audio, **columns):
    return {"audio_filepath": str(audio), "text": "one two", "speaker": "ann"} | columns


COMMANDS = (("transcribe",), ("evaluate",), ("enroll", "ann"))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_broken_line_of_a_manifest_is_named_by_its_number_and_the_others_are_used(
    asradapt, recordings, tmp_path, command
):
    path = write_rows(tmp_path / "m.jsonl", map(row, clips(recordings, "ann", 0, 1)))
    first, second = path.read_text().splitlines()
    path.write_text("\n".join([first, '{"audio_filepath": "x.wav", "text"', "", second, '{"text": "no audio"}']))
    done = asradapt(*command, "--manifest", path, "--json")
    assert done.code == 1
    assert list(done.failed) == ["m.jsonl:2", "m.jsonl:5"]
    assert "not valid JSON" in done.failed["m.jsonl:2"]
    used = done.json.get("results") or done.json["speakers"]
    assert sum(entry.get("utterances", 1) for entry in used) == 2


BAD_MANIFESTS = {
    "missing": (None, "does not exist"),
    "empty": ("", "has no rows"),
    "all broken": ("{\n{\n", "2 are broken, the first is m.jsonl:1"),
    "no audio column": (
        '{"file": "a.wav", "text": "hello"}\n',
        "no column 'audio_filepath'; its columns: file, text",
    ),
    "binary": ("\0\1\2", "not a text file"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(("content", "said"), BAD_MANIFESTS.values(), ids=BAD_MANIFESTS)
def test_an_unusable_manifest_is_an_error_that_says_why(asradapt, tmp_path, home, command, content, said):
    if content is not None:
        (tmp_path / "m.jsonl").write_text(content)
    done = asradapt(*command, "--manifest", tmp_path / "m.jsonl")
    assert (done.code, done.out) == (1, "")
    assert said in done.err
    assert not home.exists()


def test_a_filter_that_leaves_nothing_lists_what_there_is(asradapt, recordings):
    done = asradapt("transcribe", "--manifest", recordings / "manifest.jsonl", "--where", "part=dev")
    assert done.code == 1
    assert "part is one of enroll, test" in done.err


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_repeated_rows_are_used_once_with_a_warning(asradapt, recordings, manifest, command):
    one, two = map(row, clips(recordings, "ann", 0, 1))
    done = asradapt(*command, "--manifest", manifest(one, two, one, one), "--json")
    assert done.code == 0
    assert any("2 repeated" in warning for warning in done.json["warnings"])
    used = done.json.get("results") or done.json["speakers"]
    assert sum(entry.get("utterances", 1) for entry in used) == 2


@pytest.mark.parametrize("command", [("enroll", "ann"), ("evaluate",)], ids=lambda command: command[0])
def test_parts_used_together_have_every_recording_once_with_a_warning(asradapt, recordings, manifest, command):
    one, two = (row(path, text="one two") for path in clips(recordings, "ann", 0, 1))
    rows = [one | {"part": "enroll"}, two | {"part": "enroll"}, one | {"part": "test"}]
    done = asradapt(*command, "--manifest", manifest(*rows), "--json")
    assert done.code == 0
    assert any("1 row again in another part" in warning for warning in done.json["warnings"])
    assert sum(entry["utterances"] for entry in done.json["speakers"]) == 2
    alone = asradapt(*command, "--manifest", manifest(*rows), "--where", "part=test", "--json")
    assert not any("in another part" in warning for warning in alone.json["warnings"])
    assert sum(entry["utterances"] for entry in alone.json["speakers"]) == 1


def test_a_recording_of_several_parts_is_transcribed_for_each(asradapt, recordings, manifest, tmp_path):
    one = row(*clips(recordings, "ann", 0))
    rows = manifest(one | {"part": "enroll"}, one | {"part": "test"}, one | {"part": "test"})
    done = asradapt("transcribe", "--manifest", rows, "--output-dir", tmp_path / "out", "--json")
    assert (done.code, len(done.json["results"]), len(list((tmp_path / "out").iterdir()))) == (0, 2, 1)
    assert "1 repeated" in done.err


def test_rows_without_a_usable_speaker_are_named_and_the_others_are_enrolled(asradapt, recordings, manifest, home):
    first, second, third = clips(recordings, "ann", 0, 1, 2)
    rows = [row(first), row(second, speaker="../up"), row(third, speaker=None)]
    done = asradapt("enroll", "--every-speaker", "--manifest", manifest(*rows), "--json")
    assert done.code == 1
    assert [failure["item"] for failure in done.json["failed"]] == [str(third), "../up"]
    assert SpeakerStore(home).speakers() == ["ann"]


BAD_NAMES = (
    "a/b",
    "..",
    "../up",
    "a\\b",
    "",
    ".",
    " ann",
    "ann ",
    "a\nb",
    "a\tb",
    "x" * 300,
    "é" * 300,
    "CON",
    "a*b",
    "😀",
)
WITH_NAME = (
    ("enroll", "NAME", "ann0.wav"),
    ("transcribe", "ann0.wav", "--speaker", "NAME"),
    ("evaluate", "--manifest", "manifest.jsonl", "--speaker", "NAME"),
    ("speakers", "show", "NAME"),
    ("speakers", "remove", "NAME", "--yes"),
    ("speakers", "rollback", "NAME"),
    ("speakers", "export", "NAME", "/nowhere/x.zip"),
)


@pytest.mark.parametrize("words", WITH_NAME, ids=lambda words: "-".join(words[:2]))
def test_an_invalid_speaker_name_is_wrong_usage_everywhere(asradapt, enrolled, recordings, words, monkeypatch):
    monkeypatch.chdir(recordings)
    before = stored_files(enrolled)
    for name in BAD_NAMES:
        done = asradapt(*[name if word == "NAME" else word for word in words])
        assert (done.code, done.out) == (2, ""), name
        assert "error: " in done.err
        assert len(done.err) < 600
    assert stored_files(enrolled) == before


def test_an_invalid_name_is_refused_at_import(asradapt, enrolled, tmp_path):
    asradapt("speakers", "export", "ann", tmp_path / "ann.zip")
    before = stored_files(enrolled)
    assert asradapt("speakers", "import", tmp_path / "ann.zip", "--name", "../up").code == 2
    assert stored_files(enrolled) == before


@pytest.fixture
def mixed(recordings, manifest):
    """A manifest with two rows of `ann` and two of `bob`, mixed."""
    audio = zip(clips(recordings, "ann", 12, 13), clips(recordings, "bob", 12, 13), strict=True)
    return manifest(*[row(path, speaker=path.name[:3]) for pair in audio for path in pair])


def test_an_adaptation_of_another_source_model_is_not_applied(asradapt, enrolled, recordings, mixed, other_path):
    done = asradapt("transcribe", recordings / "ann0.wav", "--speaker", "ann", "--model", other_path)
    assert (done.code, done.out) == (1, "")
    assert "'ann' belongs to another source model" in done.err
    assert "tiny (fingerprint " in done.err
    assert "not other (" in done.err
    for command in ("transcribe", "evaluate"):
        every = asradapt(command, "--manifest", mixed, "--model", other_path, "--json")
        assert every.code == 1
        assert all("another source model" in reason for reason in every.failed.values())


def damage_tensors(folder):
    path = next(folder.rglob("adaptation.safetensors"))
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")


def damage_record(folder):
    next(folder.rglob("speaker.json")).write_text('{"speaker": "ann"}')


@pytest.mark.parametrize("damage", [damage_tensors, damage_record])
def test_a_damaged_speaker_fails_alone_and_the_message_says_what_to_do(asradapt, enrolled, mixed, damage):
    damage(enrolled / "speakers" / "ann")
    for command in ("transcribe", "evaluate"):
        done = asradapt(command, "--manifest", mixed, "--json")
        assert done.code == 1
        assert list(done.failed) == ["ann12.wav", "ann13.wav"]
        assert all("asradapt speakers remove ann" in reason for reason in done.failed.values())
        used = done.json.get("results") or done.json["speakers"]
        assert {entry["speaker"] for entry in used} == {"bob"}


def test_tensors_of_another_method_fail_alone(asradapt, enrolled, mixed, tiny):
    store = SpeakerStore(enrolled)
    store.save(store.record("ann"), random_state(tiny, "lowrank"))
    done = asradapt("transcribe", "--manifest", mixed, "--json")
    assert list(done.failed) == ["ann12.wav", "ann13.wav"]
    assert [result["speaker"] for result in done.json["results"]] == ["bob", "bob"]


def test_a_damaged_record_does_not_hide_the_other_speakers(asradapt, enrolled):
    damage_record(enrolled / "speakers" / "ann")
    done = asradapt("speakers", "list", "--json")
    assert done.code == 1
    assert [entry["speaker"] for entry in done.json["speakers"]] == ["bob"]
    assert list(done.failed) == ["ann"]
    shown = asradapt("speakers", "list")
    assert "bob" in shown.out
    assert "failed: ann: " in shown.err


def test_a_damaged_speaker_can_go_back_or_be_enrolled_again(asradapt, enrolled, recordings, tiny):
    damage_tensors(enrolled / "speakers" / "ann")
    store_speaker(SpeakerStore(enrolled), tiny, "ann", "affine")
    damage_tensors(enrolled / "speakers" / "ann" / "versions" / "000002")
    assert asradapt("speakers", "rollback", "ann").code == 1
    assert asradapt("enroll", "ann", *clips(recordings, "ann", 0, 1)).code == 0
    assert asradapt("transcribe", recordings / "ann0.wav", "--speaker", "ann").code == 0
