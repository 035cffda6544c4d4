"""A configuration's mistakes are named before anything is extracted."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_speech import CONFIG, MANIFEST_SET, write_speech

from configuration import check, read_config, read_roots
from sets import extract

RECIPE = Path(__file__).parents[2] / "recipes" / "source_en"


@pytest.mark.parametrize("name", ["config", "ablation", "librispeech"])
def test_shipped_configurations_are_read(name: str) -> None:
    assert read_config(RECIPE / f"{name}.toml")["sets"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("width = 16", "widht = 16", "widht is unknown; there are width"),
        ("width = 16", "width = 18", "not a multiple of twice 2 heads"),
        ("kernel = 3", "kernel = 4", "even"),
        ("conditions = [1]", "conditions = [3]", "not among 2 blocks"),
        ("clip = 1.0", "", r"\[optimiser\] lacks clip"),
        ("noise = 0.5", "noice = 0.5", "lacks noise.*noice is unknown"),
        ("seed = 3", "", "seed"),
        ("[[sets]]", "[[other]]", "no .*sets"),
        ("[model]", "[model", "configuration"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text((CONFIG + MANIFEST_SET).replace(old, new, 1))
    with pytest.raises(SystemExit, match=message):
        read_config(path)


def test_missing_files_are_named_before_the_work(tmp_path: Path) -> None:
    write_speech(tmp_path / "speech")
    (tmp_path / "config.toml").write_text(CONFIG + MANIFEST_SET)
    config, roots = read_config(tmp_path / "config.toml"), {"speech": str(tmp_path / "speech")}
    with pytest.raises(SystemExit, match="--root text=FOLDER"):
        check(config, roots, None)
    with pytest.raises(SystemExit, match=r"words\.dict does not exist"):
        check(config, roots | {"text": str(tmp_path)}, None)
    roots["text"] = roots["speech"]
    check(config, roots, None)
    with pytest.raises(SystemExit, match="cannot be read"):
        check(config, roots, tmp_path / "config.toml")
    with pytest.raises(SystemExit, match="NAME=FOLDER"):
        read_roots(["speech"])


def test_frames_of_other_recordings_are_made_anew(tmp_path: Path) -> None:
    write_speech(tmp_path / "speech")
    options = {"name": "words", "path": "{speech}/manifest.jsonl", "where": ["part=train"]}
    roots, folder = {"speech": str(tmp_path / "speech")}, tmp_path / "frames"
    extract(options, roots, folder)
    first = (folder / "index.json").stat().st_mtime_ns
    extract(options | {"repeat": 3}, roots, folder)
    assert (folder / "index.json").stat().st_mtime_ns == first
    extract(options | {"where": ["part=validation"]}, roots, folder)
    assert (folder / "index.json").read_text().count("[") == 1 + 2
