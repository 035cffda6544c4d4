from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from language_samples import write_arpa

from asradapt.audio import load_audio
from asradapt.cli.transcribe_output import Names
from asradapt.types import Utterance


def texts(done):
    return {(result["audio"], result["speaker"]): result["text"] for result in done.json["results"]}


def test_one_file_prints_its_text_and_nothing_else(asradapt, recordings):
    done = asradapt("transcribe", recordings / "ann0.wav")
    (result,) = asradapt("transcribe", recordings / "ann0.wav", "--json").json["results"]
    assert (done.code, done.out, done.err) == (0, result["text"] + "\n", "")
    assert result["text"]


def test_several_files_print_file_and_text_in_the_order_given(asradapt, recordings):
    inputs = [recordings / name for name in ("bob9.wav", "ann3.wav", "bob0.wav", "ann12.wav")]
    done = asradapt("transcribe", *inputs)
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert [audio for audio, _ in lines] == [str(audio) for audio in inputs]
    assert all(text for _, text in lines)


def test_a_file_is_named_beside_its_text_if_another_one_failed(asradapt, recordings, tmp_path):
    done = asradapt("transcribe", tmp_path / "no.wav", recordings / "ann0.wav")
    assert done.code == 1
    assert done.out.startswith(f"{recordings / 'ann0.wav'}\t")
    assert done.err.startswith(f"failed: {tmp_path / 'no.wav'} does not exist")


def test_a_folder_is_searched_with_its_subfolders(asradapt, recordings, tmp_path):
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for number, place in enumerate(["in/b.wav", "in/deep/a.wav", "in/.hidden.wav", "in/notes.txt"]):
        shutil.copy(recordings / f"ann{number}.wav", tmp_path / place)
    done = asradapt("transcribe", tmp_path / "in", "--json")
    assert [result["audio"] for result in done.json["results"]] == [
        str(tmp_path / "in" / "b.wav"),
        str(tmp_path / "in" / "deep" / "a.wav"),
    ]


def test_format_json_is_the_json_option(asradapt, recordings):
    inputs = ("transcribe", recordings / "ann0.wav", recordings / "ann1.wav")
    assert asradapt(*inputs, "--format", "json").out == asradapt(*inputs, "--json").out
    assert asradapt(*inputs, "--format", "txt").out == asradapt(*inputs).out
    both = asradapt(*inputs, "--format", "srt", "--json")
    assert (both.code, "--json and --format srt" in both.json["error"]) == (2, True)


def test_every_row_of_a_manifest_is_heard_with_its_own_speakers_adaptation(
    asradapt, enrolled, recordings, manifest
):
    clips = [recordings / f"{name}{number}.wav" for number in (12, 13) for name in ("ann", "bob")]
    rows = [{"audio_filepath": str(clip), "speaker": clip.name[:3]} for clip in clips]
    rows += [{"audio_filepath": str(clips[0])}, {"audio_filepath": str(clips[0]), "speaker": "eve"}]
    done = asradapt("transcribe", "--manifest", manifest(*rows), "--json")
    assert done.code == 0
    mixed, source = texts(done), texts(asradapt("transcribe", *clips, "--json"))
    adapted = texts(asradapt("transcribe", *clips, "--speaker", "ann", "--json"))
    for clip in map(str, clips[::2]):
        assert mixed[clip, "ann"] == adapted[clip, "ann"] != source[clip, None]
    for clip in map(str, clips[1::2]):
        assert mixed[clip, "bob"] == source[clip, None]
    first = str(clips[0])
    assert mixed[first, None] == mixed[first, "eve"] == source[first, None]
    assert [result["adapted"] for result in done.json["results"]] == [True, False] * 2 + [False] * 2
    assert [warning for warning in done.json["warnings"] if "not enrolled" in warning] == [
        "eve is not enrolled: the source model is used"
    ]


@pytest.mark.parametrize("size", [1, 7, 32])
def test_the_batch_size_changes_nothing(asradapt, enrolled, recordings, size):
    inputs = ("transcribe", "--manifest", recordings / "manifest.jsonl")
    assert asradapt(*inputs, "--batch-size", size).out == asradapt(*inputs).out


def test_source_only_ignores_adaptations_and_needs_no_store(asradapt, enrolled, recordings):
    inputs = ("transcribe", "--manifest", recordings / "manifest.jsonl")
    before, after = asradapt(*inputs, "--source-only"), asradapt(*inputs)
    assert before.out != after.out
    shutil.rmtree(enrolled)
    assert asradapt(*inputs, "--source-only").out == before.out


def test_a_speaker_and_a_manifest_give_the_rows_of_that_speaker(asradapt, enrolled, recordings):
    done = asradapt("transcribe", "--manifest", recordings / "manifest.jsonl", "--speaker", "bob", "--json")
    assert {result["speaker"] for result in done.json["results"]} == {"bob"}
    assert len(done.json["results"]) == 16


def test_where_filters_the_rows(asradapt, recordings):
    where = ("--where", "part=test", "--where", "speaker=bob", "--where", "speaker=ann")
    done = asradapt("transcribe", "--manifest", recordings / "manifest.jsonl", *where, "--json")
    assert len(done.json["results"]) == 8


def test_rows_of_other_speakers_are_not_left_out_in_silence(asradapt, enrolled, recordings, manifest):
    ann, bob, nobody = {"speaker": "ann"}, {"speaker": "bob"}, {}
    clip = {"audio_filepath": str(recordings / "ann0.wav")}
    rows = [clip | one for one in (ann, bob, nobody)] + [{"audio_filepath": str(recordings / "bob1.wav"), **bob}]
    common = ("--speaker", "ann", "--json")
    (told,) = asradapt("transcribe", "--manifest", manifest(*rows), *common).json["warnings"]
    assert told.startswith("2 rows of other speakers and 1 row without a speaker left out; without --speaker")
    (told,) = asradapt("transcribe", "--manifest", manifest(*rows[1:]), *common).json["warnings"]
    assert told.startswith("2 rows of other speakers left out; ")
    done = asradapt("transcribe", "--manifest", manifest(*rows[1:]), "--where", "speaker=", *common)
    assert done.json["warnings"] == []


def test_a_named_speaker_who_is_not_enrolled_is_an_error_that_lists_who_is(asradapt, enrolled, recordings):
    done = asradapt("transcribe", recordings / "ann0.wav", "--speaker", "an")
    assert (done.code, done.out) == (1, "")
    assert "no speaker named 'an'; known: ann, bob" in done.err


def test_an_unknown_model_is_an_error_that_lists_the_known_ones(asradapt, recordings, tmp_path):
    for name in ("source_xx", tmp_path / "no.safetensors"):
        done = asradapt("transcribe", recordings / "ann0.wav", "--model", name)
        assert (done.code, done.out) == (1, "")
        assert "known: source_en" in done.err


def test_a_model_that_is_not_one_is_an_error(asradapt, recordings, model_path, tmp_path):
    for weights, description in [(b"broken", None), (None, "{}"), (None, "not json"), (None, None)]:
        path = tmp_path / "broken.safetensors"
        path.write_bytes(model_path.read_bytes() if weights is None else weights)
        path.with_suffix(".json").unlink(missing_ok=True)
        if description or weights:
            path.with_suffix(".json").write_text(description or model_path.with_suffix(".json").read_text())
        done = asradapt("transcribe", recordings / "ann0.wav", "--model", path)
        assert (done.code, done.out) == (1, "")
        assert f"source model {path}" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give audio files or --manifest"),
        (("ann0.wav", "--manifest", "manifest.jsonl"), "not both"),
        (("ann0.wav", "--where", "part=test"), "--where filters"),
        (("ann0.wav", "--batch-size", "-1"), "must be 0 or more"),
        (("ann0.wav", "--batch-size", "many"), "--batch-size"),
        (("ann0.wav", "--format", "xml"), "--format"),
        (("ann0.wav", "--device", "abacus"), "available: cpu"),
        (("ann0.wav", "--nope"), "--nope"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(asradapt, recordings, arguments, said, monkeypatch):
    monkeypatch.chdir(recordings)
    done = asradapt("transcribe", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.parametrize("minutes", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_a_long_recording_is_transcribed_in_pieces(asradapt, babble, tmp_path, minutes):
    minute = babble(60, 5)
    soundfile.write(tmp_path / "long.wav", torch.cat([minute] * minutes).numpy(), 16_000)
    (result,) = asradapt("transcribe", tmp_path / "long.wav", "--no-vad", "--json").json["results"]
    assert result["seconds"] == 60.0 * minutes
    soundfile.write(tmp_path / "short.wav", minute.numpy(), 16_000)
    (short,) = asradapt("transcribe", tmp_path / "short.wav", "--no-vad", "--json").json["results"]
    assert len(result["text"]) > 0.8 * minutes * len(short["text"]) > 0


FORMATS = {
    "wav 8 kHz": ("a.wav", 8_000, 1, "PCM_16"),
    "wav 11.025 kHz": ("a.wav", 11_025, 1, "PCM_16"),
    "wav 44.1 kHz stereo": ("a.wav", 44_100, 2, "PCM_16"),
    "wav 48 kHz": ("a.wav", 48_000, 1, "FLOAT"),
    "wav 24 bit": ("a.wav", 16_000, 1, "PCM_24"),
    "wav stereo": ("a.wav", 16_000, 2, "PCM_24"),
    "flac": ("a.flac", 16_000, 1, "PCM_24"),
    "vorbis": ("a.ogg", 44_100, 2, "VORBIS"),
    "opus": ("a.opus", 48_000, 1, "OPUS"),
    "mp3": ("a.mp3", 44_100, 1, "MPEG_LAYER_III"),
}


@pytest.mark.parametrize(("name", "rate", "channels", "subtype"), FORMATS.values(), ids=FORMATS)
def test_any_usual_audio_is_transcribed(asradapt, babble, tmp_path, name, rate, channels, subtype):
    samples = babble(1.0, 8, rate=rate)[:, None].repeat(1, channels).numpy()
    kind = {"a.opus": "OGG"}.get(name)
    soundfile.write(tmp_path / name, samples, rate, subtype=subtype, format=kind)
    done = asradapt("transcribe", tmp_path / name, "--json")
    assert done.code == 0
    (result,) = done.json["results"]
    assert result["seconds"] == pytest.approx(1.0, abs=0.05)
    same = load_audio(tmp_path / name).samples
    soundfile.write(tmp_path / "same.wav", same, 16_000, subtype="FLOAT")
    (expected,) = asradapt("transcribe", tmp_path / "same.wav", "--json").json["results"]
    assert result["text"] == expected["text"] != ""


def test_progress_goes_to_stderr_only(asradapt, recordings, monkeypatch):
    inputs = ("transcribe", recordings / "ann0.wav", recordings / "ann1.wav", "--json")
    quick = asradapt(*inputs)
    monkeypatch.setattr("asradapt.cli.common.BAR_AFTER_SECONDS", -1.0)
    slow = asradapt(*inputs)
    assert quick.err == ""
    assert "transcribing" in slow.err
    assert slow.out == quick.out


def test_texts_on_a_terminal_are_not_mixed_with_a_progress_bar(asradapt, recordings, monkeypatch):
    monkeypatch.setattr("asradapt.cli.common.BAR_AFTER_SECONDS", -1.0)
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    done = asradapt("transcribe", recordings / "ann0.wav", recordings / "ann1.wav")
    assert done.err == ""
    assert len(done.out.splitlines()) == 2


def test_every_format_goes_to_a_file_of_the_recordings_name(asradapt, recordings, tmp_path):
    for style in ("txt", "json", "jsonl", "srt", "vtt", "tsv", "ctm"):
        out = tmp_path / style
        done = asradapt(
            "transcribe", recordings / "ann0.wav", recordings / "bob0.wav", "--format", style, "--output-dir", out
        )
        assert done.code == 0
        assert done.out.splitlines() == [str(out / f"{name}.{style}") for name in ("ann0", "bob0")]
        assert sorted(path.name for path in out.iterdir()) == [f"ann0.{style}", f"bob0.{style}"]
        printed = asradapt("transcribe", recordings / "ann0.wav", "--format", style)
        if style != "json":
            assert printed.out.rstrip("\n") == (out / f"ann0.{style}").read_text(encoding="utf-8").rstrip("\n")


def test_a_file_whose_name_looks_like_an_option_is_told_of(asradapt, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(recordings / "ann0.wav", "-p003.wav")
    done = asradapt("transcribe", "-p003.wav")
    assert (done.code, "-p003.wav is a file: give it as ./-p003.wav" in done.err) == (2, True)
    assert asradapt("transcribe", "./-p003.wav").code == 0
    (tmp_path / "--json").touch()
    assert "is a file" not in asradapt("transcribe", "-q", "--json").err


def test_files_that_exist_are_kept_unless_forced(asradapt, recordings, tmp_path):
    (tmp_path / "ann0.txt").write_text("mine", encoding="utf-8")
    inputs = ("transcribe", recordings / "ann0.wav", recordings / "ann1.wav", "--output-dir", tmp_path)
    kept = asradapt(*inputs)
    assert (kept.code, (tmp_path / "ann0.txt").read_text()) == (0, "mine")
    assert "exists and is kept; --force replaces it" in kept.err
    assert "may be of other recordings of the same names: another --output-dir keeps both" in kept.err
    assert kept.out.splitlines() == [str(tmp_path / "ann1.txt")]
    assert asradapt(*inputs, "--force").code == 0
    assert (tmp_path / "ann0.txt").read_text() != "mine"


@pytest.mark.parametrize("force", [(), ("--force",)])
def test_what_was_said_is_never_replaced_by_what_was_heard(asradapt, recordings, tmp_path, force):
    for name in ("ann0", "ann1"):
        shutil.copy(recordings / f"{name}.wav", tmp_path)
    (tmp_path / "ann0.txt").write_text("mine", encoding="utf-8")
    done = asradapt("transcribe", tmp_path, "--output-dir", tmp_path, *force)
    assert (done.code, (tmp_path / "ann0.txt").read_text()) == (0, "mine")
    assert "ann0.txt is not written: beside a recording of that name stands what was said" in done.err
    assert "enroll takes a text beside its recording for what was said" in done.err
    assert "--force replaces" not in done.err
    assert done.out.splitlines() == [str(tmp_path / "ann1.txt")]
    (tmp_path / "ann1.txt").rename(tmp_path / "ANN1.TXT.txt")  # as an Explorer may have made it
    again = asradapt("transcribe", tmp_path, "--output-dir", tmp_path, *force)
    assert (again.code, again.out, (tmp_path / "ann1.txt").exists()) == (0, "", False)
    elsewhere = asradapt("transcribe", recordings / "ann0.wav", "--output-dir", tmp_path, *force)
    assert (elsewhere.out, (tmp_path / "ann0.txt").read_text()) == ("", "mine"), "beside another recording"
    (tmp_path / "ann0.json").write_text("old", encoding="utf-8")
    other = asradapt("transcribe", tmp_path, "--output-dir", tmp_path, "--format", "json", *force)
    assert (other.code, "taken" in other.err or "takes" in other.err) == (0, False)
    assert ((tmp_path / "ann0.json").read_text() == "old") is not bool(force)


def test_names_without_a_folder_are_beside_their_texts_as_well(asradapt, recordings, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("ann0", "ann1"):
        shutil.copy(recordings / f"{name}.wav", ".")
    Path("ANN0.TXT").write_text("mine", encoding="utf-8")
    done = asradapt("transcribe", "ann0.wav", "ann1.wav", "--output-dir", ".")
    assert (done.code, done.out) == (0, "ann1.txt\n")
    assert sorted(path.name for path in Path().glob("*.[tT]*")) == ["ANN0.TXT", "ann1.txt"]
    assert "ann0.txt is not written" in done.err
    assert "enroll takes a text beside its recording" in done.err


def test_recordings_of_the_same_name_get_files_of_their_own(asradapt, recordings, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    shutil.copy(recordings / "ann0.wav", tmp_path / "a" / "talk.wav")
    shutil.copy(recordings / "ann1.wav", tmp_path / "b" / "talk.wav")
    out = tmp_path / "out"
    done = asradapt("transcribe", tmp_path / "a", tmp_path / "b", "--output-dir", out)
    assert done.out.splitlines() == [str(out / "talk.txt"), str(out / "talk-2.txt")]
    assert (out / "talk.txt").read_text() != (out / "talk-2.txt").read_text()


def test_subtitles_of_several_recordings_need_a_folder(asradapt, recordings):
    done = asradapt("transcribe", recordings / "ann0.wav", recordings / "ann1.wav", "--format", "srt")
    assert done.code == 2
    assert "--output-dir" in done.err


def test_a_dash_is_audio_from_stdin(asradapt, recordings, monkeypatch):
    expected = asradapt("transcribe", recordings / "ann0.wav").out

    def give(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    give((recordings / "ann0.wav").read_bytes())
    assert asradapt("transcribe", "-").out == expected
    give((recordings / "ann0.wav").read_bytes())
    assert asradapt("transcribe", "-", "--json").json["results"][0]["audio"] == "-"
    give(b"no audio")
    done = asradapt("transcribe", "-", "--json")
    assert done.code == 1
    assert [failure["item"] for failure in done.json["failed"]] == ["-"]
    assert asradapt("transcribe", "-", "-").code == 2


def test_json_holds_words_with_times_within_the_audio(asradapt, recordings):
    (result,) = asradapt("transcribe", recordings / "ann9.wav", "--json").json["results"]
    assert " ".join(word["word"] for word in result["words"]) == result["text"]
    times = [time for word in result["words"] for time in (word["start"], word["end"])]
    assert times == sorted(times)
    assert times[-1] <= result["seconds"] + 1e-3


def test_a_language_model_is_used_when_asked_for(asradapt, recordings, tmp_path):
    plain = asradapt("transcribe", recordings / "ann9.wav", "--beam", 8).out
    arpa = write_arpa(tmp_path)
    done = asradapt("transcribe", recordings / "ann9.wav", "--lm", arpa, "--lm-weight", 2, "--beam", 8)
    assert done.code == 0
    assert done.out != plain


def test_decoding_options_that_contradict_each_other_are_refused(asradapt, recordings, tmp_path):
    clip = recordings / "ann0.wav"
    for arguments, code, reason in (
        (("--lm", "lm_en", "--no-lm"), 2, "not both"),
        (("--beam", 0, "--lm-weight", 1), 2, "--lm-weight needs beam search"),
        (("--beam", -1), 2, "--beam"),
        (("--lm", tmp_path / "no.arpa"), 1, "no language model"),
        (("--vocab", tmp_path / "no.txt"), 1, "cannot be read"),
    ):
        done = asradapt("transcribe", clip, *arguments)
        assert (done.code, reason in done.err) == (code, True), done.err


@pytest.mark.parametrize("option", ["--lm-weight", "--word-score"])
def test_a_weight_that_is_no_number_is_refused(asradapt, option):
    done = asradapt("transcribe", "mixed.jsonl", "--beam", "4", option, "nan")
    assert done.code == 2
    assert "must be a number" in done.err


def test_every_recording_can_adapt_the_model_to_itself(asradapt, enrolled, recordings):
    audio = [recordings / f"{name}{number}.wav" for name in ("ann", "bob") for number in range(3)]
    together = asradapt("transcribe", *audio, "--adapt-each", "--json").json["results"]
    alone = [asradapt("transcribe", one, "--adapt-each", "--json").json["results"][0] for one in audio]
    assert [one["text"] for one in together] == [one["text"] for one in alone]
    without = asradapt("transcribe", *audio, "--json").json["results"]
    assert [one["confidence"] for one in together] != [one["confidence"] for one in without]


def test_a_speaker_of_another_model_is_told_once_with_the_model_to_give(
    asradapt, enrolled, recordings, model_path, other_path
):
    rows = ("--manifest", recordings / "manifest.jsonl", "--where", "part=test")
    done = asradapt("transcribe", *rows, "--model", other_path)
    assert done.code == 1
    assert done.err.count("belongs to another source model: tiny (") == 2
    (failed,) = [line for line in done.err.splitlines() if line.startswith("failed: ")]
    assert "ann12.wav, " in failed
    assert " and 1 more: speaker 'ann' belongs" in failed
    assert f"Give --model {model_path}; `asradapt speakers migrate ann` with the new --model" in failed
    (warned,) = [line for line in done.err.splitlines() if line.startswith("warning: ")]
    assert warned.startswith("warning: bob keeps the source, and belongs to another source model: tiny (")
    assert warned.endswith(f"; --model {model_path} gives that one")
    assert len(asradapt("transcribe", *rows, "--model", other_path, "--json").failed) == 4


def test_one_speaker_is_heard_on_the_model_that_they_were_enrolled_on(enrolled, recordings, model_path, capsys):
    from asradapt.cli import run

    capsys.readouterr()
    words = ["transcribe", str(recordings / "ann12.wav"), "--speaker"]
    for name in ("ann", "bob"):
        assert run([*words, name]) == 0
        out, err = capsys.readouterr()
        assert err == f"{name} was enrolled on {model_path}, which is used; --model chooses another\n"
        assert run([*words, name, "--model", str(model_path)]) == 0
        assert capsys.readouterr() == (out, "")
        assert run([*words, name, "--source-only"]) == 0
        assert "which is used" in capsys.readouterr().err
    assert run([*words, "ann", "--model", "source_en"]) == 1
    assert "not source_en " in (err := capsys.readouterr().err)
    assert f"Give --model {model_path};" in err


def test_a_manifest_is_heard_window_by_window_in_its_order(asradapt, recordings, tmp_path, monkeypatch):
    inputs = ("transcribe", "--manifest", recordings / "manifest.jsonl", "--format", "jsonl")
    whole = asradapt(*inputs)
    monkeypatch.setattr("asradapt.windows.WINDOW_FILES", 5)
    assert asradapt(*inputs).out == whole.out
    out = tmp_path / "out"
    assert asradapt(*inputs, "--output-dir", out).out.splitlines()[0] == str(out / "ann0.jsonl")
    assert sum(path.read_text() in whole.out for path in out.iterdir()) == 32


def test_ctrl_c_keeps_what_is_written_and_the_rest_follows_later(asradapt, recordings, tmp_path, monkeypatch):
    from asradapt.transcriber import Transcriber

    inputs = ("transcribe", "--manifest", recordings / "manifest.jsonl", "--output-dir", tmp_path / "out")
    monkeypatch.setattr("asradapt.windows.WINDOW_FILES", 10)
    heard, calls = Transcriber.heard, []

    def until_the_third(self, *arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return heard(self, *arguments, **options)

    monkeypatch.setattr(Transcriber, "heard", until_the_third)
    stopped = asradapt(*inputs)
    assert (stopped.code, len(stopped.out.splitlines())) == (130, 20)
    assert sorted(map(str, (tmp_path / "out").iterdir())) == sorted(stopped.out.splitlines())
    later = asradapt(*inputs)
    assert (later.code, len(later.out.splitlines())) == (0, 12)
    assert not set(later.out.splitlines()) & set(stopped.out.splitlines())
    assert "20 more" not in later.err
    assert later.err.count("exists and is kept") == 20


def test_of_very_many_failures_the_first_are_told_and_all_are_counted(asradapt, recordings, tmp_path, monkeypatch):
    monkeypatch.setattr("asradapt.cli.transcribe_inputs.MOST_KEPT", 30)
    rows = [f'{{"audio_filepath": "{n}.wav"}}\n' for n in range(40)] + ["broken\n"] * 5
    (tmp_path / "m.jsonl").write_text("".join([*rows, f'{{"audio_filepath": "{recordings / "ann0.wav"}"}}\n']))
    done = asradapt("transcribe", "--manifest", tmp_path / "m.jsonl")
    assert (done.code, len(done.out.splitlines())) == (1, 1)
    assert done.err.splitlines()[0].startswith(
        "failed: m.jsonl:41, m.jsonl:42, m.jsonl:43 and 2 more: not valid JSON"
    )
    assert done.err.splitlines()[-1] == "failed: and 21 more (--json lists all that failed)"
    assert len(asradapt("transcribe", "--manifest", tmp_path / "m.jsonl", "--json").json["failed"]) == 45


def test_names_of_files_are_numbered_by_recording(tmp_path):
    from asradapt.cli.transcribe_inputs import Inputs
    from asradapt.cli.transcribe_targets import Targets
    from asradapt.types import Utterance

    given = [("a/x", None), ("b/X", None), ("c/x-2", None), ("a/x", "ann"), ("a/x", None), ("d/x", None)]
    inputs = Inputs([Utterance(tmp_path / f"{name}.wav", None, who) for name, who in given], len(given))
    (tmp_path / "x-3.txt").touch()
    files, said = Targets(tmp_path, "txt"), []
    fresh = list(files.fresh(inputs, said.append))
    assert [files.path(one).name for one in fresh] == ["x.txt", "X-2.txt", "x-2-2.txt", "x.txt", "x-4.txt"]
    assert (len(said), inputs.count) == (2, 5)


def test_recordings_of_one_name_in_one_ctm_are_told_apart(asradapt, recordings, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        shutil.copy(recordings / "ann0.wav", tmp_path / folder / "ann 0.wav")
    soundfile.write(tmp_path / "b" / "ann 0.flac", *soundfile.read(recordings / "bob0.wav"))
    inputs = [tmp_path / "a" / "ann 0.wav", tmp_path / "b" / "ann 0.wav", tmp_path / "b" / "ann 0.flac"]
    done = asradapt("transcribe", *inputs, recordings / "bob0.wav", "--format", "ctm")
    names = dict.fromkeys(line.split()[0] for line in done.out.splitlines())
    place = f"{tmp_path}/b/ann_0"
    assert list(names) == ["ann_0", place, f"{place}.flac", "bob0"]


def test_one_recording_as_several_people_in_one_ctm_is_told_apart():
    names = Names()
    said = [names.of(Utterance(Path("a.wav"), speaker=speaker)) for speaker in ("ann", "bob", "cid", "dan")]
    assert said == ["a", "a.wav", "a.wav-2", "a.wav-3"]
    assert names.of(Utterance(Path("x/A.wav"))) == "x/A"


def test_greedy_decoding_without_a_language_model_can_be_asked_for_twice(asradapt, recordings):
    done = asradapt("transcribe", recordings / "ann0.wav", "--beam", 0, "--no-lm")
    assert (done.code, done.err) == (0, "")
    assert done.out == asradapt("transcribe", recordings / "ann0.wav", "--beam", 0).out


@pytest.mark.parametrize("options", [(), ("--beam", 0, "--no-lm")])
def test_silence_has_no_confidence(asradapt, tmp_path, options):
    soundfile.write(tmp_path / "silence.wav", np.zeros(16000), 16000)
    (result,) = asradapt("transcribe", tmp_path / "silence.wav", "--json", *options).json["results"]
    assert (result["text"], result["confidence"], result["words"]) == ("", None, [])
