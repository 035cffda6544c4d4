"""`asradapt models`: list, show and fetch source models."""

from __future__ import annotations

import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from asradapt.cli.common import aligned, json_option, note, print_json, say
from asradapt.cli.model_options import open_model, source_options
from asradapt.errors import InputError, UsageError

HERE, AWAY = "on this machine", "to be fetched"


@click.group(invoke_without_command=True, subcommand_metavar="[COMMAND] [ARGS]...")
@json_option
@click.pass_context
def models(context: click.Context, as_json: bool) -> int:
    """Source models: list, show, fetch; alone it lists them."""
    if context.invoked_subcommand is not None:
        if as_json:
            raise UsageError(f"write --json behind {context.invoked_subcommand}")
        return 0
    return _print_list(as_json)


@models.command("list")
@json_option
def list_(as_json: bool) -> int:
    """List the source models, one line each, and whether they are on this machine.

    Besides these, --model takes any folder of a transformers model, and hf:OWNER/MODEL of the hub once it is
    fetched.
    """
    return _print_list(as_json)


@models.command()
@click.argument("name", metavar="MODEL")
@source_options
@json_option
def show(name: str, as_json: bool) -> int:
    """Show what a source model is: tokens, frames, size, weights, and where it can be adapted.

    MODEL is what --model takes. Whether padding changes its rows is measured on noise; where it does, batches hold
    rows of one length only.
    """
    from asradapt.cli.models_show import describe, lines

    shown = describe(name, open_model(name, "cpu"))
    if as_json:
        print_json(shown)
    else:
        for line in lines(shown):
            say(line)
    return 0


@models.command()
@click.argument("name", metavar="MODEL")
@click.option(
    "--language", metavar="CODE", help="Fetch the weights of this language too, of a model of many languages."
)
@click.option(
    "--allow-pickle", is_flag=True, help="Fetch weights that are a pickle where there are no safetensors."
)
@json_option
def fetch(name: str, language: str | None, allow_pickle: bool, as_json: bool) -> int:
    """Download a model: torchaudio:BUNDLE into torch's cache, hf:OWNER/MODEL into the hub's.

    No other command downloads anything. What broke off is continued when the command is run again, and a file
    takes its place only when it is whole.
    """
    from asradapt.models.torchaudio_bundle import sha256

    files = _fetched(name, language, allow_pickle)
    rows = [(str(path), path.stat().st_size, sha256(path)) for path in files]
    if as_json:
        keys = ("file", "bytes", "sha256")
        print_json({"model": name, "files": [dict(zip(keys, row, strict=True)) for row in rows]})
    else:
        for file, size, digest in rows:
            say(f"{file}\n  {size / 1e6:.1f} MB, sha256 {digest}")
    return 0


def _print_list(as_json: bool) -> int:
    found = _known()
    if as_json:
        print_json({"models": found})
    else:
        for line in aligned([(one["name"], one["summary"] + _where(one["here"])) for one in found]):
            say(line)
    return 0


def _where(here: bool | None) -> str:
    return "" if here is None else f"; {HERE if here else AWAY}"


def _known() -> list[dict[str, Any]]:
    """The models that have a name; `here` is whether they are on this machine, none where that is not asked."""
    from asradapt.models import EMBEDDED
    from asradapt.models.bundles import BUNDLES, checkpoints
    from asradapt.models.hub import cached_models
    from asradapt.models.names import KINDS, other_kinds

    rows: list[tuple[str, str, bool | None]] = [(name, summary, None) for name, summary in EMBEDDED.items()]
    folder = checkpoints()
    rows += [
        (f"torchaudio:{name}", bundle.summary, (folder / bundle.file).is_file())
        for name, bundle in sorted(BUNDLES.items())
    ]
    rows += [(f"hf:{name}", f"transformers, {kind}", True) for name, kind in cached_models().items()]
    added = {kind: value for kind, value in other_kinds().items() if kind not in KINDS}
    rows += [
        (f"{kind}:NAME", f"added by {value.partition(':')[0]}", None) for kind, value in sorted(added.items())
    ]
    return [{"name": name, "summary": summary, "here": here} for name, summary, here in rows]


def _fetched(name: str, language: str | None, allow_pickle: bool) -> list[Path]:
    """The files of weights of a model, downloaded where they are not there."""
    from asradapt.models import EMBEDDED
    from asradapt.models.hub import fetch_hub, weight_files
    from asradapt.models.names import weights_file
    from asradapt.models.options import no_use

    kind, _, rest = name.partition(":")
    said = [option for option, value in (("--language", language), ("--allow-pickle", allow_pickle)) if value]
    if kind == "hf" and rest and not Path(rest).expanduser().is_dir():
        quiet = not sys.stderr.isatty()
        folder = fetch_hub(rest, allow_pickle=allow_pickle, language=language, quiet=quiet)
        adapters = folder.glob(f"adapter.{language}.*") if language else ()
        return [*weight_files(folder), *sorted(adapters)]
    if said:
        raise UsageError(no_use(said, f"fetching {name}"))
    if kind == "torchaudio" and rest:
        return [_bundle(rest)]
    if name in EMBEDDED:
        note(f"{name} is part of the program")
        return [weights_file(name)]
    if Path(name.removeprefix("hf:")).expanduser().exists():
        raise InputError(f"{name} is on this machine already; --model takes it as it is")
    raise UsageError(f"{name!r} cannot be fetched; what can is torchaudio:BUNDLE and hf:OWNER/MODEL")


def _bundle(name: str) -> Path:
    """The weights of a torchaudio bundle, with a bar while they come."""
    from asradapt.models.torchaudio_bundle import cached_file, fetch_bundle, find_bundle

    if cached_file(find_bundle(name)).is_file():
        note(f"torchaudio:{name} is {HERE} already")
    bar = DownloadBar(f"torchaudio:{name}")
    try:
        return fetch_bundle(name, report=bar)
    finally:
        bar.close()


class DownloadBar:
    """A progress bar on stderr with the bytes that are there and the time that is left."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._bar: Any = None  # click's progress bar, made when the length is known
        self._began = self._first = self._done = 0.0

    def __call__(self, done: int, whole: int) -> None:
        """Show that `done` of `whole` bytes are there."""
        if self._bar is None:
            self._began, self._first = time.monotonic(), done
            self._bar = click.progressbar(
                length=whole,
                label=self._label,
                show_eta=False,  # click reckons with what an earlier run brought
                file=sys.stderr,
                item_show_func=lambda text: text,
                update_min_steps=max(1, whole // 500),
            )
            self._bar.render_progress()
        self._bar.update(
            int(done - self._done), f"{done / 1e6:.1f} of {whole / 1e6:.1f} MB{self._left(done, whole)}"
        )
        self._done = done

    def _left(self, done: int, whole: int) -> str:
        """The time that the rest takes at the speed of this run."""
        came, took = done - self._first, time.monotonic() - self._began
        return f", {timedelta(seconds=round(took * (whole - done) / came))} left" if came and took > 1 else ""

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._bar is not None:
            self._bar.render_finish()
