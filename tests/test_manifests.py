from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asradapt.errors import ManifestError, UsageError
from asradapt.manifests import Manifest, parse_where, pooled, read_manifest, utterances_from_audio, write_manifest
from asradapt.types import Failure, Utterance


def save(folder: Path, content: str | bytes, name: str = "manifest.jsonl") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def lines(*rows: object) -> str:
    return "".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows)


def row(audio: object = "a.wav", text: object = "hello", **columns: object) -> dict[str, object]:
    return {"audio_filepath": audio, "text": text, **columns}


def texts(manifest: Manifest) -> list[str | None]:
    return [u.text for u in manifest.utterances]


class TestJsonLines:
    def test_a_full_row(self, tmp_path):
        path = save(tmp_path, lines(row("clips/a.wav", "Grüß Gott", speaker="ann", duration=1.5, part="test")))
        assert read_manifest(path) == Manifest(
            (Utterance(tmp_path / "clips/a.wav", "Grüß Gott", "ann", 1.5, {"part": "test"}),)
        )

    def test_a_minimal_row(self, tmp_path):
        manifest = read_manifest(save(tmp_path, lines({"audio_filepath": "a.wav"})))
        assert manifest == Manifest((Utterance(tmp_path / "a.wav"),))

    def test_nulls_are_unknown(self, tmp_path):
        path = save(tmp_path, lines(row(text=None, speaker=None, duration=None, age=None)))
        assert read_manifest(path).utterances == (Utterance(tmp_path / "a.wav"),)

    def test_absolute_audio_is_kept_and_existence_is_not_checked(self, tmp_path):
        manifest = read_manifest(save(tmp_path, lines(row("/none/a.wav"), row("../b.wav"))))
        assert [u.audio for u in manifest.utterances] == [Path("/none/a.wav"), tmp_path / "../b.wav"]

    def test_other_columns_become_strings(self, tmp_path):
        columns = {"age": 30, "snr": 12.5, "native": True, "tags": ["x", "ü"], "part": "test", "note": ""}
        fields = read_manifest(save(tmp_path, lines(row(**columns)))).utterances[0].fields
        expected = {"age": "30", "snr": "12.5", "native": "true", "tags": '["x", "ü"]', "part": "test"}
        assert fields == {**expected, "note": ""}

    @pytest.mark.parametrize(
        ("given", "speaker"),
        [
            ("ann", "ann"),
            ("  ann\t", "ann"),
            (7, "7"),
            (7.5, "7.5"),
            ("", None),
            ("  ", None),
            (None, None),
            (0, "0"),
        ],
    )
    def test_speakers_are_stripped_strings(self, tmp_path, given, speaker):
        assert read_manifest(save(tmp_path, lines(row(speaker=given)))).utterances[0].speaker == speaker

    @pytest.mark.parametrize(("given", "seconds"), [(2, 2.0), ("1.5", 1.5), (0, 0.0), ("", None), (" ", None)])
    def test_durations(self, tmp_path, given, seconds):
        assert read_manifest(save(tmp_path, lines(row(duration=given)))).utterances[0].duration == seconds

    def test_the_text_is_as_written(self, tmp_path):
        assert texts(read_manifest(save(tmp_path, lines(row(text=" Hi,  YOU ")))))[0] == " Hi,  YOU "
        assert texts(read_manifest(save(tmp_path, lines(row(text="")))))[0] == ""

    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    @pytest.mark.parametrize("last", [True, False])
    def test_marks_line_ends_and_blank_lines(self, tmp_path, mark, end, last):
        content = lines("", row(text="é"), "   ", row("b.wav", "b"), "", "").rstrip("\n") + ("\n" if last else "")
        manifest = read_manifest(save(tmp_path, mark + content.replace("\n", end).encode()))
        assert texts(manifest) == ["é", "b"]
        assert manifest.failed == manifest.warnings == ()

    def test_line_separators_inside_a_text_are_no_line_ends(self, tmp_path):
        odd = "a\u2028b\x85c\x0bd"
        content = '{"audio_filepath": "a.wav", "text": "' + odd.replace("\x0b", "\\u000b") + '"}\n'
        assert texts(read_manifest(save(tmp_path, content))) == [odd]

    def test_any_ending_is_json_if_it_looks_like_it(self, tmp_path):
        for name in ("m.txt", "m", "m.csv", "M.JSONL"):
            assert texts(read_manifest(save(tmp_path, lines(row()), name))) == ["hello"]

    def test_the_ending_tells_where_the_first_line_is_broken(self, tmp_path):
        manifest = read_manifest(save(tmp_path, lines("broken", row()), "M.JSONL"))
        assert texts(manifest) == ["hello"]
        assert [failure.item for failure in manifest.failed] == ["M.JSONL:1"]


class TestBrokenLines:
    @pytest.mark.parametrize(
        ("bad", "reason"),
        [
            ("not json", "not valid JSON"),
            ('{"audio_filepath": "b.wav", "text": "x"', "not valid JSON"),
            ("[" * 100_000, "not valid JSON"),
            ("1" * 5_000, "not valid JSON"),
            ('["b.wav", "x"]', "not a JSON object"),
            ("null", "not a JSON object"),
            ({"text": "no audio"}, "audio_filepath is missing: write"),
            (row(""), "audio_filepath is ''"),
            (row(7), "audio_filepath is 7"),
            (row(text=7), "text is 7: write a string"),
            (row(text=["x"]), "text is"),
            (row(text=False), "text is False"),
            (row(duration="long"), "duration is 'long'"),
            (row(duration=-1), "duration is -1"),
            (row(duration=True), "duration is True"),
            (row(duration=[1]), "duration is"),
            (row(duration=float("nan")), "duration is nan"),
            (row(duration=float("inf")), "duration is inf"),
            (row(duration=10**400), "duration is 1000"),
            (row(speaker=["ann"]), "speaker is"),
            (row(speaker=True), "speaker is True"),
            ('{"audio_filepath": "b.wav", "text": "\\ud800"}', "not valid UTF-8"),
        ],
    )
    def test_the_rest_is_read(self, tmp_path, bad, reason):
        manifest = read_manifest(save(tmp_path, lines(row(text="one"), bad, row("c.wav", "three"))))
        assert texts(manifest) == ["one", "three"]
        (failure,) = manifest.failed
        assert failure.item == "manifest.jsonl:2"
        assert reason in failure.reason

    def test_line_numbers_count_blank_lines(self, tmp_path):
        manifest = read_manifest(save(tmp_path, lines("", row(), "", "x", "", "y")))
        assert [failure.item for failure in manifest.failed] == ["manifest.jsonl:4", "manifest.jsonl:6"]

    def test_bytes_that_are_not_utf8_fail_alone(self, tmp_path):
        content = (
            lines(row()).encode() + lines(row("b.wav", "Grüße")).encode("latin-1") + lines(row("ü.wav")).encode()
        )
        manifest = read_manifest(save(tmp_path, content))
        assert [u.audio.name for u in manifest.utterances] == ["a.wav", "ü.wav"]
        assert manifest.failed == (Failure("manifest.jsonl:2", "not valid UTF-8: save the file as UTF-8"),)

    def test_broken_rows_outside_the_filter_do_not_matter(self, tmp_path):
        path = save(tmp_path, lines(row(part="test"), row("b.wav", 7, part="train"), "x"))
        manifest = read_manifest(path, [("part", "test")])
        assert [failure.item for failure in manifest.failed] == ["manifest.jsonl:3"]


class TestTables:
    @pytest.mark.parametrize("first", ["sep=;", "SEP=;", '"sep=;"', "\ufeffsep=;"])
    def test_the_line_by_which_excel_knows_the_separator_is_no_header(self, tmp_path, first):
        content = f"{first}\r\naudio_filepath;text\r\na.wav;one, two\r\n;three\r\n"
        manifest = read_manifest(save(tmp_path, content, "m.csv"))
        assert [(one.audio.name, one.text) for one in manifest.utterances] == [("a.wav", "one, two")]
        assert [failure.item for failure in manifest.failed] == ["m.csv:4"]

    @pytest.mark.parametrize(("name", "separator"), [("m.csv", ","), ("m.tsv", "\t"), ("m.csv", ";"), ("m", "\t")])
    @pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_a_table(self, tmp_path, name, separator, mark, end):
        table = [
            "audio_filepath,text, speaker,duration,age",
            "a.wav,Grüß dich,7,1.5,",
            ",,,,",
            "",
            "b.wav,,,,30",
        ]
        content = mark + end.join(table).replace(",", separator).encode()
        manifest = read_manifest(save(tmp_path, content, name))
        assert manifest == Manifest(
            (
                Utterance(tmp_path / "a.wav", "Grüß dich", "7", 1.5, {"age": ""}),
                Utterance(tmp_path / "b.wav", None, None, None, {"age": "30"}),
            )
        )

    def test_quotes(self, tmp_path):
        content = 'audio_filepath,text\na.wav,"one, ""two""\nthree"\nb.wav,it\'s 5" long\nc.wav\nd.wav,x\n'
        manifest = read_manifest(save(tmp_path, content, "m.csv"))
        assert texts(manifest) == ['one, "two"\nthree', "it's 5\" long", "x"]
        assert [failure.item for failure in manifest.failed] == ["m.csv:5"]

    @pytest.mark.parametrize("bad", ['b.wav,"open', 'b.wav,"a"b'])
    def test_a_broken_quote_does_not_swallow_the_rest(self, tmp_path, bad):
        manifest = read_manifest(
            save(tmp_path, f"audio_filepath,text\na.wav,x\n{bad}\nc.wav,y\nd.wav,z\n", "m.csv")
        )
        assert texts(manifest) == ["x", "y", "z"]
        assert [failure.item for failure in manifest.failed] == ["m.csv:3"]
        assert "check its quotes" in manifest.failed[0].reason

    @pytest.mark.parametrize("bad", ["b.wav,one, two", "b.wav"])
    def test_wrong_number_of_cells(self, tmp_path, bad):
        manifest = read_manifest(save(tmp_path, f"audio_filepath,text\na.wav,x\n{bad}\nc.wav,y\n", "m.csv"))
        assert texts(manifest) == ["x", "y"]
        assert "cells where the header has 2" in manifest.failed[0].reason

    def test_bad_values_and_bytes(self, tmp_path):
        content = b"audio_filepath,text,duration\n,x,1\nb.wav,x,long\nc.wav,\xfc,1\nd.wav,x,1\n"
        manifest = read_manifest(save(tmp_path, content, "m.csv"))
        assert [failure.item for failure in manifest.failed] == ["m.csv:2", "m.csv:3", "m.csv:4"]
        assert len(manifest.utterances) == 1

    def test_columns_without_a_name_are_left_out(self, tmp_path):
        manifest = read_manifest(save(tmp_path, ",audio_filepath,text,\n0,a.wav,x,\n", "m.csv"))
        assert manifest == Manifest((Utterance(tmp_path / "a.wav", "x"),))

    @pytest.mark.parametrize("name", ["m.csv", "m.tsv", "m.txt"])
    def test_no_audio_column(self, tmp_path, name):
        with pytest.raises(ManifestError, match=r"no column 'audio_filepath'; its columns: file, words"):
            read_manifest(save(tmp_path, "file\twords\na.wav\tx\n", name))

    def test_a_tsv_is_split_at_tabs_only(self, tmp_path):
        manifest = read_manifest(save(tmp_path, "audio_filepath\none, two; three.wav\n", "M.TSV"))
        assert manifest.utterances == (Utterance(tmp_path / "one, two; three.wav"),)

    def test_a_column_twice(self, tmp_path):
        with pytest.raises(ManifestError, match="several columns named text"):
            read_manifest(save(tmp_path, "audio_filepath,text,text\na.wav,x,y\n", "m.csv"))

    def test_a_broken_header(self, tmp_path):
        with pytest.raises(ManifestError, match="header that cannot be read"):
            read_manifest(save(tmp_path, '"audio_filepath"x,text\na.wav,x\n', "m.csv"))


class TestCommonVoice:
    HEADER = "client_id\tpath\tsentence\tage\n"

    def test_names_and_clips_folder(self, tmp_path):
        (tmp_path / "clips").mkdir()
        (tmp_path / "clips" / "a.mp3").touch()
        (tmp_path / "b.mp3").touch()
        table = self.HEADER + "c1\ta.mp3\tHello.\tteens\nc1\tb.mp3\tHi\t\nc2\tnone.mp3\tHo\t\n"
        assert read_manifest(save(tmp_path, table, "test.tsv")).utterances == (
            Utterance(tmp_path / "clips/a.mp3", "Hello.", "c1", None, {"age": "teens"}),
            Utterance(tmp_path / "b.mp3", "Hi", "c1", None, {"age": ""}),
            Utterance(tmp_path / "none.mp3", "Ho", "c2", None, {"age": ""}),
        )

    def test_the_file_beside_the_table_comes_first(self, tmp_path):
        (tmp_path / "clips").mkdir()
        (tmp_path / "clips" / "a.mp3").touch()
        (tmp_path / "a.mp3").touch()
        path = save(tmp_path, self.HEADER + "c\ta.mp3\tHello\t\n", "test.tsv")
        assert read_manifest(path).utterances[0].audio == tmp_path / "a.mp3"

    def test_unbalanced_quotes(self, tmp_path):
        table = self.HEADER + 'c\ta.mp3\t"Open\t\nc\tb.mp3\t"He said ""yes"""\t\nc\tc.mp3\t"Yes", he "said"\t\n'
        manifest = read_manifest(save(tmp_path, table, "test.tsv"))
        assert texts(manifest) == ['"Open', 'He said "yes"', '"Yes", he "said"']
        assert manifest.failed == ()

    def test_filters_know_the_new_names(self, tmp_path):
        path = save(tmp_path, self.HEADER + "c1\ta.mp3\tx\t\nc2\tb.mp3\ty\t\n", "test.tsv")
        assert texts(read_manifest(path, [("speaker", "c2")])) == ["y"]

    @pytest.mark.parametrize("key", ["client_id=c2", "path=b.mp3", "sentence=y", "audio_filepath=clips/b.mp3"])
    @pytest.mark.parametrize("name", ["test.tsv", "test.csv", "test.jsonl"])
    def test_filters_know_the_names_in_the_file(self, tmp_path, key, name):
        (tmp_path / "clips").mkdir()
        (tmp_path / "clips" / "b.mp3").touch()
        rows = [("c1", "a.mp3", "x", "6"), ("c2", "b.mp3", "y", "7")]
        names = self.HEADER.split()
        if name == "test.jsonl":
            content = lines(*(dict(zip(names, one, strict=True)) for one in rows))
        else:
            content = "".join(("\t" if name == "test.tsv" else ",").join(one) + "\n" for one in [names, *rows])
        path = save(tmp_path, content, name)
        assert texts(read_manifest(path, parse_where([key]))) == ["y"]
        with pytest.raises(ManifestError, match=r"the columns are age, client_id, path, sentence$"):
            read_manifest(path, [("who", "c2")])
        with pytest.raises(ManifestError, match=r"client_id is one of c1, c2$"):
            read_manifest(path, [("client_id", "c3")])

    def test_with_our_own_names_path_is_only_a_column(self, tmp_path):
        path = save(tmp_path, "audio_filepath,text,path,client_id\na.wav,x,elsewhere,c\n", "m.csv")
        assert read_manifest(path).utterances == (
            Utterance(tmp_path / "a.wav", "x", fields={"path": "elsewhere", "client_id": "c"}),
        )

    def test_mixed_names(self, tmp_path):
        path = save(tmp_path, "path,text,sentence\na.wav,x,y\n", "m.csv")
        assert read_manifest(path).utterances == (Utterance(tmp_path / "a.wav", "x", fields={"sentence": "y"}),)

    def test_a_path_too_long_for_a_file(self, tmp_path):
        path = save(tmp_path, self.HEADER + f"c\t{'x' * 5000}\tHello\t\n", "test.tsv")
        assert len(read_manifest(path).utterances) == 1


class TestUnusable:
    @pytest.mark.parametrize("name", ["none.jsonl", "none/m.jsonl", "file/m.jsonl"])
    def test_missing(self, tmp_path, name):
        (tmp_path / "file").touch()
        with pytest.raises(ManifestError, match="does not exist: check the path"):
            read_manifest(tmp_path / name)

    @pytest.mark.parametrize("name", ["x" * 5000, "a\0b"])
    def test_impossible_names(self, tmp_path, name):
        with pytest.raises(ManifestError, match="cannot be read"):
            read_manifest(tmp_path / name)

    def test_folder(self, tmp_path):
        with pytest.raises(ManifestError, match="is a folder: give the manifest file in it"):
            read_manifest(str(tmp_path))

    @pytest.mark.parametrize("name", ["m.jsonl", "m.csv", "m.tsv"])
    @pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
    def test_empty(self, tmp_path, name, content):
        with pytest.raises(ManifestError, match="has no rows"):
            read_manifest(save(tmp_path, content, name))

    @pytest.mark.parametrize("name", ["m.csv", "m.tsv"])
    def test_only_a_header(self, tmp_path, name):
        with pytest.raises(ManifestError, match="has no rows"):
            read_manifest(save(tmp_path, "audio_filepath\n", name))

    def test_no_row_has_audio(self, tmp_path):
        path = save(tmp_path, lines({"file": "a.wav", "text": "x"}, {"audio": "b.wav"}))
        with pytest.raises(ManifestError, match=r"no column 'audio_filepath'; its columns: audio, file, text"):
            read_manifest(path)

    @pytest.mark.parametrize("where", [[], [("part", "test")]])
    def test_every_line_is_broken(self, tmp_path, where):
        path = save(tmp_path, lines("x", "y"))
        with pytest.raises(
            ManifestError, match=r"no usable row; 2 are broken, the first is manifest.jsonl:1: not val"
        ):
            read_manifest(path, where)

    def test_a_json_array(self, tmp_path):
        path = save(tmp_path, json.dumps([row()]), "m.json")
        with pytest.raises(ManifestError, match="not a JSON object"):
            read_manifest(path)

    def test_audio_instead_of_a_manifest(self, tmp_path):
        soundfile.write(tmp_path / "a.wav", np.zeros(100), 16_000)
        with pytest.raises(ManifestError, match="not a text file"):
            read_manifest(tmp_path / "a.wav")

    def test_utf16(self, tmp_path):
        with pytest.raises(ManifestError, match="is UTF-16: save it as UTF-8"):
            read_manifest(save(tmp_path, lines(row()).encode("utf-16")))


class TestRepetitions:
    def test_exact_repetitions_are_used_once(self, tmp_path):
        rows = [
            row(speaker="ann", age="6"),
            row("b.wav"),
            row(speaker="ann", age="7"),
            row("./a.wav", speaker="ann", part=" "),
        ]
        manifest = read_manifest(save(tmp_path, lines(*rows)))
        assert [u.fields for u in manifest.utterances] == [{"age": "6"}, {}]
        assert manifest.warnings == ("2 repeated (same audio, text, speaker and part): each is used once",)

    def test_rows_of_other_parts_are_no_repetitions(self, tmp_path):
        path = save(tmp_path, lines(*[row(part=part) for part in ("enroll", "test", "test", "enroll")]))
        manifest = read_manifest(path)
        assert [u.fields["part"] for u in manifest.utterances] == ["enroll", "test"]
        assert manifest.warnings == ("2 repeated (same audio, text, speaker and part): each is used once",)
        for part in ("enroll", "test"):
            assert len(read_manifest(path, [("part", part)]).utterances) == 1

    def test_parts_that_are_used_together_have_every_recording_once(self, tmp_path):
        rows = [row(part="enroll"), row("b.wav", part="test"), row(part="test"), row(text="other", part="test")]
        read = read_manifest(save(tmp_path, lines(*rows)))
        assert len(read.utterances) == 4
        used = pooled(read)
        assert [(u.audio.name, u.text, u.fields["part"]) for u in used.utterances] == [
            ("a.wav", "hello", "enroll"),
            ("b.wav", "hello", "test"),
            ("a.wav", "other", "test"),
        ]
        differing, again = used.warnings
        assert "'hello' and 'other'" in differing
        assert again.startswith("1 row again in another part, such as")
        assert "a.wav (enroll and test): each recording is used once" in again
        alone = replace(read, utterances=read.utterances[:2])
        assert pooled(alone) is alone

    def test_other_speakers_and_audio_are_no_repetitions(self, tmp_path):
        manifest = read_manifest(save(tmp_path, lines(row(speaker="ann"), row(speaker="anna"), row("b.wav"))))
        assert len(manifest.utterances) == 3
        assert manifest.warnings == ()

    def test_differing_texts_for_one_audio_and_speaker(self, tmp_path):
        rows = [
            row(text="one", speaker="ann"),
            row(text="two", speaker="ann"),
            row("b.wav", "x"),
            row("b.wav", "y"),
        ]
        manifest = read_manifest(save(tmp_path, lines(*rows)))
        assert len(manifest.utterances) == 4
        (warning,) = manifest.warnings
        assert warning.startswith("2 with several texts for the same audio")
        assert "'one' and 'two'" in warning

    def test_the_same_audio_of_two_speakers_may_differ(self, tmp_path):
        rows = [row(text="one", speaker="ann"), row(text="two", speaker="bob"), row(text=None, speaker="bob")]
        assert read_manifest(save(tmp_path, lines(*rows))).warnings == ()

    @pytest.mark.parametrize(("offset", "count"), [(0, 0), (0.0, 0), ("", 0), (None, 0), (1.5, 1), (10, 1)])
    def test_offsets_are_not_silently_ignored(self, tmp_path, offset, count):
        assert len(read_manifest(save(tmp_path, lines(row(offset=offset)))).warnings) == count


class TestWhere:
    ROWS = (
        row("1.wav", "1", speaker="ann", part="train", age=6),
        row("2.wav", "2", speaker="anna", part="test", age=6),
        row("3.wav", "3", speaker=" ann ", part="test", age=30),
        row("4.wav", "4", part="enroll"),
    )

    @pytest.mark.parametrize(
        ("items", "kept"),
        [
            ([], "1234"),
            (["part=test"], "23"),
            (["speaker=ann"], "13"),
            (["speaker=ann", "part=test"], "3"),
            (["part=test", "part=enroll"], "234"),
            (["part=test", "age=6", "part=enroll"], "2"),
            (["age=6"], "12"),
            (["age="], "4"),
            (["text=4"], "4"),
            (["audio_filepath=1.wav"], "1"),
        ],
    )
    def test_filters(self, tmp_path, items, kept):
        manifest = read_manifest(save(tmp_path, lines(*self.ROWS)), parse_where(items))
        assert "".join(u.text or "" for u in manifest.utterances) == kept

    def test_a_table_is_filtered_too(self, tmp_path):
        path = save(tmp_path, "audio_filepath,text,age\na.wav,x,6\nb.wav,y,30\n", "m.csv")
        assert texts(read_manifest(path, [("age", "30")])) == ["y"]

    @pytest.mark.parametrize(
        ("items", "message"),
        [
            (["part=tset"], "no row is left with part=tset; part is one of enroll, test, train"),
            (["part=x", "part=y"], "no row is left with part=x or part=y; part is one of"),
            (["part=test", "age=7"], "no row is left with age=7; age is one of 30, 6"),
            (["age=7"], "age is one of '', 30, 6"),
            (["prt=test"], "the columns are age, audio_filepath, part, speaker, text"),
        ],
    )
    def test_nothing_left(self, tmp_path, items, message):
        with pytest.raises(ManifestError) as error:
            read_manifest(save(tmp_path, lines(*self.ROWS)), parse_where(items))
        assert message in str(error.value)

    def test_at_most_ten_values_are_listed(self, tmp_path):
        path = save(tmp_path, lines(*(row(f"{i}.wav", speaker=f"s{i:02}") for i in range(13))))
        with pytest.raises(ManifestError, match=r"one of s00, .*, s09 and 3 more$"):
            read_manifest(path, [("speaker", "s99")])

    def test_parsing(self):
        assert parse_where([]) == ()
        assert parse_where(["part=test", " age = 6 ", "x=a=b", "y="]) == (
            ("part", "test"),
            ("age", "6"),
            ("x", "a=b"),
            ("y", ""),
        )

    def test_all_bad_filters_are_named(self):
        with pytest.raises(UsageError, match=r"KEY=VALUE .*, not 'part', '=x'$"):
            parse_where(["part", "a=b", "=x"])
        assert UsageError.exit_code == 2


class TestFromAudio:
    @pytest.fixture
    def folder(self, tmp_path):
        for name in ("b.wav", "a.opus", "sub/c.flac"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbf  One \r\n\r\n two\t\n")
        (tmp_path / "b.txt").write_text("B", encoding="utf-8")
        (tmp_path / "sub" / "c.txt").write_text("Süß", encoding="utf-8")
        return tmp_path

    def test_folder(self, folder):
        manifest = utterances_from_audio([folder], speaker="ann")
        assert manifest == Manifest(
            (
                Utterance(folder / "a.opus", "One two", "ann"),
                Utterance(folder / "b.wav", "B", "ann"),
                Utterance(folder / "sub/c.flac", "Süß", "ann"),
            )
        )

    def test_files_and_folders_in_the_given_order(self, folder):
        manifest = utterances_from_audio([str(folder / "sub"), folder / "b.wav"])
        assert [u.audio.name for u in manifest.utterances] == ["c.flac", "b.wav"]
        assert {u.speaker for u in manifest.utterances} == {None}

    def test_given_twice(self, folder):
        manifest = utterances_from_audio([folder, folder / "b.wav"])
        assert len(manifest.utterances) == 3
        assert "1 repeated" in manifest.warnings[0]

    def test_what_cannot_be_used_is_listed_and_the_rest_is_done(self, folder):
        (folder / "empty").mkdir()
        paths = [folder / "none.wav", folder / "empty", folder / "b.wav"]
        manifest = utterances_from_audio(paths)
        assert [u.audio.name for u in manifest.utterances] == ["b.wav"]
        assert [failure.item for failure in manifest.failed] == [str(path) for path in paths[:2]]
        assert "does not exist" in manifest.failed[0].reason
        assert "holds no audio" in manifest.failed[1].reason

    @pytest.mark.parametrize(
        ("content", "reason", "warnings"),
        [(None, "no text: write", 0), (b" \n", "is empty", 1), (b"\xfc", "save it as UTF-8", 1)],
    )
    def test_texts_that_cannot_be_used(self, folder, content, reason, warnings):
        text = folder / "b.txt"
        text.unlink()
        if content is not None:
            text.write_bytes(content)
        manifest = utterances_from_audio([folder])
        assert len(manifest.utterances) == 2
        assert manifest.failed[0].item == str(folder / "b.wav")
        assert reason in manifest.failed[0].reason
        relaxed = utterances_from_audio([folder], need_text=False)
        assert relaxed.failed == ()
        assert [u.text for u in relaxed.utterances] == ["One two", None, "Süß"]
        assert len(relaxed.warnings) == warnings

    def test_nothing_usable_is_no_exception(self, tmp_path):
        assert utterances_from_audio([]) == Manifest(())
        assert len(utterances_from_audio([tmp_path / "none"]).failed) == 1


class TestWrite:
    def test_round_trip(self, tmp_path):
        utterances = (
            Utterance(tmp_path / "clips" / "ä.wav", 'Say "hi", Zoë', "ann", 1.5, {"age": "6", "part": "test"}),
            Utterance(Path("/elsewhere/b.wav"), ""),
            Utterance(tmp_path / "c.wav"),
        )
        path = tmp_path / "new" / ".." / "m.jsonl"
        write_manifest(path, utterances)
        written = [json.loads(line) for line in (tmp_path / "m.jsonl").read_text(encoding="utf-8").splitlines()]
        assert [w["audio_filepath"] for w in written] == ["clips/ä.wav", "/elsewhere/b.wav", "c.wav"]
        assert written[2] == {"audio_filepath": "c.wav"}
        assert read_manifest(tmp_path / "m.jsonl") == Manifest(utterances)

    def test_audio_relative_to_the_working_folder(self, tmp_path, monkeypatch):
        (tmp_path / "data").mkdir()
        monkeypatch.chdir(tmp_path)
        write_manifest("data/m.jsonl", [Utterance(Path("data/a.wav"), "x"), Utterance(Path("b.wav"), "y")])
        written = (tmp_path / "data/m.jsonl").read_text(encoding="utf-8").splitlines()
        assert [json.loads(w)["audio_filepath"] for w in written] == ["a.wav", str(tmp_path / "b.wav")]

    def test_links_keep_their_names(self, tmp_path):
        (tmp_path / "m").mkdir()
        (tmp_path / "store").touch()
        (tmp_path / "m" / "a.wav").symlink_to(tmp_path / "store")
        write_manifest(tmp_path / "m" / "m.jsonl", [Utterance(tmp_path / "m" / "a.wav")])
        assert '"a.wav"' in (tmp_path / "m" / "m.jsonl").read_text(encoding="utf-8")

    def test_columns_cannot_be_overwritten_by_fields(self, tmp_path):
        write_manifest(tmp_path / "m.jsonl", [Utterance(tmp_path / "a.wav", fields={"text": "no", "x": "y"})])
        assert read_manifest(tmp_path / "m.jsonl").utterances[0] == Utterance(
            tmp_path / "a.wav", fields={"x": "y"}
        )

    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path, monkeypatch):
        path = save(tmp_path, "old")

        def fail(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "replace", fail)
        with pytest.raises(ManifestError, match="cannot be written"):
            write_manifest(path, [Utterance(Path("a.wav"))])
        assert [p.name for p in tmp_path.iterdir()] == ["manifest.jsonl"]
        assert path.read_text(encoding="utf-8") == "old"

    def test_a_name_that_is_not_utf8(self, tmp_path):
        with pytest.raises(ManifestError, match="cannot be written"):
            write_manifest(tmp_path / "m.jsonl", [Utterance(tmp_path / "\udcff.wav")])
        assert list(tmp_path.iterdir()) == []

    def test_over_a_folder(self, tmp_path):
        with pytest.raises(ManifestError, match="cannot be written"):
            write_manifest(tmp_path, [Utterance(Path("a.wav"))])

    def test_new_folders_are_made(self, tmp_path):
        write_manifest(tmp_path / "a" / "b" / "m.jsonl", [])
        assert (tmp_path / "a" / "b" / "m.jsonl").read_text(encoding="utf-8") == ""
