from __future__ import annotations

import json

import pytest
import torch
from samples import write_rows

from asradapt.models.source import save_source


def test_a_good_manifest(asradapt, recordings):
    done = asradapt("check", recordings / "manifest.jsonl", "--json")
    assert (done.code, done.json["findings"]) == (0, [])
    assert done.json["summary"]["parts"] == {"enroll": 24, "test": 8}
    shown = asradapt("check", recordings / "manifest.jsonl", "--where", "part=test")
    assert "8 rows, 2 speakers" in shown.out
    assert "nothing to complain about" in shown.out


def test_names_that_nobody_can_be_enrolled_under_are_told(asradapt, recordings, tmp_path):
    row = {"audio_filepath": str(recordings / "ann0.wav"), "text": "one", "speaker": "../x"}
    done = asradapt("check", write_rows(tmp_path / "m.jsonl", [row]))
    assert (done.code, "nothing to complain about" in done.out) == (0, False)
    assert "warning: name, 1: nobody can be enrolled under these names\n  speaker name '../x' " in done.out


def test_a_folder_is_no_manifest(asradapt, recordings):
    done = asradapt("check", recordings)
    assert (done.code, done.out) == (1, "")
    assert "is a folder: give the manifest file in it" in done.err
    assert "`asradapt enroll` looks at them before it learns" in done.err


def test_what_falsifies_a_measurement_is_an_error(asradapt, recordings, tmp_path):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    first = rows[0] | {"part": "test", "text": "another one"}
    full = [row | {"audio_filepath": str(recordings / row["audio_filepath"])} for row in [*rows, first]]
    done = asradapt("check", write_rows(tmp_path / "m.jsonl", full))
    assert done.code == 1
    assert "error: duplicate-across-parts, 1:" in done.out
    assert "ann0.wav (enroll)" in done.out


@pytest.mark.parametrize("learned", ["enroll", "train", "Training"])
def test_the_same_row_in_two_parts_is_an_error(asradapt, recordings, tmp_path, learned):
    row = {"audio_filepath": str(recordings / "ann0.wav"), "text": "one", "speaker": "ann"}
    manifest = write_rows(tmp_path / "m.jsonl", [row | {"part": learned}, row | {"part": "test"}])
    done = asradapt("check", manifest)
    assert done.code == 1
    assert "error: duplicate-across-parts, 1:" in done.out
    assert f"ann0.wav ({learned}) = " in done.out


def test_nothing_is_called_clean_that_has_repeated_rows(asradapt, recordings, tmp_path):
    row = {"audio_filepath": str(recordings / "ann0.wav"), "text": "one", "speaker": "ann"}
    done = asradapt("check", write_rows(tmp_path / "m.jsonl", [row, row]))
    assert (done.code, "nothing to complain about" in done.out) == (0, False)
    assert "1 repeated" in done.err


def test_swapped_texts_are_found(asradapt, recordings, tmp_path, tiny_model):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    rows[2]["text"], rows[20]["text"] = rows[20]["text"], rows[2]["text"]
    full = [row | {"audio_filepath": str(recordings / row["audio_filepath"])} for row in rows]
    sure = tiny_model(kernel=5)  # the model that heard the texts, with sharper scores
    with torch.no_grad():
        for weight in sure.module.output.parameters():
            weight.mul_(5.0)
    model = tmp_path / "sure.safetensors"
    save_source(sure, model, dtype=torch.float32)
    arguments = ("check", write_rows(tmp_path / "m.jsonl", full), "--match-text", "--model", model)
    content = asradapt(*arguments, "--json").json
    (finding,) = [one for one in content["findings"] if one["kind"] == "text-mismatch"]
    assert {item.split(":")[0] for item in finding["items"]} == {
        rows[2]["audio_filepath"],
        rows[20]["audio_filepath"],
    }


def test_a_missing_manifest_is_told(asradapt):
    done = asradapt("check", "no.jsonl")
    assert done.code == 1
    assert "no.jsonl does not exist" in done.err


def test_texts_that_cannot_be_compared_are_told(asradapt, recordings, model_path, tmp_path):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()[:3]]
    rows[1]["text"] = "größer"
    full = [row | {"audio_filepath": str(recordings / row["audio_filepath"])} for row in rows]
    manifest = write_rows(tmp_path / "m.jsonl", full)
    done = asradapt("check", manifest, "--match-text", "--model", model_path, "--json")
    assert "2 of 3 recordings compared with their texts" in done.err
    (told,) = [one for one in done.json["warnings"] if "not compared with its text" in one]
    assert rows[1]["audio_filepath"] in told
