"""Parsers of corpora on tiny folders of the same layout."""

from __future__ import annotations

import shutil

import pytest
from layouts import WITH_LAYOUT, sound, text

import prepare  # noqa: F401  (registers the parsers)
from asradapt.errors import ManifestError
from rows import LAYOUTS
from torgo import clean


def of(rows, **wanted):
    return [row for row in rows if all(row.fields.get(k, row.speaker) == v for k, v in wanted.items())]


def test_l2arctic(l2arctic):
    corpus = LAYOUTS["l2arctic"](l2arctic)
    assert len(corpus.rows) == 30
    assert corpus.skipped == {"no text": 1}
    (row,) = [row for row in corpus.rows if row.speaker == "NJS" and row.fields["prompt"] == "arctic_a0002"]
    assert (row.text, row.duration) == ("Sentence number 2, read.", 0.3)
    assert (row.fields["accent"], row.fields["gender"]) == ("spanish", "f")
    assert "accent" not in next(row for row in corpus.rows if row.speaker == "XYZ").fields


def test_torgo(torgo):
    corpus = LAYOUTS["torgo"](torgo)
    assert {(row.speaker, row.fields["group"], row.fields["mic"]) for row in corpus.rows} == {
        ("F01", "dysarthria", "wav_headMic"),
        ("MC02", "control", "wav_arrayMic"),
        ("M03", "dysarthria", "wav_headMic"),
    }
    assert [row.text for row in corpus.rows if row.speaker == "F01"] == ["stick", "Except in the winter.", "tear"]
    assert corpus.skipped == {"no text": 9, "no microphone or unknown speaker": 1}


def test_uaspeech(uaspeech):
    corpus = LAYOUTS["uaspeech"](uaspeech)
    assert len(corpus.rows) == 18
    test = of(corpus.rows, part="test")
    assert {(row.speaker, row.fields["block"]) for row in test} == {("M04", "B2")}
    assert {row.text for row in test} == {"ONE", "THE", "WORDB2"}
    assert {row.fields["kind"] for row in test} == {"D", "CW", "UW"}
    assert not of(corpus.rows, part="train", block="B2")
    assert corpus.skipped == {"another microphone or name": 18}


def copied(folder, to):
    """Other recordings under the same names, as the later release has them."""
    for path in sorted(folder.rglob("*.wav")):
        sound(to / path.relative_to(folder), seconds=0.4)


def test_uaspeech_takes_one_version_of_each_recording(uaspeech):
    audio = uaspeech / "audio"
    for speaker in ("M04", "CF02"):
        (audio / "original").mkdir(exist_ok=True)
        (audio / speaker).rename(audio / "original" / speaker)
    for version in ("noisereduce", "normalized"):
        copied(audio / "original", audio / version)
    corpus = LAYOUTS["uaspeech"](uaspeech)
    assert len(corpus.rows) == 18
    assert {row.audio.parts[-3] for row in corpus.rows} == {"original"}
    assert {row.duration for row in corpus.rows} == {0.3}
    assert corpus.skipped == {"another microphone or name": 54, "another version of the same recording": 36}
    (audio / "original").rename(uaspeech / ".away")
    (row, *_) = rows = LAYOUTS["uaspeech"](uaspeech).rows
    assert (len(rows), row.audio.parts[-3]) == (18, "normalized")


def test_uaspeech_letters_are_one_kind_and_short_lines_are_read(tmp_path):
    sound(tmp_path / "audio" / "M04" / "M04_B1_LA_M5.wav")
    text(tmp_path / "mlf" / "M04" / "M04_word.mlf", '#!MLF!#\n"*/M04_B1_LA_M5.lab"\n0 ALPHA\n.\n')
    (row,) = LAYOUTS["uaspeech"](tmp_path).rows
    assert (row.text, row.fields["kind"]) == ("ALPHA", "L")


@pytest.mark.parametrize(
    ("prompt", "text"),
    [
        ("lead [as in I will lead you]\r\n", "lead"),
        ("[relax your mouth in its normal position]", None),
        ("input\\images\\shopping.JPG", None),
        ("input/images/map.bmp", None),
        ("He will allow a rare lily\x1b[D\x1b[Drare lie\x1b[C", None),
        ("XXX", None),
        (
            "He slowly takes a short walk in the open air each day.",
            "He slowly takes a short walk in the open air each day.",
        ),
    ],
)
def test_torgo_prompts(prompt, text):
    assert clean(prompt) == text


def test_torgo_takes_the_other_microphone_where_the_first_has_no_file(torgo):
    head = torgo / "M03" / "Session1" / "wav_headMic"
    for path in head.iterdir():
        path.rename(path.with_name(f"._{path.name}"))
    corpus = LAYOUTS["torgo"](torgo)
    assert {row.fields["mic"] for row in corpus.rows if row.speaker == "M03"} == {"wav_arrayMic"}


@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_what_a_mac_leaves_beside_files_is_no_recording(name, request):
    data = request.getfixturevalue(name)
    before = LAYOUTS[name](data)
    for path in [path for path in data.rglob("*") if path.is_file()]:
        path.with_name(f"._{path.name}").write_bytes(b"\0\5\26\7Mac OS X        ")
        if path.suffix in (".wav", ".mp3"):  # and other hidden files are none either, even with sound
            shutil.copy(path, path.with_name(f".{path.name}"))
    (data / "__MACOSX").mkdir()
    (data / "__MACOSX" / "._a.wav").write_bytes(b"Mac OS X")
    assert LAYOUTS[name](data) == before


def test_commonvoice_of_2019_names_clips_without_ending_and_a_line_may_be_cut_off(commonvoice):
    table = commonvoice / "validated.tsv"
    content = table.read_text().replace(".mp3", "")
    table.write_text("\ufeff" + content + "\n" + "a" * 128, encoding="utf-8")
    corpus = LAYOUTS["commonvoice"](commonvoice)
    assert len(corpus.rows) == 41
    assert corpus.skipped == {"clients with fewer than 20 clips": 3, "no text": 1}


def test_commonvoice_with_another_header_is_refused(tmp_path):
    text(tmp_path / "validated.tsv", "client\tpath\tsentence\na\tb.mp3\tc\n")
    with pytest.raises(ManifestError, match="lacks the columns client_id"):
        LAYOUTS["commonvoice"](tmp_path)


def test_audiomnist_leaves_out_other_names(audiomnist):
    sound(audiomnist / "data" / "01" / "0_01_0_x.wav")
    corpus = LAYOUTS["audiomnist"](audiomnist)
    assert (len(corpus.rows), corpus.skipped) == (16, {"another name": 1})


def test_commonvoice(commonvoice):
    corpus = LAYOUTS["commonvoice"](commonvoice)
    assert {row.speaker for row in corpus.rows} == {"a" * 16, "b" * 16}
    assert len(corpus.rows) == 41
    assert corpus.rows[3].text == 'He said "number" 3.'
    assert corpus.rows[3].fields == {"age": "thirties", "gender": "female", "accent": "India"}
    assert corpus.skipped == {"clients with fewer than 20 clips": 3}


def test_audiomnist(audiomnist):
    corpus = LAYOUTS["audiomnist"](audiomnist)
    assert {row.text for row in corpus.rows} == {"zero", "seven"}
    assert len(of(corpus.rows, part="enroll")) == len(of(corpus.rows, part="test")) == 8
    first = next(row for row in corpus.rows if row.speaker == "01")
    assert (first.fields["age"], first.fields["gender"], first.fields["accent"]) == ("30", "m", "german")
    assert not any("age" in row.fields for row in corpus.rows if row.speaker == "02")


def test_audiomnist_with_a_broken_table_is_refused(audiomnist):
    text(audiomnist / "data" / "audioMNIST_meta.txt", '{"01": {')
    with pytest.raises(ManifestError, match=r"audioMNIST_meta\.txt is not valid JSON"):
        LAYOUTS["audiomnist"](audiomnist)


def test_speech_accent_archive(speech_accent_archive):
    corpus = LAYOUTS["speech_accent_archive"](speech_accent_archive)
    assert [
        (row.speaker, row.fields["accent"], row.fields["gender"], row.fields["age"]) for row in corpus.rows
    ] == [
        ("arabic1", "arabic", "m", "20"),
        ("dutch1", "dutch", "f", "21"),
    ]
    assert {row.text for row in corpus.rows} == {"Please call Stella."}
    assert corpus.skipped == {"no audio": 1, "no person": 1}


def test_speech_accent_archive_with_another_table_is_refused(speech_accent_archive):
    text(speech_accent_archive / "speakers_all.csv", "name,age\na,b\n")
    with pytest.raises(ManifestError, match=r"speakers_all\.csv lacks the columns filename"):
        LAYOUTS["speech_accent_archive"](speech_accent_archive)


@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_another_folder_is_refused_with_what_was_looked_for(name, tmp_path):
    with pytest.raises(ManifestError, match="give the unpacked corpus"):
        LAYOUTS[name](tmp_path)
