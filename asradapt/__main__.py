"""`python -m asradapt`, and the entry point of the `asradapt` command."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

SPINS = "5000"
"""How often a thread of GNU OpenMP looks for the others before it sleeps."""


def main() -> None:
    """Run the command line; Ctrl-C while that is being loaded ends it without a traceback."""
    yield_soon()
    open_what_is_closed()
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # with nohup it is ignored, and stays so
    if usual:
        signal.signal(signal.SIGINT, _end)
    from asradapt import cli

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("SIGTERM", "SIGHUP"):  # as Ctrl-C: what is temporary is deleted
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, cli.stop)
    cli.main()


def yield_soon() -> None:
    """Let threads that wait for each other leave the processor to other programs; before PyTorch is loaded.

    Threads of GNU OpenMP (PyTorch on Linux) turn 300,000 times before they sleep, which costs nothing on a quiet
    machine and half the time again and more where something else computes; with 1,000 an enrolment takes a quarter
    longer on a quiet machine: docs/performance.md. Whoever has said otherwise by `OMP_WAIT_POLICY` or
    `GOMP_SPINCOUNT` is obeyed.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def open_what_is_closed() -> None:
    """Let what a shell has closed (`<&-`, `>&-`) be nothing to read and nowhere to write."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115


def _end(*_: object) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
