"""Recipes of corpora on tiny folders of their layouts, the splits, and the run of a whole recipe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile
from layouts import WITH_LAYOUT, text

import measure
from asradapt.errors import UsageError
from asradapt.manifests import read_manifest
from asradapt.types import Utterance
from prepare import prepare
from recipe import read_recipe
from splits import SplitOptions, leaks, split

RECIPES = Path(__file__).parents[2] / "recipes"
RUN_HERE = ("speechocean762", "fsdd", "philipp_lj", "simulated")


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
    assert ("texts enroll-test" in found) == recipe.adapt
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
    each = measure.measure(
        recipe, tmp_path / "data", tmp_path / "d", curve=False, model=model_path, seed=4, each=True
    )
    assert [line for line in each if line not in fresh] == each[-3:-1] == [measure.EACH_HEAD, each[-2]]
    cells = each[-2].strip("| ").split(" | ")
    before, after = (
        json.loads((tmp_path / "d" / "set" / "evaluate.json").read_text())["pooled"][when]
        for when in ("before", "after")
    )
    assert cells[:3] == ["set", "greedy", f"{before['wer']:.1%}, {before['cer']:.1%}"]
    assert cells[4] == f"{after['wer']:.1%}, {after['cer']:.1%}"
    assert cells[2] != cells[3]
    assert not (tmp_path / "b" / "set" / "store" / "left-over").exists()


def test_what_is_wrong_is_said_once(tmp_path, capsys):
    text(tmp_path / "c.toml", 'name = "set"\nmanifest = "set/manifest.jsonl"')
    with pytest.raises(SystemExit) as ended:
        measure.measure(
            read_recipe(tmp_path / "c.toml"), tmp_path, tmp_path, curve=False, model="source_en", seed=0
        )
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("does not exist") == 1
