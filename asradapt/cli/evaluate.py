"""`asradapt evaluate`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from asradapt.cli.common import (
    json_option,
    manifest_option,
    note,
    print_json,
    report_problems,
    seed_option,
    store_option,
    vad_option,
    where_option,
)
from asradapt.cli.decoding_options import greedy_options
from asradapt.cli.evaluate_work import Wanted, before_after
from asradapt.cli.evaluate_work import systems as all_systems
from asradapt.cli.inputs import read_recordings
from asradapt.cli.model_options import model_options
from asradapt.errors import InputError, UsageError
from asradapt.types import Utterance


def _keys(by: str | None) -> tuple[str, ...]:
    return tuple(key.strip() for key in (by or "").split(",") if key.strip())


def _check(rows: Sequence[Utterance], wanted: Wanted) -> None:
    """Find out before the work what cannot be done after it."""
    from asradapt.comparison import require_columns

    require_columns(rows, wanted.by)
    if (wanted.decoding or not wanted.detect_voice) and not wanted.ours():
        raise UsageError(f"{wanted.options} has no effect: --systems names only files of other recognisers")
    if wanted.export:
        _check_export(wanted.export)
    if wanted.report:
        from asradapt.report import check_report

        check_report(wanted.report)
    if wanted.dictionary:
        _check_dictionary(wanted.dictionary, wanted)


def _check_dictionary(dictionary: Path, wanted: Wanted) -> None:
    """Raises where there is no change of confusions to tell, or the dictionary cannot be read."""
    from asradapt.comparison import parse_systems
    from asradapt.simulation.pronunciations import read_dictionary

    if wanted.systems is not None and len(parse_systems(wanted.systems)) < 2:
        raise UsageError(
            "--dictionary has no effect: it compares the confusions of two systems, --systems names one"
        )
    read_dictionary(dictionary)


def _check_export(folder: Path) -> None:
    """Raises where the folder, or the nearest one above it that exists, cannot be written."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give --export a folder")
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"{there} is no folder that can be written: choose another --export")


@click.command()
@manifest_option
@where_option
@click.option(
    "--speaker",
    help="Only this speaker of the manifest; with --where speaker=NAME, who is called NAME there.",
)
@click.option(
    "--systems",
    metavar="LIST",
    help="Compare these instead, separated by commas: source, adapted, SPEAKER, SPEAKER@vN, each of them also as "
    "NAME+each (every segment adapts it to itself, as with transcribe --adapt-each), and files of other "
    "recognisers' texts (.jsonl, .ctm, .trn, or NAME=FILE).",
)
@click.option(
    "--common",
    is_flag=True,
    help="With --systems: only utterances that every file has; otherwise missing texts count as deleted words.",
)
@click.option(
    "--by",
    metavar="COLUMNS",
    help="Errors by group, for columns such as accent,gender,age (a+b crosses two); who got worse.",
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Write an HTML report.")
@click.option("--no-audio", is_flag=True, help="Leave recordings out of the report.")
@click.option(
    "--dictionary",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Pronunciations in cmudict's format: the words and sounds confused less and more often are told.",
)
@click.option(
    "--export",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write texts as sclite's trn and ctm, and utterances.jsonl.",
)
@greedy_options
@vad_option
@store_option
@model_options
@seed_option
@json_option
def evaluate(
    manifest: Path | None,
    where: tuple[str, ...],
    speaker: str | None,
    systems: str | None,
    common: bool,
    by: str | None,
    report: Path | None,
    no_audio: bool,
    dictionary: Path | None,
    export: Path | None,
    no_vad: bool,
    store_path: Path | None,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
    **decoding: Any,
) -> int:
    """Measure the error rates before and after adaptation.

    Word and character error rates of source and adapted model on the same utterances of a manifest, per
    speaker and pooled. S/D/I are substituted, deleted and inserted words. A speaker who is not enrolled
    counts as the source.

    With --systems, any number of systems on the same utterances, every two compared: intervals for other
    people and other utterances, and a significance test corrected for how many there are.
    """
    if manifest is None:
        raise UsageError("give --manifest FILE with audio_filepath and text")
    if report is None and no_audio:
        raise UsageError("--no-audio belongs to --report FILE")
    if common and systems is None:
        raise UsageError("--common belongs to --systems LIST")
    from asradapt.enrollees import NOT_ENROLLED

    read = read_recordings((), manifest, where, speaker=speaker, need_text=False)
    rows = read.utterances
    wanted = Wanted(
        speaker=speaker,
        systems=systems,
        common=common,
        by=_keys(by),
        report=report,
        audio=not no_audio,
        dictionary=dictionary,
        export=export,
        store=store_path,
        model=model,
        device=device,
        seed=seed,
        show=not as_json,
        detect_voice=not no_vad,
        decoding={name: value for name, value in decoding.items() if value is not None and value is not False},
    )
    _check(rows, wanted)
    done = before_after(rows, wanted) if systems is None else all_systems(rows, wanted)
    failed, warnings = [*read.failed, *done.failed], [*read.warnings, *done.warnings]
    if as_json:
        empty = {"error": "nothing was evaluated"} if done.empty else {}  # rates of no words are no rates
        print_json(empty | done.content | {"failed": [f.as_dict() for f in failed], "warnings": warnings})
    if systems is None:  # the table itself says so
        warnings = [warning for warning in warnings if NOT_ENROLLED not in warning]
    report_problems(warnings, failed)
    if done.empty:
        note("nothing was evaluated")
    return 1 if failed else 0
