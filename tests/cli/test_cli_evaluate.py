from __future__ import annotations

import pytest
import soundfile
import torch

from asradapt.scoring import NORMALIZER, score

COUNTS = ("substitutions", "deletions", "insertions", "words")
TEST = ("--where", "part=test")


@pytest.fixture
def evaluate(asradapt, recordings):
    return lambda *arguments: asradapt("evaluate", "--manifest", recordings / "manifest.jsonl", *arguments)


def test_the_adapted_speaker_is_better_and_the_other_does_not_change(evaluate, enrolled):
    done = evaluate(*TEST, "--json")
    assert done.code == 0
    ann, bob = done.json["speakers"]
    assert (ann["speaker"], ann["decision"], ann["method"]) == ("ann", "adapted", "affine")
    assert ann["after"]["wer"] < ann["before"]["wer"]
    assert (bob["speaker"], bob["decision"], bob["method"]) == ("bob", "source", "identity")
    assert bob["after"] == bob["before"]
    assert done.json["changed"] == {"better": 1, "equal": 1, "worse": 0}


def test_pooled_counts_are_sums_and_rates_are_fractions_of_them(evaluate, enrolled):
    content = evaluate("--json").json
    for when in ("before", "after"):
        pooled, parts = content["pooled"][when], [speaker[when] for speaker in content["speakers"]]
        assert [pooled[key] for key in COUNTS] == [sum(part[key] for part in parts) for key in COUNTS]
        assert pooled["wer"] == sum(pooled[key] for key in COUNTS[:3]) / pooled["words"]
    difference = content["pooled"]["difference"]
    assert difference["wer"] == pytest.approx(
        content["pooled"]["after"]["wer"] - content["pooled"]["before"]["wer"]
    )
    assert difference["low"] <= difference["wer"] <= difference["high"]


def test_the_table_shows_what_the_json_holds(evaluate, enrolled):
    done, content = evaluate(*TEST), evaluate(*TEST, "--json").json
    rows = {line.split()[0]: line for line in done.out.splitlines() if "|" in line}
    for name, entry in [("pooled", content["pooled"]), *((s["speaker"], s) for s in content["speakers"])]:
        for when in ("before", "after"):
            counts = entry[when]
            assert f"{counts['wer']:.1%}" in rows[name]
            assert "/".join(str(counts[key]) for key in COUNTS[:3]) in rows[name]
    assert "affine" in rows["ann"]
    assert "source kept" in rows["bob"]
    assert NORMALIZER in done.out
    assert "95% interval" in done.out
    assert done.err == ""


def test_the_columns_of_the_table_stand_below_each_other(evaluate, enrolled):
    done = evaluate(*TEST)
    bars = {tuple(i for i, c in enumerate(line) if c == "|") for line in done.out.splitlines() if "|" in line}
    assert len(bars) == 1


def test_whoever_is_not_enrolled_counts_as_the_source_and_the_table_says_so(evaluate):
    done = evaluate(*TEST)
    assert done.code == 0
    assert done.out.count("not enrolled: source") == 2
    assert done.err == ""
    content = evaluate(*TEST, "--json").json
    assert [(s["enrolled"], s["decision"], s["method"]) for s in content["speakers"]] == [
        (False, "source", "identity")
    ] * 2
    assert [warning.split()[0] for warning in content["warnings"]] == ["ann", "bob"]
    assert content["pooled"]["before"] == content["pooled"]["after"]


def test_one_speaker_of_the_manifest(evaluate, enrolled):
    everybody = {entry["speaker"]: entry for entry in evaluate("--json").json["speakers"]}
    assert evaluate("--speaker", "ann", "--json").json["speakers"] == [everybody["ann"]]


def test_a_speaker_may_be_tried_on_a_manifest_without_speakers(asradapt, enrolled, recordings, manifest):
    clips = [recordings / f"ann{number}.wav" for number in range(12, 16)]
    rows = [{"audio_filepath": str(c), "text": c.with_suffix(".txt").read_text()} for c in clips]
    (entry,) = asradapt("evaluate", "--manifest", manifest(*rows), "--speaker", "ann", "--json").json["speakers"]
    assert entry["after"]["wer"] < entry["before"]["wer"]
    (nameless,) = asradapt("evaluate", "--manifest", manifest(*rows), "--json").json["speakers"]
    assert (nameless["speaker"], nameless["before"]) == ("(unnamed)", entry["before"])


def test_the_seed_changes_the_interval_only(evaluate, enrolled):
    one, same, two = (evaluate("--json", "--seed", seed).json for seed in (1, 1, 2))
    assert one == same
    assert one["speakers"] == two["speakers"]
    assert one["pooled"]["difference"] != two["pooled"]["difference"]


@pytest.mark.parametrize(("speaker", "said"), [("eve", "no rows of 'eve'"), ("bob", "no speaker named 'bob'")])
def test_a_named_speaker_must_be_in_manifest_and_store(evaluate, enrolled, asradapt, speaker, said):
    asradapt("speakers", "remove", "bob", "--yes")
    done = evaluate("--speaker", speaker)
    assert (done.code, done.out) == (1, "")
    assert said in done.err


def test_rows_without_text_or_audio_fail_and_the_others_count(asradapt, recordings, manifest, tmp_path):
    good = {"audio_filepath": str(recordings / "ann0.wav"), "text": "one two", "speaker": "ann"}
    rows = [good | {"text": "", "speaker": "bob"}, good, good | {"audio_filepath": "no.wav"}]
    done = asradapt("evaluate", "--manifest", manifest(*rows), "--json")
    assert done.code == 1
    assert done.failed.keys() == {"ann0.wav", "no.wav"}
    assert done.json["pooled"]["before"]["words"] == 2
    shown = asradapt("evaluate", "--manifest", manifest(*rows))
    assert "pooled        2" in shown.out
    assert "failed: " in shown.err.splitlines()[-1]


def test_nothing_to_evaluate_prints_no_table(asradapt, recordings, manifest):
    words = ("evaluate", "--manifest", manifest({"audio_filepath": str(recordings / "ann0.wav")}))
    done = asradapt(*words)
    assert (done.code, done.out) == (1, "")
    assert "there is no text to score against" in done.err
    assert "nothing was evaluated" in done.err
    assert asradapt(*words, "--json").json["error"] == "nothing was evaluated"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --manifest FILE"),
        (("--manifest", "manifest.jsonl", "--where", "part"), "KEY=VALUE"),
        (("--manifest", "manifest.jsonl", "--seed", "-1"), "-1 is not from 0"),
        (("--manifest", "manifest.jsonl", "ann0.wav"), "ann0.wav"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_to_do(asradapt, recordings, arguments, said, monkeypatch):
    monkeypatch.chdir(recordings)
    done = asradapt("evaluate", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_a_speaker_stored_under_another_name_is_judged_on_the_rows_that_a_filter_names(
    asradapt, evaluate, enrolled, tmp_path
):
    asradapt("export", "ann", tmp_path / "ann.zip")
    asradapt("import", tmp_path / "ann.zip", "--name", "anna")
    own = evaluate(*TEST, "--speaker", "ann", "--json").json["speakers"]
    done = evaluate(*TEST, "--where", "speaker=ann", "--speaker", "anna", "--json")
    assert done.json["speakers"] == [own[0] | {"speaker": "anna"}]
    assert "the rows of ann are taken as those of anna" in done.json["warnings"][0]
    refused = evaluate(*TEST, "--speaker", "anna")
    assert (refused.code, refused.out) == (1, "")
    assert "its speakers are ann, bob" in refused.err
    assert "say which with --where speaker=NAME" in refused.err
    both = evaluate("--where", "speaker=ann", "--where", "speaker=bob", "--speaker", "anna")
    assert (both.code, "no rows of 'anna'" in both.err) == (1, True)


def test_a_language_model_that_comes_unnamed_is_named(asradapt, home, recordings, manifest):
    audio = recordings / "ann0.wav"
    rows = manifest(
        {"audio_filepath": str(audio), "text": audio.with_suffix(".txt").read_text(), "speaker": "ann"}
    )
    arguments = ("evaluate", "--manifest", rows, "--model", "source_en", "--json")
    assert asradapt(*arguments, "--beam", 2).json["decoding"] == "--beam 2 --lm lm_en"
    assert asradapt(*arguments, "--beam", 2, "--no-lm").json["decoding"] == "--beam 2 --no-lm"
    assert asradapt(*arguments, "--beam", 2, "--lm-weight", 0).json["decoding"] == "--beam 2 --lm-weight 0.0"
    assert asradapt(*arguments).json["decoding"] == "greedy"


def test_all_of_a_long_recording_is_heard_on_demand(asradapt, enrolled, manifest, babble, tmp_path):
    sound = torch.cat([babble(4.0, 5), torch.zeros(40 * 16_000), babble(4.0, 6)])
    soundfile.write(tmp_path / "long.wav", sound.numpy(), 16_000)
    rows = manifest({"audio_filepath": str(tmp_path / "long.wav"), "text": "a b c", "speaker": "ann"})
    usual = asradapt("evaluate", "--manifest", rows, "--json").json
    whole = asradapt("evaluate", "--manifest", rows, "--no-vad", "--json").json
    heard = asradapt("transcribe", tmp_path / "long.wav", "--speaker", "ann", "--beam", 0, "--no-vad", "--json")
    assert (usual["decoding"], whole["decoding"]) == ("greedy", "greedy --no-vad")
    (text,) = [one["text"] for one in heard.json["results"]]
    wer = score("a b c", text).wer
    assert whole["pooled"]["after"]["wer"] == pytest.approx(wer) != usual["pooled"]["after"]["wer"]
    searched = asradapt("evaluate", "--manifest", rows, "--no-vad", "--beam", 2, "--json").json
    assert searched["decoding"] == "--beam 2 --no-vad"
    compared = asradapt("evaluate", "--manifest", rows, "--no-vad", "--systems", "source,ann", "--json").json
    assert compared["decoding"] == "greedy --no-vad"
    (tmp_path / "other.jsonl").write_text('{"audio_filepath": "long.wav", "text": "a"}\n')
    refused = asradapt("evaluate", "--manifest", rows, "--no-vad", "--systems", f"x={tmp_path / 'other.jsonl'}")
    assert (refused.code, "--no-vad has no effect" in refused.err) == (2, True)


def test_a_zero_is_an_answer_and_not_an_option_left_out(asradapt, enrolled, recordings, tmp_path):
    (tmp_path / "names.txt").write_text("abc\n", encoding="utf-8")
    rows = ("--manifest", recordings / "manifest.jsonl", "--where", "part=test")
    refused = asradapt("evaluate", *rows, "--beam", 0, "--vocab", tmp_path / "names.txt")
    assert (refused.code, "needs beam search" in refused.err) == (2, True)
    assert asradapt("evaluate", *rows, "--beam", 0, "--json").json["decoding"] == "--beam 0"
    named = asradapt("evaluate", *rows, "--beam", 2, "--vocab", tmp_path / "names.txt", "--json").json["decoding"]
    assert named == f"--beam 2 --vocab {tmp_path / 'names.txt'}"
    for option in ("--lm-weight", "--word-score"):
        weighed = asradapt("evaluate", *rows, "--beam", 2, option, 0)
        assert (weighed.code, "needs a language model" in weighed.err) == (2, True)
