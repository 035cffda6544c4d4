"""`python -m asradapt`, and the entry point of the `asradapt` command."""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line; Ctrl-C while that is being loaded ends it without a traceback."""
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # with nohup it is ignored, and stays so
    if usual:
        signal.signal(signal.SIGINT, _end)
    from asradapt import cli

    if usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()


def _end(*_: object) -> None:
    os.write(2, b"error: interrupted\n")
    os._exit(130)


if __name__ == "__main__":
    main()
