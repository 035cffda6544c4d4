"""The example of docs/adding-a-source-model.md, run as it stands there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("all_of_torch")
PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-source-model.md").read_text(encoding="utf-8")
MODEL, CONTRACT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def example(pytester, monkeypatch):
    """The package of the example, with random weights that say something else in every frame."""
    package = pytester.mkpydir("mine")
    (package / "model.py").write_text(MODEL, encoding="utf-8")
    monkeypatch.syspath_prepend(pytester.path)
    from mine.model import Network

    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, weight in Network().state_dict().items():
        noise = torch.randn(weight.shape, generator=generator)
        scale = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.2
        weights[name] = (3 if name == "output.weight" else 1) * scale * noise + ("norm.weight" in name)
    (package / "weights").mkdir()
    save_file(weights, package / "weights" / "small.safetensors")
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def test_the_example_keeps_the_contract(pytester, example):
    pytester.makepyfile(test_contract=CONTRACT)
    outcomes = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()
    assert set(outcomes) <= {"passed"}
    assert outcomes["passed"] > 200


def test_the_example_says_what_is_wrong(example):
    from mine.model import load

    from asradapt.errors import InputError, UsageError
    from asradapt.models import ModelOptions

    with pytest.raises(InputError, match="mine:large has no weights"):
        load("large", ModelOptions())
    with pytest.raises(UsageError, match="--precision is of no use for mine:small"):
        load("small", ModelOptions(precision="bf16"))
