"""What a second run does with the folder of the first one."""

from __future__ import annotations

import json

import pytest

from asradapt.errors import ManifestError, UsageError
from asradapt.simulation.folder import MANIFEST, SETTINGS, open_folder, read_rows


def fill(out, rows):
    for row in rows:
        (out / row["audio_filepath"]).write_text("audio")
    (out / MANIFEST).write_text("".join(json.dumps(row) + "\n" for row in rows))


ROWS = [{"audio_filepath": f"{name}.flac", "duration": 1.5, "text": "caf\u2028e"} for name in "abc"]


def test_rows_without_audio_are_taken_out(tmp_path):
    fill(tmp_path, ROWS)
    assert read_rows(tmp_path) == ROWS
    before = (tmp_path / MANIFEST).read_text().splitlines()
    (tmp_path / "b.flac").unlink()
    assert read_rows(tmp_path) == [ROWS[0], ROWS[2]]
    assert (tmp_path / MANIFEST).read_text().splitlines() == [before[0], before[2]]


@pytest.mark.parametrize(
    "line", ["{", "", "[]", "3", '{"duration": 1}', '{"audio_filepath": "a", "duration": "x"}']
)
def test_a_broken_line_is_named_and_left_alone(tmp_path, line):
    fill(tmp_path, ROWS)
    lines = (tmp_path / MANIFEST).read_text().splitlines()
    broken = "\n".join([lines[0], line, lines[2], ""])
    (tmp_path / MANIFEST).write_text(broken)
    with pytest.raises(ManifestError, match=r"line 2 of .*manifest\.jsonl is broken"):
        read_rows(tmp_path)
    assert (tmp_path / MANIFEST).read_text() == broken


def test_a_folder_without_rows_is_as_good_as_a_new_one(tmp_path):
    open_folder(tmp_path / "sim", {"seed": 0})
    open_folder(tmp_path / "sim", {"seed": 1})
    assert json.loads((tmp_path / "sim" / SETTINGS).read_text()) == {"seed": 1}
    fill(tmp_path / "sim", ROWS)
    with pytest.raises(UsageError, match="made with other seed"):
        open_folder(tmp_path / "sim", {"seed": 0})


def test_a_file_is_not_a_folder(tmp_path):
    (tmp_path / "sim").write_text("mine")
    with pytest.raises(UsageError, match="sim is not a folder"):
        open_folder(tmp_path / "sim", None)
