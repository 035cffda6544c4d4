"""`asradapt transcribe`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from asradapt.cli.common import (
    json_option,
    manifest_option,
    model_options,
    one_input,
    open_model,
    open_store,
    print_json,
    progress,
    report_problems,
    rows_of,
    say,
    store_option,
    where_option,
)
from asradapt.errors import UsageError
from asradapt.types import Failure, Utterance


def _gather(
    audio: Sequence[str], manifest: Path | None, where: Sequence[str], speaker: str | None
) -> tuple[list[Utterance], list[Failure], list[str]]:
    from asradapt.manifests import parse_where, read_manifest, utterances_from_audio
    from asradapt.store import validate_speaker

    if speaker is not None:
        validate_speaker(speaker)
    one_input(manifest, audio)
    if where and not manifest:
        raise UsageError("--where filters the rows of a --manifest")
    if manifest:
        read = read_manifest(manifest, where=parse_where(where))
        found = list(read.utterances) if speaker is None else rows_of(speaker, read.utterances)
    else:
        read = utterances_from_audio(audio, speaker, need_text=False)
        found = [replace(u, speaker=speaker) for u in read.utterances]
    return found, list(read.failed), list(read.warnings)


@click.command()
@click.argument("audio", nargs=-1)
@manifest_option
@where_option
@click.option("--speaker", help="Whose adaptation to use; a manifest names the speaker of each row itself.")
@click.option("--source-only", is_flag=True, help="Ignore all adaptations.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["txt", "json"]),
    default="txt",
    show_default=True,
    help="txt, or json as with --json.",
)
@click.option("--batch-size", default=0, help="Most segments in a batch; 0 lets the audio's length decide.")
@store_option
@model_options
@json_option
def transcribe(
    audio: tuple[str, ...],
    manifest: Path | None,
    where: tuple[str, ...],
    speaker: str | None,
    source_only: bool,
    style: str,
    batch_size: int,
    store_path: Path | None,
    model: str,
    device: str,
    as_json: bool,
) -> int:
    """Transcribe recordings of any number of speakers.

    AUDIO is files and folders; or give a manifest, which names the speaker of each row. Everybody who is
    enrolled is heard with their own adaptation.

    One file prints its text; several print the file, a tab and the text, in the order of the inputs.
    """
    if batch_size < 0:
        raise UsageError(f"--batch-size must be 0 or more, got {batch_size}")
    utterances, failed, warnings = _gather(audio, manifest, where, speaker)
    as_json = as_json or style == "json"
    alone = len(utterances) + len(failed) == 1
    from asradapt.transcriber import Transcriber, TranscriberOptions, Window

    options = TranscriberOptions(batch_size=batch_size)
    transcriber = Transcriber(open_model(model, device), open_store(store_path), options)
    if speaker and not source_only:
        transcriber.member(speaker)  # a named speaker who is not enrolled is an error, not the source
    results: list[dict[str, Any]] = []
    done = 0
    with progress() as bar:
        inside = 0  # inputs of the window that is being computed

        def advance(share: float) -> None:
            if as_json or not sys.stdout.isatty():  # on a terminal the texts themselves are the progress
                bar("transcribing", min(1.0, (done + share * inside) / len(utterances)))

        for item in transcriber.transcribe(utterances, source_only=source_only, progress=advance):
            if isinstance(item, Window):
                inside = len(item.loaded)
                failed += item.failed
                warnings += item.warnings
                done += len(item.failed)
                continue
            done += 1
            if as_json:
                results.append(item.as_dict())
            else:
                say(item.text if alone else f"{item.utterance.audio}\t{item.text}")
            inside = 0
    if as_json:
        print_json({"results": results, "failed": [f.as_dict() for f in failed], "warnings": warnings})
    report_problems(warnings, failed)
    return 1 if failed else 0
