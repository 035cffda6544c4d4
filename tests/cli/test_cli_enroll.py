from __future__ import annotations

import shutil
from importlib import import_module
from types import SimpleNamespace

import click
import pytest
import soundfile
from samples import write_rows

from asradapt.cli.common import Bar
from asradapt.cli.enroll_output import Outcomes, finish
from asradapt.enrolment.storing import is_enrolled
from asradapt.store import SpeakerStore

FROM_MANIFEST = ("--where", "part=enroll")


def clips(recordings, speaker, count):
    return [recordings / f"{speaker}{number}.wav" for number in range(count)]


def test_a_speaker_whose_recordings_come_out_better_is_adapted(asradapt, enrolled, recordings):
    store = SpeakerStore(enrolled)
    ann = store.record("ann")
    assert (ann.decision, ann.method, ann.utterances) == ("adapted", "affine", 12)
    assert ann.folds["after"]["wer"] < ann.folds["before"]["wer"]
    assert ann.folds["high"] < 0
    audio = recordings / "ann15.wav"
    said = (recordings / "ann15.txt").read_text()
    before = asradapt("transcribe", audio, "--source-only").out
    after = asradapt("transcribe", audio, "--speaker", "ann").out
    assert before != after
    assert len(after.strip()) <= 2 * len(said)


def test_a_speaker_with_too_few_recordings_keeps_the_source_and_that_is_a_success(asradapt, home, recordings):
    done = asradapt("enroll", "bob", *clips(recordings, "bob", 2))
    assert done.code == 0
    assert "source kept" in done.out
    assert "2 usable recordings are too few" in done.out
    assert SpeakerStore(home).record("bob").decision == "source"


def test_a_fresh_enrolment_stays_with_the_model_of_the_one_before(enrolled, recordings, model_path, capsys):
    from asradapt.cli import run

    capsys.readouterr()
    rows = ["--manifest", str(recordings / "manifest.jsonl"), "--where", "part=enroll"]
    assert run(["enroll", "ann", *rows, "--method", "affine", "--fresh", "--seed", "1"]) == 0
    assert f"ann was enrolled on {model_path}, which is used" in capsys.readouterr().err
    store = SpeakerStore(enrolled)
    assert store.versions("ann")[-1] == 2
    assert store.record("ann", 2).source["model"] == str(model_path)


def test_files_folder_and_manifest_enrol_the_same(asradapt, recordings, tmp_path, home):
    folder = tmp_path / "folder" / "deep"
    folder.mkdir(parents=True)
    for audio in clips(recordings, "ann", 3):
        shutil.copy(audio, folder)
        shutil.copy(audio.with_suffix(".txt"), folder)
    rows = [{"audio_filepath": str(a), "text": a.with_suffix(".txt").read_text()} for a in folder.glob("*.wav")]
    manifest = write_rows(tmp_path / "m.jsonl", sorted(rows, key=lambda row: row["audio_filepath"]))
    entries = []
    for inputs in (clips(recordings, "ann", 3), [tmp_path / "folder"], ["--manifest", manifest]):
        (entry,) = asradapt("enroll", "ann", *inputs, "--json", "--method", "affine", "--fresh").json["speakers"]
        entries.append({k: v for k, v in entry.items() if k not in ("wall_seconds", "version")})
    assert entries[0]["utterances"] == 3
    assert entries == [entries[0]] * 3
    assert SpeakerStore(home).versions("ann") == [1, 2, 3]


def one_by_one(recordings):
    """Enrols everybody of the test people from few recordings, each in a job of their own."""
    manifest = ("--manifest", recordings / "manifest.jsonl", "--where", "part=test")
    return ("enroll", "--every-speaker", *manifest, "--method", "affine", "--speakers-at-once", 1)


class Interrupts:
    """Stands for the enrolment of a job and is interrupted in the second."""

    def __init__(self, enroll_job, error):
        self.enroll_job, self.error, self.jobs = enroll_job, error, 0

    def __call__(self, *arguments):
        self.jobs += 1
        if self.jobs == 2:
            raise self.error
        return self.enroll_job(*arguments)


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 1)]
)
@pytest.mark.parametrize("as_json", [False, True])
def test_who_was_enrolled_by_then_is_told_and_can_be_left_out(
    asradapt, recordings, home, monkeypatch, error, code, as_json
):
    """Of two people the first is stored when the second job breaks off."""
    job = import_module("asradapt.enrolment.enroll")
    with monkeypatch.context() as patched:
        patched.setattr(job, "run_job", Interrupts(job.run_job, error))
        broken = asradapt(*one_by_one(recordings), *(["--json"] if as_json else []))
    assert broken.code == code
    if as_json:
        assert [one["speaker"] for one in broken.json["speakers"]] == ["ann"]
    else:
        assert broken.out.startswith("ann: 4 recordings")
        assert "bob" not in broken.out
    if code == 130:
        assert "--skip-enrolled goes on" in broken.err
    assert SpeakerStore(home).speakers() == ["ann"]
    rest = asradapt(*one_by_one(recordings), "--skip-enrolled", "--json")
    assert (rest.code, rest.json["skipped"]) == (0, ["ann"])
    assert [one["speaker"] for one in rest.json["speakers"]] == ["bob"]
    assert "1 speaker enrolled already, left as they are" in rest.err
    assert SpeakerStore(home).versions("ann") == [1]
    nobody = asradapt(*one_by_one(recordings), "--skip-enrolled")
    assert (nobody.code, nobody.out) == (0, "")
    assert "2 speakers enrolled already" in nobody.err


def test_stdout_that_takes_nothing_keeps_nobody_from_being_enrolled(asradapt, recordings, home, monkeypatch):
    output = import_module("asradapt.cli.enroll_output")

    def full(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(output, "say", full)
    assert asradapt(*one_by_one(recordings)).code == 1
    assert SpeakerStore(home).speakers() == ["ann", "bob"]


def test_skip_enrolled_is_for_every_speaker_and_for_this_model(asradapt, recordings, enrolled, monkeypatch):
    alone = asradapt("enroll", "ann", *clips(recordings, "ann", 2), "--skip-enrolled")
    assert (alone.code, "--skip-enrolled is for --every-speaker" in alone.err) == (2, True)
    record = SpeakerStore(enrolled).record("ann")
    model = SimpleNamespace(name=record.source["name"], fingerprint=record.source["fingerprint"])
    store = SpeakerStore(enrolled)
    assert is_enrolled(store, model, "ann")
    assert is_enrolled(store, model, "bob")  # the source was kept for him
    assert not is_enrolled(store, model, "anna")
    assert not is_enrolled(store, SimpleNamespace(name=model.name, fingerprint="another"), "ann")
    (enrolled / "speakers" / "bob" / "current").write_text("nothing of ours")
    assert not is_enrolled(store, model, "bob")


def test_who_keeps_an_adaptation_is_not_counted_as_keeping_the_source(capsys):
    outcomes = (("adapted", 0), ("adapted", 1), ("source", 1), ("source", 0))
    people = [
        SimpleNamespace(
            record=SimpleNamespace(
                transcribed=True,
                speaker="ann",
                method="affine",
                version=1,
                decision=decision,
                utterances=2,
                seconds=3.0,
            ),
            stays=stays,
            wall_seconds=1.0,
            explanation="",
            forecast=None,
            partly=None,
            retention=None,
            left_out=(),
            remarks=(),
            start="",
            kept=None,
        )
        for decision, stays in outcomes
    ]
    with click.Context(click.Command("enroll")):
        told = Outcomes(SimpleNamespace(root="store"), as_json=False)
    told.stored(people[:1], Bar())
    assert capsys.readouterr().out.startswith("ann: 2 recordings")
    told.stored(people[1:], Bar())
    finish(SimpleNamespace(speakers=people), [], [], told)
    out = capsys.readouterr().out
    assert out.count("ann: 2 recordings") == 3  # the first is not told of again
    assert "4 speakers enrolled, 1 adapted, 1 keep the source, 2 keep what they had" in out


def test_where_chooses_the_rows(asradapt, recordings):
    manifest = ("--manifest", recordings / "manifest.jsonl")
    (entry,) = asradapt("enroll", "ann", *manifest, "--where", "part=test", "--json").json["speakers"]
    assert (entry["speaker"], entry["utterances"]) == ("ann", 4)


def test_every_speaker_of_a_manifest_is_enrolled_from_their_own_rows(asradapt, recordings, home):
    manifest = ("--manifest", recordings / "manifest.jsonl", "--where", "part=test")
    done = asradapt("enroll", "--every-speaker", *manifest, "--method", "affine", "--speakers-at-once", 1)
    assert done.code == 0
    assert "2 speakers enrolled" in done.out
    store = SpeakerStore(home)
    assert store.speakers() == ["ann", "bob"]
    texts = {name: store.record(name).split["texts"] for name in ("ann", "bob")}
    assert texts["ann"] == [(recordings / f"ann{number}.txt").read_text() for number in range(12, 16)]
    assert texts["bob"] == [(recordings / f"bob{number}.txt").read_text() for number in range(12, 16)]


def test_enrolling_all_equals_enrolling_one_by_one(asradapt, recordings, enrolled_once):
    rows = ("--manifest", recordings / "manifest.jsonl", *FROM_MANIFEST, "--method", "affine", "--json")
    both = {entry["speaker"]: entry for entry in asradapt("enroll", "--every-speaker", *rows).json["speakers"]}
    alone = SpeakerStore(enrolled_once).record("ann")
    assert both["ann"]["decision"] == alone.decision
    assert both["ann"]["folds"]["after"] == pytest.approx(alone.folds["after"]["wer"], abs=0.05)


def test_two_ways_of_typing_a_name_are_one_speaker(asradapt, recordings, manifest):
    composed, apart = "Zo\u00eb", "Zoe\u0308"
    rows = [
        {"audio_filepath": str(audio), "text": "hello", "speaker": speaker}
        for audio, speaker in zip(clips(recordings, "ann", 2), (composed, apart), strict=True)
    ]
    for who in (composed, apart, "--every-speaker"):
        (entry,) = asradapt("enroll", who, "--manifest", manifest(*rows), "--json").json["speakers"]
        assert (entry["speaker"], entry["utterances"]) == (composed, 2)


@pytest.mark.parametrize("name", ["ann lee", "Zoë Ångström", "太郎", "o'brien", "a.b@c_d-e", "42", "नेहा"])
def test_ordinary_names_of_any_script_work_from_end_to_end(asradapt, recordings, name):
    assert asradapt("enroll", name, *clips(recordings, "ann", 2)).code == 0
    assert [entry["speaker"] for entry in asradapt("speakers", "list", "--json").json["speakers"]] == [name]
    (result,) = asradapt("transcribe", recordings / "ann0.wav", "--speaker", name, "--json").json["results"]
    assert result["speaker"] == name


def test_rows_of_a_manifest_without_speakers_belong_to_the_named_one(asradapt, recordings, manifest):
    rows = [{"audio_filepath": str(audio), "text": "hello"} for audio in clips(recordings, "ann", 2)]
    (entry,) = asradapt("enroll", "eve", "--manifest", manifest(*rows), "--json").json["speakers"]
    assert (entry["speaker"], entry["utterances"]) == ("eve", 2)


def test_a_manifest_of_other_people_is_refused_by_name(asradapt, recordings, home):
    done = asradapt("enroll", "eve", "--manifest", recordings / "manifest.jsonl")
    assert done.code == 1
    assert "no rows of 'eve'" in done.err
    assert "ann, bob" in done.err
    assert not home.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name the SPEAKER"),
        (("ann",), "give audio files or --manifest"),
        (("ann", "ann0.wav", "--manifest", "manifest.jsonl"), "not both"),
        (("--every-speaker",), "--every-speaker takes --manifest"),
        (("ann", "--every-speaker", "--manifest", "manifest.jsonl"), "no SPEAKER"),
        (("ann", "ann0.wav", "--where", "part=test"), "--where filters"),
        (("ann", "--manifest", "manifest.jsonl", "--where", "part"), "KEY=VALUE"),
        (("ann", "ann0.wav", "--folds", "1"), "folds must be at least 2"),
        (("ann", "ann0.wav", "--speakers-at-once", "0"), "at least 1"),
        (("ann", "ann0.wav", "--method", "affine+affine"), "twice"),
        (("ann", "ann0.wav", "--method", "encoder+affine"), "cannot be combined"),
        (("ann", "ann0.wav", "--method", "affine", "--rank", "8"), "--rank is that of lowrank; affine has none"),
        (("ann", "ann0.wav", "--rank", "0"), "--rank"),
        (("ann", "ann0.wav", "--seed", "-1"), "-1 is not from 0"),
        (("ann", "ann0.wav", "--seed", "one"), "--seed"),
        (("ann", "ann0.wav", "--device", "abacus"), "available: cpu"),
        (("ann", "ann0.wav", "--nope"), "--nope"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(asradapt, recordings, home, arguments, said, monkeypatch):
    monkeypatch.chdir(recordings)
    done = asradapt("enroll", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err
    assert not home.exists()


@pytest.mark.parametrize(
    "method", ["affine", "lowrank", "bottleneck", "head", "input", "encoder", "affine+lowrank"]
)
def test_every_method_enrols(asradapt, recordings, method):
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--method", method, "--json")
    assert done.code == 0
    (entry,) = done.json["speakers"]
    assert entry["method"] == (method if entry["decision"] == "adapted" else "identity")


def test_the_rank_is_what_was_asked_for(asradapt, recordings, home):
    inputs = ("ann", "--manifest", recordings / "manifest.jsonl", *FROM_MANIFEST)
    assert asradapt("enroll", *inputs, "--method", "lowrank", "--rank", 3).code == 0
    assert SpeakerStore(home).record("ann").gate["tried"]["options"] == {"lowrank": {"rank": 3}}
    assert asradapt("enroll", *inputs, "--rank", 3).code == 0  # auto takes another method for so little speech


def test_an_unknown_method_lists_the_known_ones(asradapt, recordings, home):
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--method", "magic")
    assert done.code != 0
    assert "'magic'" in done.err
    assert "affine" in done.err
    assert not SpeakerStore(home).speakers()


def test_the_store_option_wins_over_the_environment(asradapt, recordings, tmp_path, home):
    asradapt("enroll", "ann", *clips(recordings, "ann", 2), "--store", tmp_path / "elsewhere")
    assert SpeakerStore(tmp_path / "elsewhere").speakers() == ["ann"]
    assert not home.exists()


def test_the_same_seed_gives_the_same_adaptation(asradapt, recordings, tmp_path):
    inputs = ("ann", "--manifest", recordings / "manifest.jsonl", *FROM_MANIFEST, "--method", "affine")
    for name in ("one", "two"):
        asradapt("enroll", *inputs, "--store", tmp_path / name)
    one, two = (SpeakerStore(tmp_path / name).load("ann") for name in ("one", "two"))
    assert one.tensors
    assert one.record.sha256 == two.record.sha256


def test_bad_recordings_are_named_at_the_end_and_the_others_are_used(asradapt, recordings, tmp_path, home):
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, [0.0] * 16_000, 16_000)
    silent.with_suffix(".txt").write_text("nothing")
    good = clips(recordings, "ann", 3)
    done = asradapt("enroll", "ann", good[0], tmp_path / "no.wav", silent, *good[1:])
    assert done.code == 1
    assert "3 recordings" in done.out
    assert f"failed: {tmp_path / 'no.wav'} does not exist" in done.err
    assert f"failed: {silent}: the recording is silent" in done.err
    assert SpeakerStore(home).record("ann").utterances == 3


def test_without_any_usable_recording_nobody_is_enrolled(asradapt, tmp_path, home):
    (tmp_path / "a.wav").write_bytes(b"")
    (tmp_path / "a.txt").write_text("hello")
    for inputs in ([tmp_path / "no.wav"], [tmp_path / "a.wav"]):
        done = asradapt("enroll", "ann", *inputs)
        assert (done.code, done.out) == (1, "")
        assert "nobody was enrolled" in done.err
        assert not SpeakerStore(home).speakers()
        assert asradapt("enroll", "ann", *inputs, "--json").json["speakers"] == []


def test_who_brings_no_texts_at_all_is_told_what_does_without(asradapt, tmp_path, recordings):
    good = clips(recordings, "ann", 2)
    for number, one in enumerate(good):
        shutil.copy(one, tmp_path / f"{number}.wav")
    assert "`--untranscribed` enrols" in asradapt("enroll", "ann", tmp_path).err
    (tmp_path / "0.txt").write_text("hello")
    assert "`--untranscribed`" not in asradapt("enroll", "ann", tmp_path, tmp_path / "no.wav").err
    rows = write_rows(tmp_path / "rows.jsonl", [{"audio_filepath": str(one), "speaker": "bob"} for one in good])
    assert "`--untranscribed` enrols" in asradapt("enroll", "bob", "--manifest", rows).err
    assert "looks like a manifest, which --manifest takes" in asradapt("enroll", "bob", rows).err


def test_one_word_said_often_is_too_little_to_adapt_to(asradapt, tmp_path, recordings, home):
    good = clips(recordings, "ann", 6)
    rows = [{"audio_filepath": str(one), "text": "ab", "speaker": "ann"} for one in good]
    done = asradapt("enroll", "ann", "--manifest", write_rows(tmp_path / "rows.jsonl", rows))
    assert done.code == 0
    assert "6 recordings say 1 text, too few different ones to adapt to" in " ".join(done.out.split())
    assert SpeakerStore(home).record("ann").decision == "source"


def test_without_transcripts_only_the_audio_is_read(asradapt, home, recordings, words, tmp_path):
    folder = tmp_path / "untold"
    folder.mkdir()
    for audio in clips(recordings, "ann", 5):
        shutil.copy(audio, folder)
    assert asradapt("enroll", "ann", folder).code == 1
    assert not home.exists()
    done = asradapt("enroll", "ann", folder, "--untranscribed", "--lm", words, "--method", "affine", "--json")
    (entry,) = done.json["speakers"]
    assert (done.code, entry["utterances"], entry["transcribed"]) == (0, 5, False)
    record = SpeakerStore(home).record("ann")
    assert (record.decision, record.transcribed) == (entry["decision"], False)
    assert "learned without transcripts" in asradapt("speakers", "show", "ann").out


def test_without_transcripts_every_speaker_of_a_manifest(asradapt, home, recordings, words, manifest):
    rows = [
        {"audio_filepath": str(audio), "speaker": name}
        for name in ("ann", "bob")
        for audio in clips(recordings, name, 3)
    ]
    arguments = ("--every-speaker", "--manifest", manifest(*rows), "--untranscribed", "--lm", words)
    done = asradapt("enroll", *arguments, "--method", "head")
    assert done.code == 0
    assert "2 speakers enrolled" in done.out
    assert SpeakerStore(home).speakers() == ["ann", "bob"]


def test_learning_without_transcripts_needs_a_language_model(asradapt, home, recordings):
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--untranscribed")
    assert done.code == 2
    assert "comes without a language model" in done.err
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--lm", "lm_en")
    assert done.code == 2
    assert "--untranscribed" in done.err
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--untranscribed", "--budget", "30s")
    assert done.code == 2
    assert "--budget" in done.err
    assert not home.exists()


def test_recordings_without_texts_are_learned_beside_some_with_texts(asradapt, home, recordings, words, tmp_path):
    folder = tmp_path / "partly"
    folder.mkdir()
    for number, audio in enumerate(clips(recordings, "ann", 12)):
        shutil.copy(audio, folder)
        if number < 6:
            shutil.copy(audio.with_suffix(".txt"), folder)
    without = asradapt("enroll", "ann", folder, "--method", "affine")
    assert without.code == 1
    assert "`--partly-transcribed` learns from recordings without texts, too" in without.err
    arguments = ("--partly-transcribed", "--lm", words, "--method", "affine", "--fresh")
    done = asradapt("enroll", "ann", folder, *arguments, "--json")
    (entry,) = done.json["speakers"]
    assert (done.code, entry["utterances"], entry["transcribed"]) == (0, 6, True)
    assert entry["partly"]["pieces"] == 6
    assert entry["partly"].keys() == {"pieces", "seconds", "confidence", "used", "reason", "without", "with"}
    shown = " ".join(asradapt("speakers", "show", "ann").out.split())
    assert ("heard in 6 pieces of recordings without texts" in shown) is entry["partly"]["used"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--untranscribed",), "not both"),
        (("--strict",), "--strict: for recordings that all have texts, not with --partly-transcribed"),
        (("--budget", "30s"), "--budget: for recordings that all have texts, not with --partly-transcribed"),
        ((), "comes without a language model"),
        (("--lm", "lm_en", "--method", "encoder"), "changes a whole encoder"),
    ],
)
def test_what_does_not_go_with_recordings_without_texts(asradapt, home, recordings, options, said):
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), "--partly-transcribed", *options)
    assert done.code == 2
    assert said in done.err
    assert not SpeakerStore(home).speakers()


def test_new_characters_are_added_and_shown(asradapt, recordings, tmp_path):
    """The commonest letter of ann is said to be an é, which the model cannot write."""
    audio = clips(recordings, "ann", 6)
    letters = "".join(one.with_suffix(".txt").read_text() for one in audio).replace(" ", "")
    common = max(set(letters), key=letters.count)
    rows = [
        {
            "audio_filepath": str(one),
            "text": f"{one.with_suffix('.txt').read_text().replace(common, 'é')} é",
            "speaker": "ann",
        }
        for one in audio
    ]
    manifest = write_rows(tmp_path / "m.jsonl", rows)
    refused = asradapt("enroll", "ann", "--manifest", manifest, "--json")
    assert refused.code == 1
    assert all("--add-tokens 'é'" in reason for reason in refused.failed.values() if "cannot write" in reason)
    rows[0]["text"] = f"ñ {rows[0]['text']}"
    told = asradapt("enroll", "ann", "--manifest", write_rows(tmp_path / "two.jsonl", rows)).err
    (line,) = [line for line in told.splitlines() if "cannot write" in line]
    assert line.startswith(f"failed: {audio[0]}, ")
    assert " more: the model cannot write: é ñ; --add-tokens 'éñ' teaches it" in line
    done = asradapt("enroll", "ann", "--manifest", manifest, "--add-tokens", "from-texts", "--json")
    assert not done.failed
    (one,) = done.json["speakers"]
    assert one["utterances"] == 6
    if one["decision"] == "adapted":
        assert one["method"].endswith("+tokens")
        assert "characters  é besides" in asradapt("speakers", "show", "ann").out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--add-tokens", "a é"), "can write already: a"),
        (("--add-tokens", "é", "--untranscribed"), "--add-tokens: for recordings with texts only"),
        (("--method", "lowrank+tokens"), "the method tokens needs the new characters: --add-tokens"),
        (("--method", "encoder", "--add-tokens", "é"), "cannot be combined: 'encoder+tokens'"),
    ],
)
def test_new_characters_that_cannot_be_added_are_wrong_usage(asradapt, recordings, more, said):
    done = asradapt("enroll", "ann", *clips(recordings, "ann", 3), *more)
    assert done.code == 2
    assert said in done.err


def test_too_few_recordings_are_not_said_to_be_trained_on(asradapt, recordings, home):
    for _ in range(2):
        done = asradapt("enroll", "eve", recordings / "ann0.wav", "--keep-audio")
        assert "eve: 1 recording, 2 s" in done.out or "eve: 1 recording, 1 s" in done.out
        assert "1 usable recording is too few" in done.out
        assert "trained" not in done.out
        assert "audio is kept: 1 recording, " in done.out
