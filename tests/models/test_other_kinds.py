"""Kinds of models that another package adds by an entry point."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from own_models import make_model

from asradapt.cli import run
from asradapt.errors import UnknownName, UsageError
from asradapt.models import ModelOptions, load_model

CODE = """
from asradapt.errors import UsageError
from asradapt.models.source import load_source
from pathlib import Path


def load(name, options):
    if unused := options.unused("weights"):
        raise UsageError(f"{', '.join(unused)} is of no use for mine:{name}")
    return load_source(options.weights or Path(__file__).with_name(f"{name}.safetensors"))
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package of somebody else, with a model `thing` of the kind `mine`."""
    from asradapt.models.source import save_source

    info = tmp_path / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[asradapt.models]\nmine = mine_models:load\nhf = mine_models:load\n")
    (tmp_path / "mine_models.py").write_text(CODE)
    save_source(make_model(kernel=5, name="thing"), tmp_path / "thing.safetensors", dtype=torch.float32)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("mine_models", None)


def test_a_kind_of_another_package_loads(package):
    model = load_model("mine:thing", device="cpu")
    assert (model.name, len(model.tokens)) == ("thing", 29)


def test_it_works_on_the_command_line(package, capsys, babble, tmp_path, monkeypatch):
    import soundfile

    monkeypatch.setenv("ASRADAPT_HOME", str(tmp_path / "home"))
    soundfile.write(tmp_path / "a.wav", babble(1.0).numpy(), 16000)
    assert run(["transcribe", str(tmp_path / "a.wav"), "--model", "mine:thing", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["text"]
    assert run(["models", "list"]) == 0
    assert "mine:NAME" in capsys.readouterr().out
    assert run(["models", "show", "mine:thing", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == load_model("mine:thing", device="cpu").fingerprint
    assert run(["models", "fetch", "mine:thing"]) == 2


def test_it_is_given_the_options_and_refuses_what_it_has_no_use_for(package, tmp_path):
    options = ModelOptions(weights=package / "thing.safetensors")
    assert load_model("mine:anything", device="cpu", options=options).name == "thing"
    with pytest.raises(UsageError, match="--language is of no use for mine:thing"):
        load_model("mine:thing", device="cpu", options=ModelOptions(language="eng"))


def test_it_cannot_take_the_place_of_a_kind_of_this_program(package):
    with pytest.raises(Exception, match="'thing' is not on this machine"):
        load_model("hf:thing", device="cpu")


def test_an_unknown_kind_is_told_with_the_known_ones(package):
    with pytest.raises(UnknownName, match=r"no kind of models named 'yours'; known: hf, mine, torchaudio"):
        load_model("yours:thing", device="cpu")


@pytest.mark.parametrize("value", ["no_such_module:load", "mine_models:no_such_function", "mine_models"])
def test_a_kind_that_does_not_load_is_one_sentence(package, value):
    (package / "mine-1.0.dist-info" / "entry_points.txt").write_text(f"[asradapt.models]\nmine = {value}\n")
    with pytest.raises(UsageError, match=r"the kind 'mine' of models \(.*\) does not load: "):
        load_model("mine:thing", device="cpu")
