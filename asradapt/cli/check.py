"""`asradapt check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import (
    json_option,
    note,
    print_json,
    progress,
    report_problems,
    say,
    seed_option,
    where_option,
)
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import InputError
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.checks import Checked, Finding, Match

SHOWN = 10  # rows of a finding that are listed


def _matches(rows: list[Utterance], model: str, device: str, seed: int) -> tuple[list[Match], list[Failure]]:
    from asradapt.checks import match_texts

    source = open_model(model, device)
    with progress() as bar:
        found, failed = match_texts(source, rows, seed=seed, progress=lambda share: bar("listening", share))
    note(f"{len(found)} of {counted(len(rows), 'recording')} compared with their texts")
    return sorted(found, key=lambda one: (-one.share, one.margin)), failed


def _mismatch(matches: list[Match]) -> Finding:
    from asradapt.checks import Finding
    from asradapt.checks.text_match import LEAST_OTHERS

    if any(one.others < LEAST_OTHERS for one in matches):
        note(f"fewer than {LEAST_OTHERS} other texts: whether audio and text belong together cannot be told")

    items = tuple(
        f"{one.utterance.audio.name}: {one.share:.0%} of {one.others} other texts fit as well as its own, "
        f"{one.utterance.text!r}"
        for one in matches
        if one.suspect
    )
    return Finding(
        "text-mismatch",
        "warning",
        "the audio hardly says its text: listen to these, correct or remove them",
        items,
    )


def _print(checked: Checked, findings: list[Finding], *, spotless: bool) -> None:
    summary = checked.summary()
    rows, people = (counted(int(str(summary[f"{noun}s"])), noun) for noun in ("row", "speaker"))
    say(f"{rows}, {people}, {summary['minutes']} minutes")
    for name in ("parts", "rates", "channels"):
        counts: Any = summary[name]
        say(f"{name}: " + ", ".join(f"{value} ({count})" for value, count in counts.items()))
    for finding in findings:
        say(f"\n{finding.severity}: {finding.kind}, {len(finding.items)}: {finding.what}")
        for item in finding.items[:SHOWN]:
            say(f"  {item}")
        if len(finding.items) > SHOWN:
            say(f"  and {len(finding.items) - SHOWN} more (--json lists all)")
    if spotless and not findings:
        say("nothing to complain about")


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@where_option
@click.option("--match-text", is_flag=True, help="Also ask the source model whether the audio says its text.")
@model_options
@seed_option
@json_option
def check(
    manifest: Path,
    where: tuple[str, ...],
    match_text: bool,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Check the recordings and texts of a manifest.

    Levels, durations, sample rates, texts, the same sound twice (by content), the same recording in several
    parts, sentences that are both enrolled and tested, people both in training and test. What a row is for says
    its column part: train, enroll, dev or test, also by other usual names (training, validation, eval). Exit
    code 1 where something would falsify a measurement or cannot be used.
    """
    from asradapt.checks import check_utterances
    from asradapt.manifests import parse_where, read_manifest

    if manifest.is_dir():
        raise InputError(
            f"{manifest} is a folder: give the manifest file in it; recordings with texts beside them need none, "
            "`asradapt enroll` looks at them before it learns"
        )
    read = read_manifest(manifest, where=parse_where(where))
    with progress() as bar:
        checked = check_utterances(read.utterances, progress=lambda share: bar("reading", share))
    findings, warnings = list(checked.findings), list(read.warnings)
    if match_text:
        good = [row.utterance for row in checked.rows if row.seconds is not None]
        matches, not_compared = _matches(good, model, device, seed)
        warnings += [f"{one.item}: not compared with its text, {one.reason}" for one in not_compared]
        mismatch = _mismatch(matches)
        findings += [mismatch] if mismatch.items else []
    unreadable = [Failure(str(row.utterance.audio), row.problem) for row in checked.rows if row.problem]
    if as_json:
        print_json(
            {
                "summary": checked.summary(),
                "findings": [finding.as_dict() for finding in findings],
                "failed": [failure.as_dict() for failure in (*read.failed, *unreadable)],
                "warnings": warnings,
            }
        )
    else:
        _print(checked, findings, spotless=not warnings and not read.failed)
    report_problems(warnings, read.failed)
    return 1 if checked.errors or read.failed else 0
