"""What a person changed in a transcript, found again."""

from __future__ import annotations

import json

import pytest

from asradapt.corrections import corrections
from asradapt.errors import TextError
from asradapt.transcript import check_of
from asradapt.transcript_files import Piece, Written, read_transcripts

PIECES = (Piece(0.0, 2.0, "a b c", "a b c"), Piece(2.5, 4.0, "d e", "d e"), Piece(5.0, 30.0, "f g", "f g"))


def written(text="a b c d e f g", pieces=PIECES, **other):
    return Written(
        **{"audio": "x.wav", "speaker": None, "recognised": "a b c d e f g", "seconds": 30.0} | other,
        **{"text": text, "digest": "", "pieces": pieces},
    )


def edited(entry):
    return [(one.start, one.end, one.text) for one in corrections(entry) if one.edited]


def test_an_unchanged_transcript_holds_no_correction_but_all_its_segments():
    assert edited(written()) == []
    assert [one.text for one in corrections(written())] == ["a b c", "d e", "f g"]
    assert edited(written("A b, c. D e f g!")) == [], "case and punctuation are not scored, so they change nothing"


def test_a_changed_segment_is_found():
    pieces = (PIECES[0], Piece(2.5, 4.0, "d x e", "d e"), PIECES[2])
    assert edited(written(pieces=pieces)) == [(2.5, 4.0, "d x e")]
    assert edited(written("a b c d x e f g", pieces=pieces)) == [(2.5, 4.0, "d x e")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a x c d e f g", [(0.0, 2.0, "a x c")]),
        ("a b c d e f g h", [(5.0, 30.0, "f g h")]),
        ("b c d e f", [(0.0, 2.0, "b c"), (5.0, 30.0, "f")]),
        ("a b c x d e f g", [(0.0, 4.0, "a b c x d e")]),  # at a border: whose word it is cannot be told
        ("a b x y e f g", [(0.0, 4.0, "a b x y e")]),
    ],
)
def test_a_changed_whole_text_is_shared_out_among_the_segments(text, expected):
    assert edited(written(text)) == expected


def test_a_file_in_which_nothing_was_heard_can_be_given_its_text():
    silent = written("hello", pieces=(), recognised="", seconds=3.0)
    assert edited(silent) == [(0.0, 3.0, "hello")]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (written("a", pieces=(Piece(0.0, 2.0, "x", "a b c"),)), "both the whole text and segments"),
        (written(pieces=(Piece(2.0, 31.0, "a", "a b c"),)), "outside the audio of 30 s"),
        (written(pieces=(Piece(float("nan"), 3.0, "a", "a b c"),)), "outside the audio"),
        (written(pieces=(PIECES[1], Piece(0.0, 2.0, "x", "a b c"))), "order of time"),
        (written("hello", pieces=(), recognised="", seconds=60.0), "more than 40 s"),
    ],
)
def test_what_cannot_be_learned_from_is_said(entry, said):
    with pytest.raises(TextError, match=said):
        corrections(entry)


ENTRY = {
    "audio": "x.wav",
    "speaker": "ann",
    "text": "a",
    "recognised": "b",
    "seconds": 2,
    "sha256": "",
    "segments": [{"start": 0, "end": 2, "text": "b", "recognised": "b"}],
}


@pytest.mark.parametrize("content", [[ENTRY], {"results": [ENTRY]}, ENTRY])
def test_every_form_that_transcribe_writes_is_read(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(content))
    (found,), failed = read_transcripts(path)
    assert (found.audio, found.text, found.pieces[0].end, failed) == ("x.wav", "a", 2.0, [])
    path.write_text(f"{json.dumps(ENTRY)}\n\n{json.dumps(ENTRY)}\n")
    assert len(read_transcripts(path)[0]) == 2


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"segments": None}, "segments are no list"),
        ({"seconds": "2"}, "seconds is '2'"),
        ({"text": 3}, "text is 3"),
    ],
)
def test_entries_that_cannot_be_used_are_told_with_their_audio(tmp_path, change, said):
    path = tmp_path / "t.json"
    path.write_text(json.dumps(ENTRY | change))
    found, (failure,) = read_transcripts(path)
    assert (found, failure.item) == ([], "x.wav")
    assert said in failure.reason


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"a": 1', "\x00"])
def test_files_that_are_no_transcripts_are_refused(tmp_path, content):
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(TextError, match=r"t\.json"):
        read_transcripts(path)


def test_an_older_transcript_without_segments_says_to_transcribe_again(tmp_path):
    path = tmp_path / "t.json"
    path.write_text(json.dumps({key: value for key, value in ENTRY.items() if key != "segments"}))
    _, (failure,) = read_transcripts(path)
    assert "no 'segments': transcribe again" in failure.reason


@pytest.mark.parametrize("broken", ['{\n "audio": "x.wav"\n "text": "a"\n}\n', '{\n "audio": "x.wav",\n "te'])
def test_a_slip_in_an_indented_file_is_named_where_it_is(tmp_path, broken):
    path = tmp_path / "t.json"
    path.write_text(broken)
    with pytest.raises(TextError, match=r"t\.json is not JSON \(.*line 3"):
        read_transcripts(path)


def test_a_slip_in_one_of_many_lines_is_named_by_its_line(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"audio": "x.wav"}\n{"audio": "y.wav" "text": "a"}\n')
    with pytest.raises(TextError, match="line 2"):
        read_transcripts(path)


def as_written(said="a b c", **segment):
    """An entry of one segment as `transcribe` writes it."""
    piece = {"start": 0.0, "end": 2.0, "text": said, "recognised": said, "check": check_of(said)}
    whole = {"audio": "x.wav", "speaker": None, "seconds": 2.0, "sha256": "0", "segments": [piece | segment]}
    words = [{"word": word, "start": 0.0, "end": 1.0, "confidence": 0.5} for word in said.split()]
    return whole | {"text": said, "recognised": said, "check": check_of(said), "words": words}


def read_one(entry, tmp_path):
    path = tmp_path / "t.json"
    path.write_text(entry if isinstance(entry, str) else json.dumps(entry))
    (one,), failed = read_transcripts(path)
    assert (failed, one.home) == ([], tmp_path)
    return one


def test_words_that_are_replaced_wherever_they_stand_are_corrections(tmp_path):
    entry = json.dumps(as_written("a grin c")).replace("grin", "brian")
    assert edited(read_one(entry, tmp_path)) == [(0.0, 2.0, "a brian c")]
    again = json.dumps(as_written("a grin c") | {"segments": []}).replace("grin", "brian")
    assert edited(read_one(again, tmp_path)) == [(0.0, 2.0, "a brian c")]
    assert edited(read_one(as_written(), tmp_path)) == []


def test_case_that_is_replaced_everywhere_changes_nothing(tmp_path):
    assert edited(read_one(json.dumps(as_written("a grin c")).replace("a grin", "A Grin"), tmp_path)) == []


def test_a_segment_may_be_changed_beside_words_that_are_replaced_everywhere(tmp_path):
    entry = as_written("a grin c d e")
    halves = (("a grin c", 0.0), ("d e", 1.0))
    entry["segments"] = [
        {"start": start, "end": start + 1, "text": said, "recognised": said, "check": check_of(said)}
        for said, start in halves
    ]
    entry = json.loads(json.dumps(entry).replace("grin", "brian"))
    entry["segments"][1]["text"] = "d f"
    assert edited(read_one(entry, tmp_path)) == [(0.0, 1.0, "a brian c"), (1.0, 2.0, "d f")]


def test_what_was_heard_alone_cannot_be_corrected(tmp_path):
    assert edited(read_one(as_written(recognised="x"), tmp_path)) == []
    old = as_written()
    del old["check"], old["segments"][0]["check"]
    assert edited(read_one(json.dumps(old).replace("b", "x"), tmp_path)) == [], "nothing tells that it was changed"


def test_the_list_of_words_alone_is_no_correction_but_is_told_of(tmp_path):
    entry = as_written()
    entry["words"][1]["word"] = "x"
    with pytest.raises(TextError, match="words were changed, but no text"):
        corrections(read_one(entry, tmp_path))
    assert edited(read_one(entry | {"words": []}, tmp_path)) == []
    entry["segments"][0]["text"] = "a y c"
    assert edited(read_one(entry, tmp_path)) == [(0.0, 2.0, "a y c")]


def test_files_of_other_formats_and_encodings_are_refused_with_what_to_do(tmp_path):
    path = tmp_path / "t.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\na b c\n")
    with pytest.raises(TextError, match="no JSON but something else"):
        read_transcripts(path)
    for encoding in ("cp1252", "utf-16"):
        path.write_text(
            json.dumps(as_written("\N{LATIN SMALL LETTER U WITH DIAERESIS}"), ensure_ascii=False), encoding
        )
        with pytest.raises(TextError, match=r"is not UTF-8 .*: save it as UTF-8"):
            read_transcripts(path)
