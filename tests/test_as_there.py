"""Names of files that a table writes otherwise than the disk."""

from __future__ import annotations

import os
from pathlib import Path
from unicodedata import normalize

import pytest

from asradapt.as_there import as_there
from asradapt.manifests import read_manifest

NAME = "Gespr\N{LATIN SMALL LETTER A WITH DIAERESIS}ch.wav"


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_may_be_written_either_way(tmp_path, form):
    there = tmp_path / normalize(form, NAME)
    there.touch()
    for other in ("NFC", "NFD"):
        assert as_there(tmp_path / normalize(other, NAME)).samefile(there)


@pytest.mark.skipif(os.sep == "\\", reason="backslashes are slashes here")
def test_backslashes_stand_for_slashes_where_no_name_has_them(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / normalize("NFD", NAME)).touch()
    assert as_there(Path(f"{tmp_path}/one\\{NAME}")) == tmp_path / "one" / normalize("NFD", NAME)
    (tmp_path / f"one\\{NAME}").touch()
    assert as_there(Path(f"{tmp_path}/one\\{NAME}")) == tmp_path / f"one\\{NAME}"


def test_what_is_nowhere_stays_as_it_is_written(tmp_path, monkeypatch):
    for name in ("a\\b.wav", NAME, "x" * 5000 + NAME):
        assert as_there(tmp_path / name) == tmp_path / name
    monkeypatch.setattr(Path, "exists", lambda self: pytest.fail("plain names need no look at the disk"))
    assert as_there(Path("/data/p001.wav")) == Path("/data/p001.wav")


@pytest.mark.skipif(os.sep == "\\", reason="backslashes are slashes here")
def test_rows_of_a_table_from_windows_are_the_same_recording(tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.wav").touch()
    (tmp_path / "m.csv").write_text("audio_filepath,text\none\\a.wav,x\none/a.wav,x\n")
    found = read_manifest(tmp_path / "m.csv")
    assert [one.audio for one in found.utterances] == [tmp_path / "one" / "a.wav"]
    assert "1 repeated" in found.warnings[0]
