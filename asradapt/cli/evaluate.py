"""`asradapt evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from asradapt.cli.common import (
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
    say,
    seed_option,
    store_option,
    where_option,
)
from asradapt.errors import UsageError
from asradapt.types import Failure

if TYPE_CHECKING:
    from asradapt.evaluation import Evaluation
    from asradapt.scoring import ErrorCounts


def _counts(counts: ErrorCounts) -> str:
    shift = f"{counts.substitutions}/{counts.deletions}/{counts.insertions}"
    return f"{counts.wer:7.1%} {counts.cer:7.1%} {shift:>13}"


def _table(result: Evaluation) -> None:
    width = max(8, *(len(s.speaker) for s in result.speakers)) if result.speakers else 8
    head = f"{'WER':>7} {'CER':>7} {'S/D/I':>13}"
    say(f"{'':{width}} {'':>6} | {'before (source)':^29} | {'after (adapted)':^29} |")
    say(f"{'speaker':{width}} {'words':>6} | {head} | {head} | decision")
    for s in result.speakers:
        what = s.method if s.decision == "adapted" else ("source kept" if s.enrolled else "not enrolled: source")
        say(f"{s.speaker:{width}} {s.before.words:6} | {_counts(s.before)} | {_counts(s.after)} | {what}")
    say(f"{'pooled':{width}} {result.before.words:6} | {_counts(result.before)} | {_counts(result.after)} |")


def _summary(result: Evaluation, normalizer: str) -> None:
    d, changed = result.difference, result.changed()
    interval = "no interval for fewer than two utterances"
    if d.low is not None and d.high is not None:
        interval = f"{d.level:.0%} interval {d.low:+.1%} to {d.high:+.1%} (paired bootstrap over utterances)"
    say(f"WER difference {d.difference:+.1%}, {interval}")
    say(f"speakers: {changed['better']} better, {changed['equal']} equal, {changed['worse']} worse")
    say(f"source model {result.model}, text normaliser {normalizer}")


@click.command()
@manifest_option
@where_option
@click.option("--speaker", help="Only this speaker of the manifest.")
@store_option
@model_options
@seed_option
@json_option
def evaluate(
    manifest: Path | None,
    where: tuple[str, ...],
    speaker: str | None,
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
    """
    if manifest is None:
        raise UsageError("give --manifest FILE with audio_filepath and text")
    from asradapt.evaluation import evaluate as evaluate_all
    from asradapt.manifests import parse_where, read_manifest
    from asradapt.scoring import NORMALIZER
    from asradapt.transcriber import NOT_ENROLLED, Transcriber

    read = read_manifest(manifest, where=parse_where(where))
    utterances = list(read.utterances) if speaker is None else rows_of(speaker, read.utterances)
    transcriber = Transcriber(open_model(model, device), open_store(store_path))
    with progress() as bar:

        def advance(done: float) -> None:
            bar("evaluating", done / len(utterances))

        result = evaluate_all(transcriber, utterances, speaker=speaker, seed=seed, progress=advance)
    failed: list[Failure] = [*read.failed, *result.failed]
    warnings = [*read.warnings, *result.warnings]
    if as_json:
        content = result.as_dict() | {"failed": [f.as_dict() for f in failed], "warnings": warnings}
        print_json(content)
    elif result.speakers:
        _table(result)
        _summary(result, NORMALIZER)
    report_problems([w for w in warnings if NOT_ENROLLED not in w], failed)  # the report itself says so
    if not result.speakers:
        note("nothing was evaluated")
    return 1 if failed else 0
