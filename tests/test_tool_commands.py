"""Every command of the docs that runs a script of the project is one that the script understands."""

from __future__ import annotations

import argparse
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("recipes/**/README.md")])
SCRIPT = re.compile(r"^(?:[A-Z_]+=\S+ )?python ((?:tools|recipes)/\S+\.py)(.*)$")


class Understood(Exception):
    """The options were read."""


def commands() -> list[tuple[str, str]]:
    """Script and options of every indented command, without comments, brackets and what stands for more."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in re.findall(r"^    (.+)$", text, re.MULTILINE):
            if command := SCRIPT.match(line.split("#")[0].strip()):
                script, options = command.groups()
                options = re.sub(r"[\[\]]|\.\.\.", " ", options)
                found.append((script, re.sub(r"(?<= )[NRLK](?= |$)", "1", options)))
    return sorted(set(found))


def test_there_are_commands():
    assert len(commands()) > 40


@pytest.mark.parametrize(("script", "options"), commands())
def test_a_command_of_the_docs_is_understood(script, options, monkeypatch):
    read = argparse.ArgumentParser.parse_args

    def stop(parser, *arguments, **named):
        read(parser, *arguments, **named)
        raise Understood

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [script, *shlex.split(options)])
    monkeypatch.syspath_prepend(ROOT / Path(script).parent)
    with pytest.raises(Understood):
        runpy.run_path(str(ROOT / script), run_name="__main__")
