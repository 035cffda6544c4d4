from __future__ import annotations

import json
import os
import threading
import tracemalloc

import pytest

from asradapt.errors import ManifestError
from asradapt.manifest_stream import stream_manifest
from asradapt.manifests import read_manifest
from asradapt.types import Failure, Utterance

MIXED = [
    {"audio_filepath": "a.wav", "text": "one", "speaker": "ann", "part": "test"},
    "broken",
    {"audio_filepath": "b.wav", "text": "two", "part": "test"},
    {"audio_filepath": "c.wav", "text": "three", "speaker": "ann", "part": "train"},
    {"audio_filepath": "a.wav", "text": "one", "speaker": "ann", "part": "test"},
    {"audio_filepath": "b.wav", "text": "two", "part": "enroll"},
    {"audio_filepath": 7, "part": "test"},
    {"audio_filepath": "d.wav", "speaker": "bob", "offset": 1.5, "part": "test"},
]


def save(path, rows):
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("where", [(), (("part", "test"),)])
def test_it_is_what_reading_the_whole_manifest_gives(tmp_path, where):
    path, failed = save(tmp_path / "m.jsonl", MIXED), []
    whole = read_manifest(path, where)
    with stream_manifest(path, where, failed=failed.append) as stream:
        assert (tuple(stream), tuple(failed), stream.warnings) == (whole.utterances, whole.failed, whole.warnings)
        assert tuple(stream) == whole.utterances  # as often as wanted
        assert stream.count == len(whole.utterances) == (3 if where else 5)
        assert (stream.nameless, stream.speakers.first) == (1 if where else 2, ["ann", "bob"])
    assert [failure.item for failure in failed] == ["m.jsonl:2", "m.jsonl:7"]


def test_an_iteration_may_end_early(tmp_path):
    with stream_manifest(save(tmp_path / "m.jsonl", MIXED), failed=print) as stream:
        assert (
            next(iter(stream))
            == next(iter(stream))
            == Utterance(tmp_path / "a.wav", "one", "ann", None, {"part": "test"})
        )


@pytest.mark.parametrize(
    ("rows", "where", "message"),
    [
        ([], (), "no rows"),
        (["x", "y"], (), "no usable row; 2 are broken, the first is m.jsonl:1"),
        ([{"audio": "a.wav"}], (), "no column 'audio_filepath'; its columns: audio"),
        (MIXED, (("part", "tset"),), "no row is left with part=tset; part is one of enroll, test, train"),
        (MIXED, (("part", "train"), ("speaker", "bob")), "no row is left with speaker=bob; speaker is one of ann"),
    ],
)
def test_a_manifest_of_no_use_is_told_before_anything_is_done(tmp_path, rows, where, message):
    with (
        pytest.raises(ManifestError) as error,
        stream_manifest(save(tmp_path / "m.jsonl", rows), where, failed=lambda _: None),
    ):
        pass
    assert message in str(error.value)


def test_a_pipe_can_be_gone_through_too(tmp_path):
    pipe, content = tmp_path / "pipe", save(tmp_path / "m.jsonl", MIXED).read_bytes()
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    with stream_manifest(pipe, failed=lambda _: None) as stream:
        assert [utterance.audio.name for utterance in stream] == ["a.wav", "b.wav", "c.wav", "b.wav", "d.wav"]
    writer.join()


def test_a_table_is_streamed_past_an_open_quote(tmp_path):
    (tmp_path / "m.csv").write_text(
        f'audio_filepath,text\na.wav,x\nb.wav,"open"x\nc.wav,y\nd.wav,"two\nlines"\ne.wav,{"x" * 70_000}\0\n'
    )
    failed: list[Failure] = []
    with stream_manifest(tmp_path / "m.csv", failed=failed.append) as stream:
        found = [(utterance.audio.name, utterance.text) for utterance in stream]
    assert found == [("a.wav", "x"), ("c.wav", "y"), ("d.wav", "two\nlines")]
    assert [failure.item for failure in failed] == ["m.csv:3", "m.csv:7"]


def test_the_rows_do_not_sit_in_memory(tmp_path):
    def peak(count):
        rows = ({"audio_filepath": f"{n}.wav", "text": "x" * 4000} for n in range(count))
        path = save(tmp_path / "m.jsonl", rows)
        tracemalloc.start()
        with stream_manifest(path, failed=print) as stream:
            assert sum(1 for _ in stream) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(4000) < 8e6  # of 16 MB of text; Python's own table of names may grow by 4 MB on the way
