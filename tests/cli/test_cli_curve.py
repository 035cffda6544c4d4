from __future__ import annotations

import json

import pytest
import soundfile
from samples import write_rows


@pytest.fixture(scope="module")
def timed(recordings, tmp_path_factory):
    """The manifest of ann with durations and absolute paths."""
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    full = [
        row | {"audio_filepath": str(path), "duration": soundfile.info(path).duration}
        for row in rows
        if row["speaker"] == "ann"
        for path in [recordings / row["audio_filepath"]]
    ]
    return write_rows(tmp_path_factory.mktemp("timed") / "m.jsonl", full)


def test_a_curve_in_a_table_as_json_and_as_a_report(asradapt, timed, tmp_path):
    common = ("curve", "--manifest", timed, "--minutes", "0.1,0.2", "--repeats", 1, "--method", "affine")
    done = asradapt(*common, "--report", tmp_path / "r.html")
    assert done.code == 0
    content = asradapt(*common, "--json").json
    lines = done.out.splitlines()
    assert lines[1].split()[:3] == ["0", "(source)", f"{content['source']['wer']:.1%}"]
    for point, line in zip(content["points"], lines[2:], strict=False):
        assert line.split()[:2] == [f"{point['minutes']:g}", f"{point['wer']:.1%}"]
    page = (tmp_path / "r.html").read_text()
    assert "Learning curve" in page
    assert f"{content['points'][0]['runs'][0]['adapted']} of 1</td>" in page
    assert f"asradapt curve --manifest {timed}" in page


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "give --manifest FILE"),
        (("--manifest", "x.jsonl", "--minutes", "1,x"), 2, "no list of minutes"),
        (("--manifest", "x.jsonl", "--minutes", "2,1"), 2, "minutes must rise"),
        (("--manifest", "x.jsonl", "--method", "no"), 2, "no adaptation method named 'no'"),
        (("--manifest", "x.jsonl", "--no-audio"), 2, "belongs to --report"),
        (("--manifest", "x.jsonl"), 1, "does not exist"),
    ],
)
def test_wrong_usage_says_what_to_do(asradapt, arguments, code, said):
    done = asradapt("curve", *arguments)
    assert done.code == code
    assert said in done.err
