"""The example of docs/adding-a-source-model.md, run as it stands there."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest

from asradapt.testing import PhonesContract

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.usefixtures("all_of_torch")
PAGE = (Path(__file__).parents[2] / "docs" / "adding-a-source-model.md").read_text(encoding="utf-8")
MODEL, EXPORT, CONTRACT = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
(PROJECT,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def example(pytester, monkeypatch):
    """The package of the example as if it were installed, with the weights that its export writes."""
    package = pytester.mkpydir("mine")
    (package / "model.py").write_text(MODEL, encoding="utf-8")
    script = pytester.path / "export.py"
    script.write_text(EXPORT, encoding="utf-8")
    project = tomllib.loads(PROJECT)
    ((group, points),) = project["project"]["entry-points"].items()
    about = project["project"]
    info = pytester.path / f"{about['name']}-{about['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about['version']}\n")
    lines = "".join(f"{name} = {value}\n" for name, value in points.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    monkeypatch.syspath_prepend(pytester.path)
    exec(compile(EXPORT, str(script), "exec"), {"__name__": "__main__"})
    yield package
    for name in [name for name in sys.modules if name.split(".")[0] == "mine"]:
        del sys.modules[name]


def test_the_example_keeps_the_contract(pytester, example):
    """All of it but the part about phones, which it has none of."""
    about_phones = [name for name in dir(PhonesContract) if name.startswith("test_")]
    pytester.makepyfile(test_contract=CONTRACT)
    outcomes = pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider").parseoutcomes()
    assert set(outcomes) == {"passed", "skipped"}
    assert outcomes["skipped"] == len(about_phones)
    assert outcomes["passed"] > 200


def test_the_example_is_found_by_its_kind_and_says_what_is_wrong(example):
    from mine.model import load

    from asradapt.errors import InputError, UsageError
    from asradapt.models import ModelOptions, load_model

    assert (example / "weights" / "small.safetensors").is_file()
    assert load_model("mine:small", device="cpu").fingerprint == load("small", ModelOptions()).fingerprint
    with pytest.raises(InputError, match="mine:large has no weights"):
        load("large", ModelOptions())
    with pytest.raises(UsageError, match="--precision is of no use for mine:small"):
        load("small", ModelOptions(precision="bf16"))


def test_the_project_file_is_whole():
    project = tomllib.loads(PROJECT)
    assert project["build-system"]["build-backend"] == "hatchling.build"
    assert project["project"]["entry-points"] == {"asradapt.models": {"mine": "mine.model:load"}}
    assert "asradapt" in project["project"]["dependencies"]
