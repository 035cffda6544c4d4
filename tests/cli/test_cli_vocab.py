from __future__ import annotations

import numpy as np
import soundfile

from asradapt.phrase_tuning import STRENGTHS


def test_phrases_are_added_listed_and_removed(asradapt, enrolled):
    assert asradapt("vocab", "add", "ann", "Zoe Miller", "kaliningrad").out.splitlines() == [
        "kaliningrad",
        "Zoe Miller",
    ]
    assert asradapt("vocab", "add", "ann", "KALININGRAD", "--json").json["phrases"] == [
        "kaliningrad",
        "Zoe Miller",
    ]
    assert asradapt("vocab", "remove", "ann", "zoe miller").out == "kaliningrad\n"
    assert asradapt("vocab", "list", "ann").out == "kaliningrad\n"
    assert asradapt("vocab", "list", "bob").out == ""
    assert asradapt("vocab", "remove", "ann", "--all").code == 0
    assert asradapt("vocab", "list", "ann", "--json").json == {"speaker": "ann", "phrases": []}


def test_phrases_come_from_a_file(asradapt, enrolled, tmp_path):
    listed = "\ufeffZoe\n\n  # places\nKaliningrad\n"  # as Notepad writes it
    (tmp_path / "names.txt").write_text(listed, encoding="utf-8")
    assert asradapt("vocab", "add", "ann", "--file", tmp_path / "names.txt").out == "Kaliningrad\nZoe\n"
    done = asradapt("vocab", "add", "ann", "--file", tmp_path / "no.txt")
    assert done.code == 1
    assert "cannot be read" in done.err


def test_what_is_wrong_is_told(asradapt, enrolled):
    asradapt("vocab", "add", "ann", "Zoe")
    for arguments, code, reason in (
        (("add", "ann"), 2, "give phrases"),
        (("add", "nobody", "x"), 1, "no speaker named 'nobody'"),
        (("add", "ann", "12"), 1, "write numbers as words"),
        (("remove", "ann", "Anna"), 1, "no phrase 'Anna'; known: Zoe"),
        (("remove", "ann", "Zoe", "--all"), 2, "not both"),
        (("strength", "ann", "6"), 2, "6.0 is not in the range"),
    ):
        done = asradapt("vocab", *arguments)
        assert (done.code, reason in done.err) == (code, True), done.err
    assert asradapt("vocab", "list", "ann").out == "Zoe\n"


def test_phrases_that_the_model_cannot_write_are_named_once(asradapt, enrolled, recordings, tmp_path):
    clips = [recordings / f"ann{number}.wav" for number in range(2)]
    asradapt("vocab", "add", "ann", "Zoë", "中村", "Иван")
    done = asradapt("transcribe", *clips, "--speaker", "ann", "--no-lm")
    assert done.code == 0
    assert done.err.count("cannot write") == 1
    assert "ann: the model cannot write" in done.err
    assert "中村" in done.err
    assert "Zo" not in done.err  # an accent is left out
    greedy = asradapt("transcribe", *clips, "--speaker", "ann", "--no-lm", "--beam", 0)
    assert (greedy.code, "cannot write" in greedy.err) == (0, False)  # nothing is listened for
    (tmp_path / "names.txt").write_text("Zoe\n中村\n", encoding="utf-8")
    done = asradapt("transcribe", *clips, "--vocab", tmp_path / "names.txt", "--no-lm")
    assert done.code == 0
    told = f"{tmp_path / 'names.txt'}: the model cannot write '中村', so it is not listened for"
    assert told in done.err
    measured = (
        "evaluate",
        "--manifest",
        recordings / "manifest.jsonl",
        "--vocab",
        tmp_path / "names.txt",
        "--no-lm",
    )
    for systems in ((), ("--systems", "source,adapted")):
        assert sum(told in warning for warning in asradapt(*measured, *systems, "--json").json["warnings"]) == 1
    assert asradapt(*measured).err.count(told) == 1
    names = tmp_path / "names.txt"
    names.write_text("# none yet\n", encoding="utf-8")
    assert f"{names} holds no phrases" in asradapt("transcribe", *clips, "--vocab", names, "--no-lm").err


def test_a_vocabulary_changes_only_what_its_speaker_is_heard_to_say(asradapt, enrolled, recordings, tmp_path):
    clips = [recordings / f"{name}{number}.wav" for name in ("ann", "bob") for number in range(4)]
    rows = tmp_path / "m.csv"
    rows.write_text(
        "audio_filepath,speaker\n" + "".join(f"{clip},{clip.name[:3]}\n" for clip in clips), encoding="utf-8"
    )

    def heard() -> list[str]:
        done = asradapt("transcribe", "--manifest", rows, "--beam", 8, "--json")
        return [result["text"] for result in done.json["results"]]

    before = heard()
    word = max((w for text in before[:4] for w in text.split()), key=len)[:-1]  # near something that ann says
    asradapt("vocab", "add", "ann", word)
    after = heard()
    assert after[4:] == before[4:]
    assert any(word in text.split() for text in after[:4])
    assert asradapt("transcribe", clips[0], "--speaker", "ann").code == 0


def test_phrases_and_their_strength_are_shown(asradapt, enrolled):
    assert "phrases" not in asradapt("speakers", "show", "ann").out
    asradapt("vocab", "add", "ann", "Zoe", "Kaliningrad")
    assert "phrases     2 phrases\n" in asradapt("speakers", "show", "ann").out
    asradapt("vocab", "strength", "ann", "0.75")
    assert "2 phrases, listened for with a strength of 0.75" in asradapt("speakers", "show", "ann").out


def test_the_strength_is_printed_set_and_given_back(asradapt, enrolled):
    asradapt("vocab", "add", "ann", "Zoe")
    assert asradapt("vocab", "strength", "ann").out == "0.3\n"
    assert asradapt("vocab", "strength", "ann", "0.25").out == "0.25\n"
    assert asradapt("vocab", "add", "ann", "Riga", "--json").json == {
        "speaker": "ann",
        "phrases": ["Riga", "Zoe"],
        "strength": 0.25,
    }
    assert asradapt("vocab", "strength", "bob").out == "0.3\n"
    assert asradapt("vocab", "strength", "ann", "--usual").out == "0.3\n"
    assert asradapt("vocab", "strength", "ann", "--json").json == {"speaker": "ann", "strength": 0.3, "own": False}
    for arguments in (("6",), ("-1",), ("nan",), ("0.5", "--usual")):
        assert asradapt("vocab", "strength", "ann", *arguments).code == 2


def test_tuning_tells_what_is_odd_about_recordings(asradapt, enrolled, recordings, tmp_path):
    samples, rate = soundfile.read(recordings / "ann12.wav")
    soundfile.write(tmp_path / "a.wav", np.stack([samples, -samples], 1), rate)
    text = (recordings / "ann12.txt").read_text()
    (tmp_path / "a.txt").write_text(text)
    asradapt("vocab", "add", "ann", max(text.split(), key=len))
    done = asradapt("vocab", "tune", "ann", tmp_path / "a.wav", "--beam", 8, "--json")
    assert done.code == 0
    (warning,) = [one for one in done.json["warnings"] if "a.wav" in one]
    assert "cancel each other out" in warning


def test_a_strength_is_found_by_recordings_and_stored(asradapt, enrolled, recordings):
    rows = ("--manifest", recordings / "manifest.jsonl", "--where", "part=test", "--beam", 8)
    refused = asradapt("vocab", "tune", "ann", *rows)
    assert (refused.code, "ann has no phrases" in refused.err) == (1, True)
    asradapt("vocab", "add", "ann", "nobodysaysthis")
    refused = asradapt("vocab", "tune", "ann", *rows)
    assert (refused.code, "is said in none of" in refused.err) == (1, True)
    said = [(recordings / f"ann{number}.txt").read_text().split() for number in range(12, 16)]
    asradapt("vocab", "add", "ann", *(max(words, key=len) for words in said))
    greedy = asradapt("vocab", "tune", "ann", *rows[:-2])
    assert (greedy.code, "beam search" in greedy.err) == (2, True)
    done = asradapt("vocab", "tune", "ann", *rows, "--json")
    assert done.code == 0
    assert [one["strength"] for one in done.json["tried"]] == list(STRENGTHS)
    assert all(one["said"] == done.json["tried"][0]["said"] > 0 for one in done.json["tried"])
    assert asradapt("vocab", "strength", "ann").out == f"{done.json['strength']:g}\n"
    assert done.json["own"] == done.json["stored"]
    asradapt("vocab", "strength", "ann", "2")
    told = asradapt("vocab", "tune", "ann", *rows).out.splitlines()
    assert len(told) == 7
    assert done.json["stored"] or "the strength stays 2" in told[-1]
    assert asradapt("vocab", "strength", "ann", "--json").json == {"speaker": "ann", "strength": 2.0, "own": True}


def test_a_tuning_that_heard_nothing_changes_nothing(asradapt, enrolled, tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    (tmp_path / "a.txt").write_text("riga is far", encoding="utf-8")
    asradapt("vocab", "add", "ann", "riga")
    asradapt("vocab", "strength", "ann", "1.25")
    done = asradapt("vocab", "tune", "ann", tmp_path / "a.wav", "--beam", 4)
    assert done.code == 1
    assert "could be heard" in done.err
    assert "a.wav" in done.err
    assert asradapt("vocab", "strength", "ann").out == "1.25\n"


def test_recordings_that_cannot_be_used_are_named(asradapt, enrolled, tmp_path):
    asradapt("vocab", "add", "ann", "riga")
    done = asradapt("vocab", "tune", "ann", tmp_path / "no.wav", "--beam", 4)
    assert (done.code, "no.wav" in done.err) == (1, True)
