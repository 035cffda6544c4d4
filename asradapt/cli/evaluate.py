"""`asradapt evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli import evaluate_output as output
from asradapt.cli.common import (
    command_line,
    json_option,
    manifest_option,
    model_options,
    note,
    open_model,
    open_store,
    print_json,
    progress,
    report_problems,
    rows_of,
    seed_option,
    store_option,
    where_option,
)
from asradapt.errors import UsageError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.comparison import Comparison
    from asradapt.evaluation import Evaluation


@dataclass(frozen=True)
class _Wanted:
    """What the options ask for beyond the table."""

    by: tuple[str, ...]
    report: Path | None
    audio: bool
    dictionary: Path | None
    export: Path | None
    seed: int
    common: bool


def _evaluation(
    rows: Sequence[Utterance], speaker: str | None, seed: int, model: str, device: str, store: Path | None
) -> Evaluation:
    from asradapt.evaluation import evaluate as evaluate_all
    from asradapt.transcriber import Transcriber

    transcriber = Transcriber(open_model(model, device), open_store(store))
    with progress() as bar:

        def advance(done: float) -> None:
            bar("evaluating", done / len(rows))

        return evaluate_all(transcriber, rows, speaker=speaker, seed=seed, progress=advance)


def _comparison(
    rows: Sequence[Utterance], systems: str, common: bool, model: str, device: str, store: Path | None
) -> Comparison:
    from asradapt.comparison import compare_systems, parse_systems
    from asradapt.comparison.systems import needs_model

    wanted = parse_systems(systems)
    source = open_model(model, device) if needs_model(wanted) else None
    with progress() as bar:
        return compare_systems(
            wanted,
            rows,
            model=source,
            store=open_store(store),
            common=common,
            progress=lambda share: bar("evaluating", share),
        )


def _more(comparison: Comparison, wanted: _Wanted, *, show: bool) -> dict[str, Any]:
    """Confusions; groups, spread and who got worse if asked for, printed too; for `--json` as a dict."""
    from asradapt.comparison import fairness, sounds_changed, spread, who_changed, words_changed

    content: dict[str, Any] = {}
    if len(comparison.systems) > 1:
        content["confusions"] = {"words": words_changed(comparison).as_dict()}
        if wanted.dictionary:
            content["confusions"]["sounds"] = sounds_changed(comparison, wanted.dictionary)[0].as_dict()
    groups = [fairness(comparison, key, seed=wanted.seed) for key in wanted.by]
    if not groups:
        return content
    quantiles, changed = spread(comparison), who_changed(comparison, seed=wanted.seed)
    if show:
        for group in groups:
            output.fairness_table(group)
        output.people_summary(quantiles, changed)
    return content | {
        "groups": [group.as_dict() for group in groups],
        "spread": quantiles,
        "changes": [one.as_dict() for one in changed],
    }


def _files(comparison: Comparison, wanted: _Wanted) -> None:
    """The files that the options ask for."""
    if wanted.export:
        output.export(comparison, wanted.export)
    if wanted.report:
        from asradapt.report import ReportOptions, write_report

        options = ReportOptions(
            by=wanted.by,
            audio=wanted.audio,
            dictionary=wanted.dictionary,
            seed=wanted.seed,
            command=command_line(),
        )
        write_report(comparison, wanted.report, options)
        note(f"wrote {wanted.report}")


def _keys(by: str | None) -> tuple[str, ...]:
    return tuple(key.strip() for key in (by or "").split(",") if key.strip())


@click.command()
@manifest_option
@where_option
@click.option("--speaker", help="Only this speaker of the manifest.")
@click.option(
    "--systems",
    metavar="LIST",
    help="Compare these instead, separated by commas: source, adapted, SPEAKER, SPEAKER@vN, and files of other "
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
    help="Pronunciations in cmudict's format: report and --json tell confused sounds.",
)
@click.option(
    "--export",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write texts as sclite's trn and ctm, and utterances.jsonl.",
)
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
    store_path: Path | None,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
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
    from asradapt.comparison import require_columns
    from asradapt.manifests import parse_where, read_manifest
    from asradapt.transcriber import NOT_ENROLLED

    wanted = _Wanted(_keys(by), report, not no_audio, dictionary, export, seed, common)
    if report:
        from asradapt.report import check_report

        check_report(report)  # told before the work
    if dictionary:
        from asradapt.simulation.pronunciations import read_dictionary

        read_dictionary(dictionary)
    read = read_manifest(manifest, where=parse_where(where))
    rows = list(read.utterances) if speaker is None else rows_of(speaker, read.utterances)
    require_columns(rows, wanted.by)
    if systems is None:
        content, failed, warnings, any_ = _before_after(
            rows, speaker, wanted, model, device, store_path, not as_json
        )
    else:
        content, failed, warnings, any_ = _systems(rows, systems, wanted, model, device, store_path, not as_json)
    failed, warnings = [*read.failed, *failed], [*read.warnings, *warnings]
    if as_json:
        print_json(content | {"failed": [f.as_dict() for f in failed], "warnings": warnings})
    if systems is None:  # the table itself says so
        warnings = [warning for warning in warnings if NOT_ENROLLED not in warning]
    report_problems(warnings, failed)
    if not any_:
        note("nothing was evaluated")
    return 1 if failed else 0


_Result = tuple[dict[str, Any], list[Failure], list[str], bool]


def _before_after(
    rows: Sequence[Utterance],
    speaker: str | None,
    wanted: _Wanted,
    model: str,
    device: str,
    store: Path | None,
    show: bool,
) -> _Result:
    """Source and adapted model."""
    from asradapt.comparison import from_evaluation
    from asradapt.scoring import NORMALIZER

    result = _evaluation(rows, speaker, wanted.seed, model, device, store)
    comparison = from_evaluation(result)
    if show and result.speakers:
        output.evaluation_table(result)
        output.evaluation_summary(result, comparison, NORMALIZER, wanted.seed)
    over = comparison.difference(0, 1, over_speakers=True, seed=wanted.seed).as_dict()
    content = result.as_dict() | {"difference_over_speakers": over}
    if result.speakers:
        content |= _more(comparison, wanted, show=show)
        _files(comparison, wanted)
    return content, list(result.failed), list(result.warnings), bool(result.speakers)


def _systems(
    rows: Sequence[Utterance],
    systems: str,
    wanted: _Wanted,
    model: str,
    device: str,
    store: Path | None,
    show: bool,
) -> _Result:
    """Any number of systems."""
    from asradapt.comparison import compare_pairs
    from asradapt.scoring import NORMALIZER

    comparison = _comparison(rows, systems, wanted.common, model, device, store)
    content = comparison.as_dict()
    if comparison.utterances:
        tests = compare_pairs(comparison, seed=wanted.seed)
        content |= {"pairs": [test.as_dict() for test in tests]}
        if show:
            output.systems_table(comparison, NORMALIZER)
            output.pairs_table(tests)
        content |= _more(comparison, wanted, show=show)
        _files(comparison, wanted)
    return content, list(comparison.failed), list(comparison.warnings), bool(comparison.utterances)
