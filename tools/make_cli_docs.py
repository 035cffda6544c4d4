"""Write `docs/cli.md` from the help of every command.

python tools/make_cli_docs.py           write it
python tools/make_cli_docs.py --check   exit with 1 if it is not up to date, and change nothing
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from asradapt.cli import cli

TARGET = Path(__file__).parents[1] / "docs" / "cli.md"
WIDTH = 100  # columns of the help, whatever the terminal
HEAD = """\
# The command line

Written by `tools/make_cli_docs.py` from the help of the commands; change the help and run `make docs`.
"""


def commands(command: click.Command, parent: click.Context | None = None) -> Iterator[click.Context]:
    """The context of a command and of all commands below it, in alphabetical order."""
    name = "asradapt" if parent is None else str(command.name)
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    context = click.Context(command, parent=parent, info_name=name, **settings)
    yield context
    for below in sorted(getattr(command, "commands", {}).values(), key=lambda one: str(one.name)):
        yield from commands(below, context)


def section(context: click.Context) -> str:
    """One command in Markdown: its path as the heading, its help as typed."""
    depth = len(context.command_path.split())
    return f"{'#' * min(depth + 1, 6)} `{context.command_path}`\n\n```text\n{context.get_help()}\n```\n"


def document() -> str:
    """The whole reference."""
    return "\n".join([HEAD, *map(section, commands(cli))])


def main(arguments: list[str] | None = None) -> int:
    """Write the reference, or check that it is up to date."""
    parser = argparse.ArgumentParser(description="Write docs/cli.md from the help of every command.")
    parser.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check = parser.parse_args(arguments).check
    current = TARGET.read_text(encoding="utf-8") if TARGET.exists() else ""
    if check and current != document():
        print(f"{TARGET} is not what the commands say: run `make docs`", file=sys.stderr)
        return 1
    if not check:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(document(), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
