from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import soundfile

from asradapt import enrolment
from asradapt.store import SpeakerStore


@pytest.fixture
def transcript(asradapt, enrolled, recordings, tmp_path):
    """Transcribes four recordings of `ann` that nothing was learned from and changes them: `transcript(edit)`."""

    def make(edit, style="json", name="ann"):
        audio = [recordings / f"{name}{number}.wav" for number in range(12, 16)]
        out = asradapt("transcribe", *audio, "--speaker", name, "--format", style).out
        entries = json.loads(out)["results"] if style == "json" else [json.loads(x) for x in out.splitlines()]
        for entry in entries:
            edit(entry)
        path = tmp_path / f"t.{style}"
        whole = json.dumps({"results": entries}) if style == "json" else "\n".join(map(json.dumps, entries))
        path.write_text(whole)
        return path

    return make


def said_in(entry):
    return Path(entry["audio"]).with_suffix(".txt").read_text()


def as_said(entry):
    entry["text"] = said_in(entry)


def unchanged(entry):
    pass


@pytest.mark.parametrize("style", ["json", "jsonl"])
def test_corrected_transcripts_enrol_further(asradapt, transcript, enrolled, style):
    done = asradapt("correct", "ann", transcript(as_said, style), "--confirmed", "--json")
    assert done.code == 0
    assert done.json["corrected"] + done.json["confirmed"] == 4
    assert done.json["corrected"] >= 1
    assert done.json["enrolled"]["utterances"] == 4
    assert done.json["enrolled"]["start"] == "trained from version 1, which had learned from 12 recordings"
    assert not list(enrolled.rglob("*.flac"))


@pytest.mark.parametrize("ending", ["\u2028", "\u0085"])
def test_a_line_of_a_transcript_ends_where_json_lines_do(asradapt, transcript, ending):
    path = transcript(as_said, "jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["text"] += ending
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    done = asradapt("correct", "ann", path, "--confirmed", "--json")
    assert (done.code, done.json["failed"]) == (0, [])


def test_several_files_are_learned_from_together(asradapt, transcript, tmp_path):
    whole = transcript(as_said)
    entries = json.loads(whole.read_text())["results"]
    (tmp_path / "one").mkdir()
    files = [tmp_path / "one" / "a.json", tmp_path / "b.json"]
    for file, part in zip(files, (entries[:2], entries[2:]), strict=True):
        for entry in part:  # relative to the file that names it
            shutil.copy(entry["audio"], file.parent)
            entry["audio"] = Path(entry["audio"]).name
        file.write_text(json.dumps({"results": part}))
    together = asradapt("correct", "ann", *files, "--confirmed", "--json").json
    assert together["failed"] == []
    assert together["enrolled"]["utterances"] == 4
    assert asradapt("correct", "ann", "--json").code == 2
    (tmp_path / "c.srt").write_text("1\n")
    more = asradapt("correct", "ann", *files, files[0], tmp_path / "c.srt", "--confirmed", "--json")
    assert (more.code, list(more.failed)) == (1, ["c.srt"])
    assert more.json["corrected"] + more.json["confirmed"] == 4


def test_a_word_replaced_in_the_whole_file_is_learned(asradapt, transcript):
    path = transcript(unchanged)
    said = [entry["text"] for entry in json.loads(path.read_text())["results"]]
    word = max((word for text in said for word in text.split()), key=len)
    path.write_text(path.read_text().replace(word, f"{word}b"))
    done = asradapt("correct", "ann", path, "--json").json
    assert done["corrected"] == sum(word in text for text in said) > 0


def test_the_text_of_a_segment_can_be_changed_as_well(asradapt, transcript):
    def edit(entry):
        entry["segments"][0]["text"] = said_in(entry)

    whole = asradapt("correct", "ann", transcript(as_said), "--json").json
    assert asradapt("correct", "ann", transcript(edit), "--json").json["corrected"] == whole["corrected"]


def test_with_agreement_the_segments_are_kept_and_shown_and_forgotten(asradapt, transcript, enrolled):
    done = asradapt("correct", "ann", transcript(as_said), "--confirmed", "--keep-audio")
    assert done.code == 0
    assert "audio is kept: 4 recordings" in done.out
    assert str(enrolled) in done.out
    shown = asradapt("speakers", "show", "ann")
    assert "4 recordings" in shown.out
    assert asradapt("speakers", "show", "ann", "--json").json["kept_audio"]["recordings"] == 4
    gone = asradapt("speakers", "forget-audio", "ann", "--yes")
    assert "4 recordings" in gone.out
    assert not list(enrolled.rglob("*.flac"))
    assert "none is kept" in asradapt("speakers", "show", "ann").out


def test_nothing_changed_is_a_success_that_says_so(asradapt, transcript, enrolled):
    done = asradapt("correct", "ann", transcript(unchanged))
    assert done.code == 0
    assert "nothing was changed in 4 transcripts" in done.out
    assert "--confirmed" in done.out
    assert SpeakerStore(enrolled).versions("ann") == [1]


def test_transcripts_of_somebody_else_are_refused(asradapt, transcript):
    done = asradapt("correct", "bob", transcript(as_said), "--json")
    assert done.code == 1
    assert "a transcript of 'ann', not of 'bob'" in done.failed["ann12.wav"]


def test_who_is_not_enrolled_is_told(asradapt, transcript):
    assert "no speaker named 'eve'" in asradapt("correct", "eve", transcript(as_said)).err


@pytest.mark.parametrize(
    ("harm", "said"), [("gone", "--audio-dir"), ("longer", "lasts"), ("other", "its samples differ")]
)
def test_audio_that_is_missing_or_was_changed_is_refused(asradapt, transcript, recordings, tmp_path, harm, said):
    def move(entry):
        as_said(entry)
        place = tmp_path / Path(entry["audio"]).name
        samples, rate = soundfile.read(entry["audio"])
        entry["audio"] = str(place)
        if harm == "longer":
            soundfile.write(place, [*samples, *samples], rate)
        elif harm == "other":
            soundfile.write(place, samples[::-1], rate)

    done = asradapt("correct", "ann", transcript(move), "--json")
    assert done.code == 1
    assert said in done.json["failed"][0]["reason"]
    assert done.json["enrolled"] is None


def test_audio_dir_says_where_the_audio_is_now(asradapt, transcript, tmp_path):
    there = tmp_path / "moved"
    there.mkdir()

    def move(entry):
        as_said(entry)
        name = entry["audio"].rsplit("/", 1)[1]
        shutil.copy(entry["audio"], there / name)
        entry["audio"] = f"/nowhere/{name}"

    done = asradapt("correct", "ann", transcript(move), "--confirmed", "--audio-dir", there, "--json")
    assert (done.code, done.json["enrolled"]["utterances"]) == (0, 4)


def test_text_that_the_model_cannot_write_is_told_and_the_rest_is_used(asradapt, transcript):
    def edit(entry):
        as_said(entry)
        if "ann12" in entry["audio"]:
            entry["text"] = "7 apples"

    done = asradapt("correct", "ann", transcript(edit), "--confirmed", "--json")
    assert done.code == 1
    assert "write numbers as words" in done.failed["ann12.wav"]
    assert done.json["enrolled"]["utterances"] == 3


def test_a_letter_that_the_model_lacks_is_told_without_an_option_that_correct_lacks(asradapt, transcript):
    def edit(entry):
        entry["text"] = "ein über"

    done = asradapt("correct", "ann", transcript(edit))
    assert done.code == 1
    assert "the model cannot write: ü; `asradapt enroll ann --add-tokens` teaches letters" in done.err
    assert "no usable recording, so nothing was learned" in done.err
    assert "not enrolled" not in done.err


def test_a_single_corrected_segment_is_told_of_confirmed_and_that_nothing_was_trained(asradapt, transcript):
    def edit(entry):
        if "ann12" in entry["audio"]:
            entry["text"] = f"{said_in(entry)} again"

    path = transcript(edit)
    for more in ((), ("--keep-audio",), ("--keep-audio",)):
        done = asradapt("correct", "ann", path, *more)
        assert done.out.startswith("1 corrected segment found in 4 transcripts\n")
        assert (
            "correct at least 4 segments of different text, better 10; if all of the text is right, --confir"
            in done.out
        )
        assert "record at least" not in done.out
        assert "trained" not in done.out
        kept = "stored in" if more else "nothing was stored; give these corrections again together with later ones"
        assert kept in done.err
    assert "audio is kept: 1 recording, " in done.out
    done = asradapt("correct", "ann", path, "--confirmed")
    assert done.out.startswith("1 corrected and 3 confirmed segments found in 4 transcripts\n")
    assert "too few" not in done.out


def test_no_more_than_the_budget_is_computed(asradapt, transcript, monkeypatch):
    given, enroll = [], enrolment.enroll

    def noted(*people, options, **more):
        given.append(options)
        return enroll(*people, options=options, **more)

    monkeypatch.setattr(enrolment, "enroll", noted)
    assert asradapt("correct", "ann", transcript(as_said), "--confirmed", "--budget", "5s").code == 0
    assert [options.budget for options in given] == [5.0]


def test_segments_that_were_not_changed_can_be_heard(asradapt, transcript, words, monkeypatch):
    given, enroll = [], enrolment.enroll

    def noted(*people, **more):
        given.append((people[1]["ann"], more["teacher"]))
        return enroll(*people, **more)

    def last_two(entry):
        if entry["audio"].endswith(("14.wav", "15.wav")):
            entry["text"] = said_in(entry) + " abc"

    monkeypatch.setattr(enrolment, "enroll", noted)
    done = asradapt("correct", "ann", transcript(last_two), "--partly-transcribed", "--lm", words)
    assert done.code == 0
    assert "2 corrected segments found in 4 transcripts, and 2 unchanged to be heard" in done.out
    asradapt("correct", "ann", transcript(last_two))
    (both, teacher), (texts, nobody) = given
    assert sum(one.text is None for one in both) == 2
    assert [one.text for one in texts] == [one.text for one in both if one.text is not None]
    assert teacher.language is not None
    assert nobody is None


def test_where_nothing_was_changed_nothing_is_heard(asradapt, transcript, words, enrolled):
    done = asradapt("correct", "ann", transcript(unchanged), "--partly-transcribed", "--lm", words)
    assert done.code == 0
    assert "nothing was changed in 4 transcripts" in done.out
    assert SpeakerStore(enrolled).versions("ann") == [1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--partly-transcribed", "--confirmed"), "--confirmed: not with --partly-transcribed"),
        (("--partly-transcribed", "--budget", "5s"), "--budget: not with --partly-transcribed"),
        (("--lm", "lm_en"), "with --partly-transcribed"),
        (("--partly-transcribed",), "comes without a language model"),
    ],
)
def test_what_does_not_go_with_segments_that_are_heard(asradapt, transcript, options, said):
    done = asradapt("correct", "ann", transcript(as_said), *options)
    assert done.code == 2
    assert said in done.err


def test_enroll_keeps_audio_only_when_asked_and_exports_it_only_when_asked(asradapt, recordings, home, tmp_path):
    clips = [recordings / f"ann{number}.wav" for number in range(4)]
    assert "audio is kept" not in asradapt("enroll", "ann", *clips).out
    assert not list(home.rglob("*.flac"))
    done = asradapt("enroll", "ann", *clips, "--keep-audio", "--json").json["speakers"][0]
    assert done["kept_audio"]["recordings"] == 4
    small = asradapt("speakers", "export", "ann", tmp_path / "a.zip", "--json").json["bytes"]
    large = asradapt("speakers", "export", "ann", tmp_path / "b.zip", "--with-audio", "--json").json["bytes"]
    assert large > small + done["kept_audio"]["bytes"]
    asradapt("speakers", "import", tmp_path / "b.zip", "--name", "eve")
    assert SpeakerStore(home).recordings("eve").kept().agreed
    asradapt("speakers", "remove", "ann", "--yes")
    asradapt("speakers", "remove", "eve", "--yes")
    assert not list(home.rglob("*.flac"))
