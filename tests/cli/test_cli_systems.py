from __future__ import annotations

import json

import pytest

TEST = ("--where", "part=test")


@pytest.fixture
def evaluate(asradapt, recordings):
    return lambda *arguments: asradapt("evaluate", "--manifest", recordings / "manifest.jsonl", *arguments)


@pytest.fixture
def other(recordings, tmp_path):
    """Hypotheses of a recogniser that is always right about ann and silent about bob's last utterance."""
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["part"] == "test"]
    path = tmp_path / "other.jsonl"
    lines = [json.dumps({"id": row["audio_filepath"], "text": row["text"]}) for row in rows[:-1]]
    path.write_text("\n".join(lines))
    return path


def test_source_adapted_and_another_recogniser(evaluate, enrolled, other):
    plain = evaluate(*TEST, "--json").json["pooled"]
    done = evaluate(*TEST, "--systems", f"source,adapted,{other}", "--json")
    assert done.code == 0
    source, adapted, third = done.json["systems"]
    assert source == {"system": "source"} | plain["before"]
    assert adapted == {"system": "adapted"} | plain["after"]
    assert third["deletions"] == third["words"] * third["wer"] > 0
    assert len(done.json["pairs"]) == 3
    assert "have no hypothesis" in done.json["warnings"][0]


def test_the_tables_show_what_the_json_holds(evaluate, enrolled, other):
    arguments = (*TEST, "--systems", f"source,x={other}", "--by", "speaker")
    done, content = evaluate(*arguments), evaluate(*arguments, "--json").json
    for system in content["systems"]:
        assert any(
            line.startswith(system["system"]) and f"{system['wer']:.1%}" in line for line in done.out.splitlines()
        )
    (pair,) = content["pairs"]
    assert f"{pair['over_utterances']['low']:+.1%} to {pair['over_utterances']['high']:+.1%}" in done.out
    assert f"gap of best and worst group: {content['groups'][0]['gap']['before']:.1%} source, " in done.out
    assert "WER of speakers" in done.out
    assert "1 of 8 utterances have no hypothesis" in done.err


def test_marks_of_other_recognisers_are_told(evaluate, recordings, tmp_path):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    rows = [row for row in rows if row["part"] == "test"]
    lines = [f"{row['audio_filepath']} 1 0 1 <sil>" for row in rows]
    lines += [
        f"{row['audio_filepath']} 1 {n + 1} 1 {word}" for row in rows for n, word in enumerate(row["text"].split())
    ]
    (tmp_path / "x.ctm").write_text("\n".join(lines))
    done = evaluate(*TEST, "--systems", tmp_path / "x.ctm")
    content = evaluate(*TEST, "--systems", tmp_path / "x.ctm", "--json").json
    assert content["systems"][0]["wer"] == 0
    assert content["warnings"] == ["x: 8 marks in its texts are no words and are left out: <sil>"]
    assert content["warnings"][0] in done.err
    (tmp_path / "x.ctm").write_text("call A 0 1 one\ncall B 0 1 two\n")
    refused = evaluate(*TEST, "--systems", tmp_path / "x.ctm")
    assert refused.code == 1
    assert "call has words of the channels A and B" in refused.err


def test_confusions_are_told(evaluate, enrolled, tmp_path):
    (tmp_path / "d.dict").write_text("a  AH0\nb  B IY1\n")
    content = evaluate(*TEST, "--dictionary", tmp_path / "d.dict", "--json").json
    words = content["confusions"]["words"]
    change = sum(c["after"] - c["before"] for side in ("lost", "gained") for c in words[side])
    assert words["lost"]
    assert change < 0  # ann is better
    assert set(content["confusions"]["sounds"]) == {"lost", "gained", "more"}


def test_decoding_is_greedy_unless_asked_and_said(evaluate, enrolled, asradapt, recordings):
    greedy = evaluate(*TEST, "--systems", "source", "--json").json
    beam = evaluate(*TEST, "--systems", "source", "--beam", 4, "--json").json
    assert (greedy["decoding"], beam["decoding"]) == ("greedy", "--beam 4")
    rows = recordings / "manifest.jsonl"
    own = asradapt("transcribe", "--manifest", rows, *TEST, "--source-only", "--beam", 4, "--json")
    texts = [entry["text"] for entry in own.json["results"]]
    assert sum(len(text.split()) for text in texts) == (
        beam["systems"][0]["words"] + beam["systems"][0]["insertions"] - beam["systems"][0]["deletions"]
    )
    assert "decoding --beam 4" in evaluate(*TEST, "--beam", 4).out
    assert "--lm-weight needs beam search" in evaluate(*TEST, "--beam", 0, "--lm-weight", 1).err


def test_hypotheses_alone_need_no_model(evaluate, other):
    done = evaluate(*TEST, "--systems", other, "--model", "no-such-model", "--json")
    assert done.code == 0
    assert done.json["pairs"] == []


def test_groups_of_the_plain_evaluation(evaluate, enrolled):
    content = evaluate("--by", "part,speaker", "--json").json
    assert [group["by"] for group in content["groups"]] == ["part", "speaker"]
    assert [entry["group"] for entry in content["groups"][1]["groups"]] == ["ann", "bob"]
    assert content["groups"][0]["chance"]["before"] is None  # everybody is in both parts
    assert {one["speaker"] for one in content["changes"]} == {"ann", "bob"}
    assert content["pooled"]["difference"]["low"] <= content["pooled"]["difference"]["wer"]
    assert content["difference_over_speakers"]["low"] is None  # only one of the two people changed


def test_export_for_sclite_and_back(evaluate, enrolled, tmp_path):
    folder = tmp_path / "sclite"
    first = evaluate(*TEST, "--systems", "source", "--export", folder, "--json").json
    assert sorted(path.name for path in folder.iterdir()) == [
        "reference.trn",
        "source.ctm",
        "source.trn",
        "utterances.jsonl",
    ]
    lines = [json.loads(line) for line in (folder / "utterances.jsonl").read_text().splitlines()]
    assert len(lines) == 8
    kinds = [kind for line in lines for kind, _, _ in line["systems"]["source"]["alignment"]]
    for kind in ("substitution", "deletion", "insertion"):
        assert kinds.count(kind) == first["systems"][0][f"{kind}s"]
    for suffix in ("trn", "ctm"):
        again = evaluate(*TEST, "--systems", f"back={folder / 'source'}.{suffix}", "--json").json
        assert again["systems"][0] | {"system": "source"} == first["systems"][0]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--systems", "source,source"), 2, "'source' is named twice"),
        (("--systems", "eve"), 1, "no speaker named 'eve'"),
        (("--systems", "no.jsonl"), 1, "no.jsonl does not exist"),
        (("--by", "accent"), 2, "no row has the column 'accent'"),
        (("--no-audio",), 2, "belongs to --report"),
        (("--common",), 2, "belongs to --systems"),
        (("--dictionary", "no.dict"), 1, "no.dict cannot be read"),
        (("--dictionary", "no.dict", "--systems", "source"), 2, "--dictionary has no effect"),
    ],
)
def test_wrong_usage_says_what_to_do(evaluate, arguments, code, said):
    done = evaluate(*arguments)
    assert done.code == code
    assert said in done.err


def test_decoding_is_said_of_our_systems_only(evaluate, enrolled, other):
    assert "decoding of source: greedy" in evaluate(*TEST, "--systems", f"source,x={other}").out
    assert "decoding" not in evaluate(*TEST, "--systems", f"x={other}").out
    refused = evaluate(*TEST, "--systems", f"x={other}", "--beam", "4")
    assert refused.code == 2
    assert "has no effect" in refused.err


def test_what_a_ctm_lacks_is_silence_when_common(evaluate, recordings, tmp_path):
    rows = [json.loads(line) for line in (recordings / "manifest.jsonl").read_text().splitlines()]
    first = next(row for row in rows if row["part"] == "test")
    (tmp_path / "x.ctm").write_text(f"{first['audio_filepath']} 1 0 1 a\n")
    done = evaluate(*TEST, "--systems", str(tmp_path / "x.ctm"), "--common", "--json").json
    assert sum(one["utterances"] for one in done["speakers"]) == 8
    assert "7 of 8 utterances are not in the ctm" in done["warnings"][0]


def test_an_export_under_a_file_is_refused_before_the_work(evaluate, enrolled, tmp_path):
    (tmp_path / "file").write_text("")
    done = evaluate(*TEST, "--systems", "source", "--export", tmp_path / "file" / "new" / "folder")
    assert done.code == 1
    assert "is no folder that can be written: choose another --export" in done.err
    assert "source" not in done.out


def test_an_export_over_a_file_is_refused_before_the_work(evaluate, enrolled, tmp_path):
    file = tmp_path / "texts.wav"
    file.write_text("sound")
    done = evaluate(*TEST, "--systems", "source", "--export", file)
    assert done.code == 2
    assert "is a file" in done.err
    assert not done.out
    assert file.read_text() == "sound"


def test_the_source_alone_knows_no_vocabulary(evaluate, enrolled, asradapt, recordings):
    """Also a damaged vocabulary is nothing to it."""
    rows = ("--manifest", recordings / "manifest.jsonl", *TEST)
    before = asradapt("transcribe", *rows, "--source-only", "--beam", 4).out
    assert asradapt("vocab", "add", "ann", "zoe miller").code == 0
    with_list = asradapt("transcribe", *rows, "--source-only", "--beam", 4)
    assert (with_list.code, with_list.out) == (0, before)
