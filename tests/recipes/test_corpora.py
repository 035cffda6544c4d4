"""Parsers of corpora on tiny folders of the same layout, the splits, and the run of a whole recipe."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

import measure
from asradapt.errors import ManifestError, UsageError
from asradapt.manifests import read_manifest
from asradapt.types import Utterance
from prepare import prepare
from recipe import read_recipe
from rows import LAYOUTS
from splits import SplitOptions, leaks, split

RECIPES = Path(__file__).parents[2] / "recipes"
WITH_LAYOUT = ("l2arctic", "torgo", "uaspeech", "commonvoice", "audiomnist", "speech_accent_archive")
RUN_HERE = ("speechocean762", "fsdd", "philipp_lj", "simulated")


def sound(path, seconds=0.3):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.sin(np.arange(round(16_000 * seconds)) * 0.05), 16_000)


def text(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


@pytest.fixture
def l2arctic(tmp_path):
    for speaker in ("ABA", "BWC", "ASI", "NJS", "XYZ"):
        for number in range(1, 7):
            sound(tmp_path / speaker / "wav" / f"arctic_a000{number}.wav")
            text(
                tmp_path / speaker / "transcript" / f"arctic_a000{number}.txt",
                f"Sentence number {number}, read.\n",
            )
    sound(tmp_path / "ABA" / "wav" / "arctic_b0001.wav")  # no transcript
    sound(tmp_path / "suitcase_corpus" / "wav" / "aba.wav")
    text(tmp_path / "suitcase_corpus" / "transcript" / "aba.txt", "A boy lost his suitcase.\n")
    return tmp_path


@pytest.fixture
def torgo(tmp_path):
    prompts = [
        "stick",
        "Except in the winter.",
        "tear [as in tear up]",
        "[say Ah-P-Eee repeatedly]",
        "input/images/1.jpg",
        "xxx",
    ]
    for folder, speaker, mic in (
        ("F", "F01", "wav_headMic"),
        ("MC", "MC02", "wav_arrayMic"),
        ("", "M03", "wav_headMic"),
    ):
        session = tmp_path / folder / speaker / "Session1"
        for number, prompt in enumerate(prompts):
            sound(session / mic / f"{number:04d}.wav")
            sound(session / "wav_arrayMic" / f"{number:04d}.wav")
            text(session / "prompts" / f"{number:04d}.txt", prompt + "\n")
    (tmp_path / "F" / "F01" / "Session2").mkdir()
    return tmp_path


@pytest.fixture
def uaspeech(tmp_path):
    for speaker in ("M04", "CF02"):
        lines = ["#!MLF!#"]
        for block in ("B1", "B2", "B3"):
            for code, word in (("D1", "ONE"), ("CW12", "THE"), ("UW7", f"WORD{block}")):
                for mic in ("M5", "M6"):
                    name = f"{speaker}_{block}_{code}_{mic}"
                    sound(tmp_path / "audio" / speaker / f"{name}.wav")
                    lines += [f'"*/{name}.lab"', word, "."]
        text(tmp_path / "mlf" / speaker / f"{speaker}_word.mlf", "\n".join(lines))
    return tmp_path


@pytest.fixture
def commonvoice(tmp_path):
    rows = ["client_id\tpath\tsentence\tage\tgender\taccents"]
    for client, clips in (("a" * 128, 20), ("b" * 128, 21), ("c" * 128, 3)):
        for number in range(clips):
            name = f"{client[0]}{number}.mp3"
            (tmp_path / "clips").mkdir(exist_ok=True)
            soundfile.write(tmp_path / "clips" / name, np.zeros(8000), 16_000, format="MP3")
            rows.append(f'{client}\t{name}\tHe said "number" {number}.\tthirties\tfemale\tIndia')
    text(tmp_path / "validated.tsv", "\n".join(rows))
    return tmp_path


@pytest.fixture
def audiomnist(tmp_path):
    for speaker in ("01", "02"):
        for digit in (0, 7):
            for take in (0, 9, 10, 49):
                sound(tmp_path / "data" / speaker / f"{digit}_{speaker}_{take}.wav")
    meta = {"01": {"accent": "German", "age": "30", "gender": "male"}}
    text(tmp_path / "data" / "audioMNIST_meta.txt", json.dumps(meta))
    return tmp_path


@pytest.fixture
def speech_accent_archive(tmp_path):
    text(tmp_path / "reading-passage.txt", "Please call Stella.")
    rows = ["age,age_onset,birthplace,filename,native_language,sex,speakerid,country,file_missing?"]
    for number, (language, sex) in enumerate((("Arabic", "male"), ("Dutch", "famale"))):
        rows.append(f'{20 + number}.0,5.0,"x, y",{language.lower()}1,{language},{sex},{number},z,FALSE')
        path = tmp_path / "recordings" / "recordings" / f"{language.lower()}1.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, np.zeros(16_000), 16_000, format="MP3")
    rows.append("20,5,z,thai1,Thai,male,3,z,TRUE")
    text(tmp_path / "speakers_all.csv", "\n".join(rows))
    return tmp_path


def of(rows, **wanted):
    return [row for row in rows if all(row.fields.get(k, row.speaker) == v for k, v in wanted.items())]


# Parsers


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


def test_uaspeech_letters_are_one_kind_and_short_lines_are_read(tmp_path):
    sound(tmp_path / "audio" / "M04" / "M04_B1_LA_M5.wav")
    text(tmp_path / "mlf" / "M04" / "M04_word.mlf", '#!MLF!#\n"*/M04_B1_LA_M5.lab"\n0 ALPHA\n.\n')
    (row,) = LAYOUTS["uaspeech"](tmp_path).rows
    assert (row.text, row.fields["kind"]) == ("ALPHA", "L")


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


def test_speech_accent_archive(speech_accent_archive):
    corpus = LAYOUTS["speech_accent_archive"](speech_accent_archive)
    assert [
        (row.speaker, row.fields["accent"], row.fields["gender"], row.fields["age"]) for row in corpus.rows
    ] == [
        ("arabic1", "arabic", "m", "20"),
        ("dutch1", "dutch", "f", "21"),
    ]
    assert {row.text for row in corpus.rows} == {"Please call Stella."}
    assert corpus.skipped == {"no audio": 1}


@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_another_folder_is_refused_with_what_was_looked_for(name, tmp_path):
    with pytest.raises(ManifestError, match="give the unpacked corpus"):
        LAYOUTS[name](tmp_path)


# Recipes and splits


@pytest.mark.parametrize("name", WITH_LAYOUT)
def test_recipes_write_manifests_with_sound_parts(name, request, tmp_path_factory):
    data, out = request.getfixturevalue(name), tmp_path_factory.mktemp("out") / "manifest.jsonl"
    recipe = read_recipe(RECIPES / name / "config.toml")
    said = prepare(recipe, data, out)
    rows = read_manifest(out).utterances
    found = leaks(rows)
    parts = {row.fields["part"] for row in rows}
    assert "test" in parts
    assert parts == {"test"} if not recipe.adapt else "enroll" in parts
    assert not any(
        count for kind, count in found.items() if kind in ("speakers enroll-train", "speakers test-train")
    )
    if recipe.split.texts == "disjoint":
        assert not any(count for kind, count in found.items() if kind in ("texts enroll-test", "texts test-train"))
    assert [f"in common, {kind}: {count}" for kind, count in found.items()] == [
        s for s in said if "in common" in s
    ]


@pytest.mark.parametrize("name", [*WITH_LAYOUT, *RUN_HERE])
def test_every_recipe_has_a_configuration_and_says_its_command(name):
    assert read_recipe(RECIPES / name / "config.toml").name == name
    content = (RECIPES / name / "README.md").read_text()
    assert f"python recipes/corpora/measure.py recipes/{name}/config.toml" in content


def test_mistakes_of_a_configuration_are_named_together(tmp_path):
    path = tmp_path / "c.toml"
    path.write_text('name = "x"\nmanifset = "y"\n[split]\ntest = 1\n[simulate]\nseed = 1')
    with pytest.raises(
        UsageError, match=r"manifset is unknown.*\[split\] test is unknown.*\[simulate\] lacks sentences"
    ):
        read_recipe(path)
    path.write_text('name = "x"\nmanifest = "y"\nlayout = "z"')
    with pytest.raises(UsageError, match="give one of manifest, layout"):
        read_recipe(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(tmp_path / "no.toml")


def people(count, texts, takes=1):
    return [
        Utterance(Path(f"{p}-{t}-{take}.wav"), t, f"p{p}", 1.0)
        for p in range(count)
        for t in texts
        for take in range(takes)
    ]


def test_texts_and_speakers_are_kept_apart_and_the_seed_decides():
    rows = people(10, [f"sentence number {n}" for n in range(20)])
    found = split(rows, SplitOptions(train_share=0.4, test_share=0.25))
    sizes = {
        part: len([r for r in found.rows if r.fields["part"] == part]) for part in ("train", "enroll", "test")
    }
    assert sizes == {"train": 4 * 15, "enroll": 6 * 15, "test": 6 * 5}
    assert found.dropped == 4 * 5
    assert {kind: count for kind, count in found.leaks.items() if count} == {
        "texts enroll-train": 15,
        "speakers enroll-test": 6,
    }
    assert split(rows, SplitOptions(train_share=0.4, test_share=0.25)) == found
    assert split(rows, SplitOptions(train_share=0.4, test_share=0.25, seed=1)) != found


def test_takes_of_isolated_words_are_split():
    found = split(people(2, ["yes", "no"], takes=10), SplitOptions(texts="repeat", test_share=0.3))
    assert len([row for row in found.rows if row.fields["part"] == "test"]) == 2 * 2 * 3
    assert found.leaks["texts enroll-test"] == 2  # and it says so


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"texts": "x", "test_share": 0.0}, "texts is 'x'.*test_share is 0.0"),
        ({"train_share": 1.0}, "train_share is 1.0"),
    ],
)
def test_wrong_splits_are_refused(options, said):
    with pytest.raises(UsageError, match=said):
        SplitOptions(**options)
    with pytest.raises(UsageError, match="nobody is in the group"):
        split(people(2, ["a"]), SplitOptions(train_group="control"))


# A whole run


def test_a_recipe_runs_and_gives_the_same_numbers_again(tmp_path, babble, tiny_model):
    from asradapt.models.source import save_source

    model = tiny_model(kernel=5)
    save_source(model, tmp_path / "tiny.safetensors")
    rows = []
    for number in range(16):
        path = tmp_path / "data" / "set" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, babble(0.8, number).numpy(), 16_000)
        rows.append(
            {
                "audio_filepath": path.name,
                "text": f"word {'abcdefghijklmnop'[number]} said here",
                "speaker": f"s{number % 2}",
                "duration": 0.8,
                "part": "enroll" if number < 8 else "test",
                "gender": "fm"[number % 2],
            }
        )
    text(tmp_path / "data" / "set" / "manifest.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    text(
        tmp_path / "c.toml",
        'name = "set"\nmanifest = "set/manifest.jsonl"\nby = ["gender"]\ncurve = "0.05"\nrepeats = 1',
    )
    recipe = read_recipe(tmp_path / "c.toml")
    runs = [
        measure.measure(
            recipe,
            tmp_path / "data",
            tmp_path / work,
            curve=work == "a",
            model=str(tmp_path / "tiny.safetensors"),
            seed=3,
        )
        for work in ("a", "b")
    ]
    assert runs[0][: len(runs[1]) - 1] == runs[1][:-1]
    assert runs[1][1].startswith("| set | greedy | ")
    assert runs[0][-1] == runs[1][-1]
    assert runs[1][-1].endswith(", seed 3.")
    assert "| 0.05 | " in "\n".join(runs[0])
    assert "| f | 1 |" in "\n".join(runs[1])
    assert {path.name for path in (tmp_path / "a" / "set").iterdir()} >= {
        "check.json",
        "enroll.json",
        "evaluate.json",
        "report.html",
        "curve.json",
        "curve.html",
        "store",
    }
    # Another seed in a folder that was used: nothing of the run before stands.
    (tmp_path / "b" / "set" / "store" / "left-over").mkdir()
    model_path = str(tmp_path / "tiny.safetensors")
    used, fresh = (
        measure.measure(recipe, tmp_path / "data", tmp_path / work, curve=False, model=model_path, seed=4)
        for work in ("b", "c")
    )
    assert used == fresh
    assert not (tmp_path / "b" / "set" / "store" / "left-over").exists()
