"""The command line: thin commands over the library; results to stdout, everything else to stderr.

Nothing heavy is imported before a command runs, so that `--help` is instant.
"""

from __future__ import annotations

import atexit
import errno
import io
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NoReturn

import click

from asradapt import __version__
from asradapt.cli.check import check
from asradapt.cli.common import Arguments, help_without_command, note, print_json
from asradapt.cli.correct import correct
from asradapt.cli.curve import curve
from asradapt.cli.demo import demo
from asradapt.cli.enroll import enroll
from asradapt.cli.evaluate import evaluate
from asradapt.cli.info import methods, prompts
from asradapt.cli.migrate import migrate
from asradapt.cli.models import models
from asradapt.cli.simulate import simulate
from asradapt.cli.speakers import speakers
from asradapt.cli.transcribe import transcribe
from asradapt.cli.transcribe_output import GOES_ON
from asradapt.cli.travel import export, import_
from asradapt.cli.vocab import vocab
from asradapt.errors import AsradaptError

__all__ = ["cli", "main"]

INTERRUPTED = 130
SIGNALLED = 128


class Stopped(KeyboardInterrupt):
    """Another program wants this one to end; `number` is of its signal."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def stop(number: int, frame: object) -> NoReturn:
    """End as by Ctrl-C, with the exit code that the signal would have had; a second one does not disturb that."""
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise Stopped(number)


STORING = {"enroll", "correct", "import", "vocab", "speakers"}
"""Commands that write into the store."""


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    subcommand_metavar="COMMAND [ARGS]...",
)
@click.version_option(__version__, prog_name="asradapt")
@click.pass_context
def cli(context: click.Context) -> int:
    """Speaker adaptation for speech recognition: enrol a person, transcribe, measure.

    Results go to stdout, everything else to stderr. Exit codes: 0 all is done; 1 some inputs failed, or a
    speaker, model or file does not exist; 2 wrong usage; 130 interrupted (143 and 129 by
    SIGTERM and SIGHUP).
    """
    return help_without_command(context)


for _command in (
    enroll,
    transcribe,
    correct,
    evaluate,
    curve,
    check,
    vocab,
    speakers,
    export,
    import_,
    models,
    methods,
    prompts,
    simulate,
    demo,
):
    cli.add_command(_command)
for _command in (export, import_, migrate):  # the first two have long names too: they are about speakers
    speakers.add_command(_command)


def _wants_json(arguments: Sequence[str]) -> bool:
    """Whether stdout is to hold one JSON object; with `--output-dir` it holds the names of files."""
    if "--json" in arguments:
        return True
    to_files = any(one.partition("=")[0] == "--output-dir" for one in arguments)
    return not to_files and (("--format", "json") in pairwise(arguments) or "--format=json" in arguments)


def _interrupted(arguments: Arguments) -> str:
    """What is told of Ctrl-C."""
    if STORING & set(arguments[:1]):
        stays = "nothing is stored by halves, but what was done by then stays: asradapt speakers list"
        return f"interrupted; {stays}{arguments.goes_on}"
    if any(one.partition("=")[0] == "--output-dir" for one in arguments):
        return f"interrupted; {GOES_ON}"
    return "interrupted"


def _fail(message: str, code: int, arguments: Arguments) -> int:
    with suppress(OSError):  # a full disk of logs keeps no script from its answer
        note(f"error: {message}")
    if _wants_json(arguments) and not arguments.told:  # one object, also where it breaks off behind that
        with suppress(OSError):  # stdout itself may be what is full
            print_json({"error": message, "failed": [], **arguments.done})
    return code


def _dashed(error: click.UsageError, arguments: Sequence[str]) -> str:
    """What to do about a file whose name looks like an option."""
    if not isinstance(error, click.NoSuchOption):
        return ""
    files = [one for one in arguments if one.startswith(error.option_name) and os.path.lexists(one)]
    return f" ({files[0]} is a file: give it as ./{files[0]})" if files else ""


def run(words: Sequence[str]) -> int:
    """Run the command line and return its exit code: 0 good, 1 some input failed, 2 usage, 130 interrupted.

    Raises:
        SystemExit: With 1, by click, when whoever read the output has gone.
    """
    arguments = Arguments(words)
    try:
        result = cli.main(list(words), prog_name="asradapt", standalone_mode=False, obj=arguments)
        return result if isinstance(result, int) else 0
    except click.UsageError as error:
        context = error.ctx
        if context:
            note(f"{context.get_usage()}\nTry '{context.command_path} --help'.\n")
        return _fail(error.format_message() + _dashed(error, arguments), 2, arguments)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code, arguments)
    except AsradaptError as error:
        return _fail(str(error), error.exit_code, arguments)
    except (KeyboardInterrupt, click.Abort) as error:
        cause = error.__context__ if isinstance(error, click.Abort) else error  # click makes one of the other
        code = SIGNALLED + cause.number if isinstance(cause, Stopped) else INTERRUPTED
        return _fail(_interrupted(arguments), code, arguments)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(f"the disk is full ({error.filename or 'while writing'}); free some space", 1, arguments)
        return _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 1, arguments)


def main() -> None:
    """Entry point of the `asradapt` command."""
    code = 0
    try:
        _buffer_stdout()
        code = run(sys.argv[1:])
        _give_up_stdout()
        at_once = code > SIGNALLED or not _readers_ended()
    except KeyboardInterrupt as error:  # before the work, after it, or a second one while the first is told of
        code = code or (SIGNALLED + error.number if isinstance(error, Stopped) else INTERRUPTED)
        at_once = True
    if at_once:
        _end_at_once(code)
    sys.exit(code)


def _buffer_stdout() -> None:
    """With PYTHONUNBUFFERED a full disk takes a part of a text and nobody is told; a buffer notices."""
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(raw, io.RawIOBase):
        buffered = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffered, sys.stdout.encoding, sys.stdout.errors, line_buffering=True)


def _give_up_stdout() -> None:
    """What stdout does not take was told of; Python would fail on it once more at its end, with another code."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        with suppress(OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)


def _readers_ended() -> bool:
    """Whether no thread reads a file any more; there can only be one where the pipeline was used."""
    pipeline = sys.modules.get("asradapt.pipeline")
    return pipeline is None or bool(pipeline.stop_all())


def _end_at_once(code: int) -> NoReturn:
    """End without taking the interpreter apart under threads that read files in C++ code, which would abort."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever reads stdout may have paused: Ctrl-C ends that too
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    atexit._run_exitfuncs()  # temporary files, processes of other libraries, and the threads that read
    os._exit(code)
