"""What the commands share: options, output, progress bars, and the mapping of errors to exit codes."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from asradapt.cli.problems import sentences
from asradapt.errors import StoreError
from asradapt.types import Failure

if TYPE_CHECKING:
    from asradapt.store import SpeakerStore

F = TypeVar("F", bound=Callable[..., Any])
BAR_AFTER_SECONDS = 2.0


class Folder(click.Path):
    """A folder that is named: an unset variable of a script is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path.

        Raises:
            BadParameter: If nothing is named.
        """
        if value == "":
            self.fail("no folder is named; the current one is .", param, ctx)
        return super().convert(value, param, ctx)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object to stdout, nothing else."
)
store_option = click.option(
    "--store",
    "store_path",
    metavar="DIR",
    type=Folder(path_type=Path),
    help="Speaker store  [default: $ASRADAPT_HOME, or the platform's data folder]",
)


def _checked_seed(context: click.Context, option: click.Parameter, seed: int) -> int:
    if not 0 <= seed < 2**32:
        raise click.BadParameter(f"{seed} is not from 0 to {2**32 - 1}")
    return seed


seed_option = click.option(
    "--seed", default=0, show_default=True, callback=_checked_seed, help="Seed of everything random."
)
vad_option = click.option("--no-vad", is_flag=True, help="Leave no silence out of recordings over 20 seconds.")
manifest_option = click.option(
    "--manifest",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="JSON lines, CSV or TSV with audio_filepath, text, speaker (or Common Voice's names).",
)
where_option = click.option(
    "--where",
    multiple=True,
    metavar="KEY=VALUE",
    help="Only rows of the manifest with this value; repeat a key for or, another key for and.",
)


class Duration(click.ParamType):  # type: ignore[type-arg]  # a plain class in click before 8.2
    """Seconds, minutes or hours: `90`, `90s`, `1.5m`, `2h`."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> float:
        """The seconds.

        Raises:
            BadParameter: If it is no length of time above zero.
        """
        if isinstance(value, int | float):
            return float(value)
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is no length of time above zero; write 30s, 2m or 1h", param, context)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


budget_option = click.option(
    "--budget",
    type=Duration(),
    metavar="TIME",
    help="About so much computing for each person: 30 or 30s, 2m, 1h  [default: no limit]",
)


def open_store(path: Path | None) -> SpeakerStore:
    """The store of `--store`, `$ASRADAPT_HOME` or the platform's data folder."""
    from asradapt.store import SpeakerStore

    return SpeakerStore(path)


def help_without_command(context: click.Context) -> int:
    """Show the help of a group that is called without a command; that is wrong usage."""
    if context.invoked_subcommand is not None:
        return 0
    note(context.get_help())
    return 2


def _printable(text: str) -> str:
    """The text with the bytes of file names that are not UTF-8 escaped, in a way that JSON reads too."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class Arguments(list[str]):
    """The words of the command that is running.

    Attributes:
        done: What it has done by now, as parts of its JSON: told also where it is interrupted or fails.
        told: Whether the JSON is printed.
        goes_on: What goes on with the rest of it after an interruption, in words; empty where nothing does.
    """

    def __init__(self, words: Sequence[str] = ()) -> None:
        super().__init__(words)
        self.done: dict[str, Any] = {}
        self.told = False
        self.goes_on = ""


def running() -> Arguments:
    """The command that is running."""
    context = click.get_current_context(silent=True)
    return (context.find_object(Arguments) if context else None) or Arguments()


def command_line() -> str:
    """The command that is running, as it would be typed."""
    return shlex.join(["asradapt", *running()])


def say(text: str) -> None:
    """Print a result to stdout."""
    click.echo(_printable(text))


def note(text: str) -> None:
    """Print a remark to stderr."""
    click.echo(_printable(text), err=True)


def print_json(content: dict[str, Any]) -> None:
    """Print the one JSON object of a command."""
    say(json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1))
    running().told = True


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table whose columns are as wide as their widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def report_problems(
    warnings: Sequence[str], failed: Sequence[Failure], *, most: int = 20, unlisted: tuple[int, int] = (0, 0)
) -> None:
    """Print warnings and failures to stderr, each reason once, the first of many; `unlisted` counts others."""
    for kind, lines, others in (
        ("warning", list(dict.fromkeys(warnings)), unlisted[0]),
        ("failed", sentences(failed), unlisted[1]),
    ):
        for line in lines[:most]:
            note(f"{kind}: {line}")
        if more := len(lines[most:]) + others:
            note(f"{kind}: and {more} more (--json lists all that failed)")


class Bar:
    """A progress bar on stderr that shows itself only when the work takes over two seconds."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._bar: Any = None  # click's progress bar, made when it is first shown
        self._shown = 0

    def __call__(self, stage: str, share: float) -> None:
        """Show what is being done and the share of the whole that is done."""
        if self._bar is None:
            if time.monotonic() - self._began < BAR_AFTER_SECONDS:
                return
            self._bar = click.progressbar(length=1000, file=sys.stderr)
            self._bar.render_progress()
        self._bar.label = stage
        target = min(1000, int(share * 1000))
        self._bar.update(max(0, target - self._shown))
        self._shown = max(self._shown, target)

    def aside(self) -> None:
        """Leave the line of the bar, for a line of something else; the bar goes on below it."""
        if self._bar is not None and sys.stderr.isatty():
            note("")

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._bar is not None:
            self._bar.render_finish()


@contextmanager
def progress() -> Iterator[Bar]:
    """A bar for the work inside the context."""
    bar = Bar()
    try:
        yield bar
    finally:
        bar.close()


def require_writable(store: SpeakerStore) -> None:
    """Find out before the work, not after it, that the result cannot be stored.

    Raises:
        StoreError: If nothing can be written there.
    """
    from asradapt.store.files import staging
    from asradapt.store.lock import one_writer

    try:
        with one_writer(store.root), staging(store.root / ".tmp"):
            pass
        if (speakers := store.root / "speakers").is_dir() and not os.access(speakers, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(speakers))
    except OSError as error:
        reason = f"{error.strerror or error}: {error.filename or store.root}"
        raise StoreError(f"the store cannot be written ({reason}); choose another --store") from error
