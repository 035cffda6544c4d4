"""Texts beside recordings, whatever a program has made of their names."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize

import pytest

from asradapt.errors import TextError
from asradapt.manifests import utterances_from_audio
from asradapt.texts_beside import TextsBeside


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"said in {path.name}", encoding="utf-8")


def texts(folder: Path) -> dict[str, str | None]:
    return {one.audio.name: one.text for one in utterances_from_audio([folder]).utterances}


UMLAUT = "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}bung 1"


@pytest.mark.parametrize(
    ("audio", "text"),
    [
        ("p1.wav", "p1.txt"),
        ("P4.WAV", "p4.txt"),
        ("p4.wav", "P4.TXT"),
        ("p4.wav", "p4.TXT"),
        ("p2.wav", "p2.txt.txt"),
        ("p3.wav", "p3.wav.txt"),
        ("P3.Wav", "p3.wav.TXT"),
        (f"{UMLAUT}.wav", normalize("NFD", f"{UMLAUT}.txt")),
        (normalize("NFD", f"{UMLAUT}.wav"), f"{UMLAUT}.txt"),
        ("a/b.c.wav", "a/b.c.txt"),
    ],
)
def test_a_name_that_looks_the_same_is_the_same(tmp_path, audio, text):
    make(tmp_path, audio, text)
    assert texts(tmp_path) == {Path(audio).name: f"said in {Path(text).name}"}
    assert utterances_from_audio([tmp_path / audio]).utterances[0].text == f"said in {Path(text).name}"
    assert not utterances_from_audio([tmp_path]).warnings


def test_a_text_of_exactly_another_name_stays_with_that_one(tmp_path):
    make(tmp_path, "A.wav", "a.wav", "a.txt")
    if not (tmp_path / "A.wav").samefile(tmp_path / "a.wav"):
        found = utterances_from_audio([tmp_path])
        assert [(one.audio.name, one.text) for one in found.utterances] == [("a.wav", "said in a.txt")]
        assert "write what was said into A.txt" in found.failed[0].reason


def test_a_text_with_the_ending_of_a_recording_is_of_that_one(tmp_path):
    make(tmp_path, "a.wav", "a.mp3", "a.wav.txt", "a.mp3.txt", "b.wav", "b.wav.ogg", "b.wav.txt")
    assert texts(tmp_path) == {
        "a.mp3": "said in a.mp3.txt",
        "a.wav": "said in a.wav.txt",
        "b.wav.ogg": "said in b.wav.txt",
    }
    assert not utterances_from_audio([tmp_path]).warnings


def test_several_that_look_the_same_are_none(tmp_path):
    make(tmp_path, "a.wav", "A.txt", "a.txt.txt")
    if len(list(tmp_path.iterdir())) == 3:
        with pytest.raises(TextError, match=r"A\.txt and a\.txt\.txt look alike, call the right one a\.txt"):
            TextsBeside().of(tmp_path / "a.wav")
        assert "look alike" in utterances_from_audio([tmp_path]).failed[0].reason
        (heard,) = utterances_from_audio([tmp_path], need_text=False).utterances
        assert heard.text is None


def test_other_letters_are_another_name_and_folders_are_no_texts(tmp_path):
    make(tmp_path, "Ma\N{LATIN SMALL LETTER SHARP S}e.wav", "Masse.txt", "b.wav", "B.txt/x", "c.txt/x")
    found = utterances_from_audio([tmp_path])
    assert (found.utterances, len(found.failed)) == ((), 2)
    assert found.warnings == (f"{tmp_path / 'Masse.txt'}: a text without a recording of its name beside it",)


def test_a_folder_is_read_once_and_nothing_below_it_for_a_single_file(tmp_path, monkeypatch):
    make(tmp_path, *(f"{number}.wav" for number in range(5)), "below/x.wav")
    looked = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: looked.append(folder) or scan(folder))
    utterances_from_audio([tmp_path / f"{number}.wav" for number in range(5)])
    assert looked == [tmp_path]


def test_texts_of_other_folders_are_not_taken(tmp_path):
    make(tmp_path, "one/a.wav", "two/A.txt")
    assert texts(tmp_path) == {}


def test_texts_without_a_recording_are_told_where_texts_matter(tmp_path):
    make(tmp_path, "a.wav", "a.txt", "b.txt", "below/c.txt", ".hidden/d.txt", "._a.txt")
    (warning,) = utterances_from_audio([tmp_path]).warnings
    assert warning == f"{tmp_path / 'b.txt'} and 1 more: a text without a recording of its name beside it"
    assert utterances_from_audio([tmp_path], need_text=False).warnings == ()
    assert utterances_from_audio([tmp_path], need_text=False, tell_texts=True).warnings == (warning,)
    assert utterances_from_audio([tmp_path / "a.wav"]).warnings == ()


def test_recordings_of_another_kind_are_found_and_not_passed_over(tmp_path):
    make(tmp_path, "a.wav", "a.txt", "b.m4a", "b.txt", "c.MOV")
    found = utterances_from_audio([tmp_path])
    assert [one.audio.name for one in found.utterances] == ["a.wav", "b.m4a"]
    assert [failure.item for failure in found.failed] == [str(tmp_path / "c.MOV")]
    assert found.warnings == ()
