"""`asradapt curve`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asradapt.cli.common import (
    aligned,
    command_line,
    json_option,
    manifest_option,
    note,
    print_json,
    progress,
    report_problems,
    say,
    seed_option,
)
from asradapt.cli.evaluate_output import ends
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import UsageError
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.comparison import Comparison
    from asradapt.curve import Curve


def _numbers(context: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no list of minutes such as 0.5,1,2,4") from error


def _people(utterances: Sequence[Utterance], speaker: str | None) -> dict[str, list[Utterance]]:
    people: dict[str, list[Utterance]] = {}
    for one in utterances:
        if one.speaker and speaker in (None, one.speaker):
            people.setdefault(one.speaker, []).append(one)
    return people


def _table(curve: Curve) -> None:
    rows = [["minutes", "WER", "repeats", "adapted", "change", "95% interval", "forecast"]]
    rows += [["0 (source)", f"{curve.source.wer:.1%}", "", "", "", "", ""]]
    rows += [
        [
            f"{point.minutes:g}",
            f"{point.mean:.1%}",
            " ".join(f"{run.after.wer:.1%}" for run in point.runs),
            f"{point.adapted}/{len(point.runs) * len(curve.speakers)}",
            f"{point.mean - curve.source.wer:+.1%}",
            "-" if point.change is None else ends(point.change),
            "" if point.forecast is None else f"{point.forecast:.1%}",
        ]
        for point in curve.points
    ]
    for line in aligned(rows):
        say(line)
    whom = "other people" if len(curve.speakers) > 1 else "other recordings"
    measured = (
        f"{counted(len(curve.speakers), 'speaker')}, {counted(curve.source.words, 'word')} of test recordings"
    )
    say(f"{measured}; intervals are for {whom}")


def _compared(curve: Curve, model: str) -> Comparison:
    """Source and longest point as systems, for the report."""
    from asradapt.comparison import Comparison, Scored
    from asradapt.scoring import score

    rows = tuple(
        Scored(one, (before, after), (score(one.text or "", before), score(one.text or "", after)))
        for one, before, after in curve.tested
    )
    point = curve.points[-1]
    longest = f"{point.minutes:g} minutes" + (f" (repeat 1 of {len(point.runs)})" if len(point.runs) > 1 else "")
    return Comparison(("source", longest), rows, model, curve.failed, curve.warnings)


@click.command()
@manifest_option
@click.option(
    "--enroll", "enroll_where", multiple=True, metavar="KEY=VALUE", help="Rows to enrol from  [part=enroll]"
)
@click.option("--test", "test_where", multiple=True, metavar="KEY=VALUE", help="Rows to measure  [part=test]")
@click.option("--speaker", help="Only this speaker of the manifest.")
@click.option(
    "--minutes", default="0.5,1,2,4,8", show_default=True, callback=_numbers, help="Points of the curve."
)
@click.option("--repeats", default=3, show_default=True, help="How often the recordings are drawn anew.")
@click.option("--method", default="auto", show_default=True, help="As for `enroll`.")
@click.option(
    "--speakers-at-once", default=16, show_default=True, help="Most points in one job; bounds the memory."
)
@click.option("--report", metavar="FILE", type=click.Path(path_type=Path), help="Write an HTML report.")
@click.option("--no-audio", is_flag=True, help="Leave recordings out of the report.")
@model_options
@seed_option
@json_option
def curve(
    manifest: Path | None,
    enroll_where: tuple[str, ...],
    test_where: tuple[str, ...],
    speaker: str | None,
    minutes: tuple[float, ...],
    repeats: int,
    method: str,
    speakers_at_once: int,
    report: Path | None,
    no_audio: bool,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Measure what more minutes of enrolment bring.

    Everybody is enrolled with so many minutes of their recordings, drawn several times, all points in batched
    jobs, and measured on other recordings. Nothing is stored. The forecast is what a power law through the
    points before foretells, to be compared with what was measured.
    """
    if manifest is None:
        raise UsageError("give --manifest FILE with audio_filepath, text and speaker")
    if no_audio and report is None:
        raise UsageError("--no-audio belongs to --report FILE")
    from asradapt.adaptation import create
    from asradapt.curve import CurveOptions, learning_curve
    from asradapt.enrolment import EnrolmentOptions
    from asradapt.manifests import parse_where, pooled, read_manifest

    if method != "auto":
        create(method)  # a wrong name is told before any work
    enrolment = EnrolmentOptions(method=method, seed=seed, speakers_at_once=speakers_at_once)
    options = CurveOptions(minutes, repeats, seed, enrolment)
    if report:
        from asradapt.report import check_report

        check_report(report)
    reads = [
        pooled(read_manifest(manifest, where=parse_where(where)))
        for where in (enroll_where or ("part=enroll",), test_where or ("part=test",))
    ]
    recordings, tests = (_people(read.utterances, speaker) for read in reads)
    source = open_model(model, device)
    with progress() as bar:
        found = learning_curve(source, recordings, tests, options, progress=bar)
    failed: list[Failure] = [*reads[0].failed, *reads[1].failed, *found.failed]
    warnings = [*reads[0].warnings, *reads[1].warnings, *found.warnings]
    if as_json:
        print_json(found.as_dict() | {"failed": [f.as_dict() for f in failed], "warnings": warnings})
    else:
        _table(found)
    if report:
        from asradapt.report import ReportOptions, write_report

        extra = {"Minutes": ", ".join(f"{x:g}" for x in minutes), "Repeats": str(repeats), "Method": method}
        wanted = ReportOptions(audio=not no_audio, seed=seed, command=command_line(), settings=extra)
        write_report(_compared(found, source.name), report, wanted, curve=found)
        note(f"wrote {report}")
    report_problems(warnings, failed)
    return 1 if failed else 0
