"""The training recipe through its own command, on a few seconds of noise with texts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file, save_file
from small_speech import CONFIG, MANIFEST_SET, VALIDATION, write_speech

from ablation import pieces
from asradapt.models import load_model
from asradapt.models.conformer import Conformer
from state import build, start
from tokens import PHONES, encode, tokens_of
from train import forget_after, keep_best

RECIPE = Path(__file__).parents[2] / "recipes" / "source_en"


def run_recipe(work: Path, speech: Path, config: str, *more: str, processes: int = 1) -> str:
    """Run the command and return what it printed."""
    work.mkdir(exist_ok=True)
    (work / "config.toml").write_text(config)
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [sys.executable, *(launch if processes > 1 else []), str(RECIPE / "train.py"), "--device", "cpu"]
    command += ["--root", f"speech={speech}", "--root", f"text={speech}", "--work", str(work)]
    command += ["--config", str(work / "config.toml"), "--every", "4", *more]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(RECIPE.parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def weights(work: Path) -> dict[str, torch.Tensor]:
    """The last weights of a run."""
    found: dict[str, torch.Tensor] = torch.load(work / "checkpoint.pt", weights_only=True)["model"]
    return found


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe") / "speech"
    write_speech(folder)
    return folder


@pytest.fixture(scope="module")
def whole(speech: Path) -> Path:
    """A run without interruption."""
    work = speech.parent / "whole"
    run_recipe(work, speech, CONFIG + MANIFEST_SET + VALIDATION)
    return work


def test_curves_are_written(whole: Path) -> None:
    lines = (whole / "curve.csv").read_text().splitlines()
    assert lines[0].split(",") == ["step", "minutes", "hours", "loss", "held_wer", "held_cer"]
    assert [line.split(",")[0] for line in lines[1:]] == ["4", "8"]
    assert all(float(line.split(",")[3]) > 0 for line in lines[1:])


def test_rows_of_updates_after_the_checkpoint_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "loss.csv"
    path.write_text("step,loss\n50,2\n100,1\n150,0.5\n")
    forget_after(path, 120)
    assert path.read_text() == "step,loss\n50,2\n100,1\n"
    forget_after(tmp_path / "none.csv", 120)


def test_best_weights_are_those_of_the_least_validation_error(tmp_path: Path) -> None:
    state = start(tomllib.loads(CONFIG), tmp_path / "none.pt", torch.device("cpu"))
    for step, errors in ((1, [0.5, 0.3]), (2, [0.1, 0.3]), (3, [0.3, 0.3]), (4, [])):
        state.step = step
        keep_best(state, errors, tmp_path / "best.pt")
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == 2


def test_interrupted_run_ends_with_the_same_weights(whole: Path, speech: Path, tmp_path: Path) -> None:
    work = tmp_path / "parts"
    for _ in range(9):
        run_recipe(work, speech, CONFIG + MANIFEST_SET, "--minutes", "0")  # one update a call
        if torch.load(work / "checkpoint.pt", weights_only=True)["step"] == 8:
            break
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(work)[name]), name


def test_another_seed_gives_other_weights(whole: Path, speech: Path, tmp_path: Path) -> None:
    run_recipe(tmp_path, speech, CONFIG.replace("seed = 3", "seed = 4") + MANIFEST_SET)
    assert not torch.equal(weights(whole)["output.weight"], weights(tmp_path)["output.weight"])


def test_two_processes_share_the_work(whole: Path, speech: Path, tmp_path: Path) -> None:
    dropping = CONFIG.replace(
        "[model]", "[model]\nlayer_drop = 0.3"
    )  # each process leaves out branches of its own
    run_recipe(tmp_path, speech, dropping + MANIFEST_SET, processes=2)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] == 8
    alone = torch.load(whole / "checkpoint.pt", weights_only=True)["hours"]
    assert saved["hours"] > 1.5 * alone  # as many updates, each with a batch of either process
    assert all(torch.isfinite(value).all() for value in saved["model"].values())


@pytest.mark.parametrize("kind", ["best", "average", "model"])
def test_exported_weights_load(whole: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "small.safetensors"
    command = [sys.executable, str(RECIPE / "export.py"), "--work", str(whole), "--out", str(out)]
    command += ["--config", str(whole / "config.toml"), "--weights", kind]
    subprocess.run(command, check=True, timeout=120, env=os.environ | {"PYTHONPATH": str(RECIPE.parents[1])})
    model = load_model(str(out), device="cpu")
    logits, frames = model(torch.randn(1, 16000), torch.tensor([16000]))
    assert logits.shape == (1, 25, 29)
    assert frames.tolist() == [25]
    assert model.phones == PHONES  # type: ignore[attr-defined]


def test_released_weights_are_where_training_begins(whole: Path, speech: Path, tmp_path: Path) -> None:
    """Without inner outputs in the released weights, adding them changes nothing before the first update."""
    released = tmp_path / "plain.safetensors"
    saved = weights(whole)
    save_file({k: v.half() for k, v in saved.items() if not k.startswith(("inner", "feedback"))}, released)
    config = tomllib.loads((whole / "config.toml").read_text())
    begun = start(config, tmp_path / "none.pt", torch.device("cpu"), released).model.eval()
    plain = Conformer(replace(begun.options, conditions=()))
    plain.load_state_dict({k: v.float() for k, v in load_file(released).items()})
    x, lengths = torch.randn(2, 60, 80), torch.tensor([60, 33])
    assert torch.equal(begun(x, lengths)[0], plain.eval()(x, lengths)[0])


def test_weights_of_another_shape_are_refused(whole: Path, tmp_path: Path) -> None:
    released = tmp_path / "other.safetensors"
    save_file({k: v for k, v in weights(whole).items() if not k.startswith("blocks.1")}, released)
    with pytest.raises(SystemExit, match="do not fit"):
        start(
            tomllib.loads((whole / "config.toml").read_text()), tmp_path / "none.pt", torch.device("cpu"), released
        )


def test_pieces_are_the_most_frequent_pairs_and_are_written_longest_first() -> None:
    found = pieces(Counter({"then": 5, "the": 9, "hen": 1}), 3)
    assert found == ["he", "the", "then"]  # 15 times, 14 times, and then 5 times
    tokens = tokens_of({"pieces": ["th", "the", "en"]})
    assert [tokens[index] for index in encode("Then  the th'", tokens) or []] == [
        "the",
        "n",
        " ",
        "the",
        " ",
        "th",
        "'",
    ]
    assert encode("7 up", tokens) is None


def test_pieces_can_be_trained_and_decoded(speech: Path, tmp_path: Path) -> None:
    pieces = 'pieces = ["on", "one"]\n'
    run_recipe(tmp_path, speech, pieces + CONFIG + MANIFEST_SET + VALIDATION)
    assert weights(tmp_path)["output.weight"].shape[0] == 31
    assert (tmp_path / "curve.csv").read_text().count("\n") == 3


def test_librispeech_layout(speech: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data" / "LibriSpeech" / "train-clean-100" / "19" / "198"
    folder.mkdir(parents=True)
    lines = []
    for number in range(6):
        samples = np.random.default_rng(number).normal(0, 0.1, 30000).astype(np.float32)
        soundfile.write(folder / f"19-198-{number:04d}.flac", samples, 16000)
        lines.append(f"19-198-{number:04d} ONE TWO THREE")
    (folder / "19-198.trans.txt").write_text("\n".join(lines) + "\n")
    shipped = (RECIPE / "librispeech.toml").read_text()
    assert build(tomllib.loads(shipped)).options.conditions == (5, 10)
    sets = "[[sets]]" + shipped.split("[[sets]]")[1]
    out = run_recipe(tmp_path / "work", speech, CONFIG + sets, "--root", f"librispeech={tmp_path / 'data'}")
    assert "6 utterances" in out


def test_common_voice_layout(speech: Path, tmp_path: Path) -> None:
    (tmp_path / "en" / "clips").mkdir(parents=True)
    rows = ["client_id\tpath\tsentence"]
    for number, text in enumerate(["One, two!", 'Three\N{RIGHT SINGLE QUOTATION MARK}s "one".', "In 1999."]):
        samples = np.random.default_rng(number).normal(0, 0.1, 30000).astype(np.float32)
        soundfile.write(tmp_path / "en" / "clips" / f"{number}.flac", samples, 16000)
        rows.append(f"me\t{number}.flac\t{text}")
    (tmp_path / "en" / "train.tsv").write_text("\n".join(rows) + "\n")
    sets = '[[sets]]\nname = "cv"\nkind = "commonvoice"\npath = "{cv}/en"\npart = "train"\n'
    out = run_recipe(tmp_path / "work", speech, CONFIG + sets, "--root", f"cv={tmp_path}")
    assert "2 utterances" in out  # digits cannot be written with letters
    texts = [row[4] for row in json.loads((tmp_path / "work" / "frames" / "cv" / "index.json").read_text())]
    assert texts == ["one two", "three's one"]
