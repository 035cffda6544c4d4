from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from asradapt.cli import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def tool():
    """tools/make_cli_docs.py as a module."""
    spec = importlib.util.spec_from_file_location("make_cli_docs", ROOT / "tools" / "make_cli_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(command=cli, path=("asradapt",)):
    yield " ".join(path), command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


COMMANDS = dict(commands())


def test_the_reference_is_what_the_commands_say(tool):
    assert tool.TARGET == ROOT / "docs" / "cli.md"
    assert tool.TARGET.read_text(encoding="utf-8") == tool.document(), "run `make docs`"


def test_the_reference_has_a_section_for_every_command_and_fits_its_width(tool):
    lines = tool.document().splitlines()
    assert [line.strip("# `") for line in lines if line.startswith("##")] == sorted(COMMANDS)
    assert max(map(len, lines)) <= tool.WIDTH + 3


def test_the_reference_does_not_depend_on_the_terminal(tool, monkeypatch):
    wide = tool.document()
    monkeypatch.setenv("COLUMNS", "40")
    assert tool.document() == wide


def test_check_tells_whether_the_reference_is_up_to_date(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tool, "TARGET", tmp_path / "docs" / "cli.md")
    assert tool.main(["--check"]) == 1
    assert "make docs" in capsys.readouterr().err
    assert not tool.TARGET.exists()
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    tool.TARGET.write_text(tool.TARGET.read_text() + "\n")
    assert tool.main(["--check"]) == 1


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_option_has_help(path):
    command = COMMANDS[path]
    assert command.help
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("path", ["asradapt", "asradapt speakers"])
def test_the_lists_of_commands_are_not_cut_short_on_a_usual_terminal(path):
    command = COMMANDS[path]
    # a command keeps the help option that it was first asked for, so ask as the command line does
    context = click.Context(command, info_name=path, terminal_width=80, help_option_names=["-h", "--help"])
    listed = command.get_help(context).split("Commands:")[1]
    assert len(listed.strip().splitlines()) == len(command.commands)
    assert "..." not in listed


@pytest.mark.parametrize("path", [path for path in COMMANDS if not isinstance(COMMANDS[path], click.Group)])
def test_every_command_can_print_json(path):
    assert "as_json" in [parameter.name for parameter in COMMANDS[path].params]


@pytest.mark.parametrize("path", COMMANDS)
def test_help_goes_to_stdout_and_is_a_success(asradapt, path):
    words = path.split()[1:]
    for option in ("--help", "-h"):
        done = asradapt(*words, option)
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"Usage: {path} ")


def test_without_a_command_the_help_is_shown_and_it_is_wrong_usage(asradapt):
    for words in ([], ["speakers"]):
        done = asradapt(*words)
        assert (done.code, done.out) == (2, "")
        assert "Commands:" in done.err
        assert "error:" not in done.err


def test_a_misspelt_command_is_wrong_usage(asradapt):
    done = asradapt("enrol")
    assert (done.code, done.out) == (2, "")
    assert "'enrol'" in done.err
    assert "asradapt --help" in done.err


def test_the_version_is_that_of_the_package(asradapt):
    from asradapt import __version__

    assert asradapt("--version").out == f"asradapt, version {__version__}\n"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_help_imports_nothing_heavy():
    calls = [[*path.split()[1:], "--help"] for path in COMMANDS]
    done = python(
        f"import sys; from asradapt.cli import run; assert not any(run(words) for words in {calls}); "
        "heavy = {'torch', 'torchaudio', 'numpy', 'soundfile', 'safetensors', 'librosa'} & set(sys.modules); "
        "print(sorted(heavy), file=sys.stderr)"
    )
    assert (done.returncode, done.stderr) == (0, "[]\n")
    assert done.stdout.count("Usage: asradapt") == len(calls)


def test_light_commands_import_no_torch(tmp_path):
    calls = [["speakers", "list", "--store", str(tmp_path)], ["prompts", "--count", "1"], ["models"]]
    done = python(
        f"import sys; from asradapt.cli import run; assert not any(run(words) for words in {calls}); "
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    assert done.returncode == 0, done.stderr


def test_the_installed_command_and_the_module_are_the_same():
    script, module = (
        subprocess.run([*command, "prompts", "--count", "1"], capture_output=True, text=True, timeout=60)
        for command in ([str(Path(sys.executable).with_name("asradapt"))], [sys.executable, "-m", "asradapt"])
    )
    assert script.stdout == module.stdout != ""
    assert script.returncode == module.returncode == 0


def test_a_reader_that_goes_away_ends_the_command_quietly():
    with subprocess.Popen(
        [sys.executable, "-m", "asradapt", "prompts"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == 1


def test_the_readme_mentions_every_command():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    typed = re.findall(r"^ *(?:asradapt|make) .*|`asradapt [^`]*`", readme, re.MULTILINE)
    words = set(re.findall("[a-z][a-z-]*", " ".join(typed)))
    assert [path for path in COMMANDS if path.split()[-1] not in words] == []
