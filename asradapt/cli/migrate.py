"""`asradapt speakers migrate`: a speaker on another source model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import (
    budget_option,
    json_option,
    open_store,
    print_json,
    progress,
    report_problems,
    say,
    seed_option,
    store_option,
)
from asradapt.cli.enroll_output import audio_is_kept
from asradapt.cli.inputs import read_recordings, recordings_options
from asradapt.cli.model_options import model_options, open_model
from asradapt.cli.speakers import brief
from asradapt.errors import UsageError

if TYPE_CHECKING:
    from asradapt.enrolment.migrating import Migrated
    from asradapt.store import SpeakerStore


@click.command()
@click.argument("speaker")
@recordings_options
@click.option(
    "--unjudged",
    is_flag=True,
    help="Move the adaptation without any recordings to judge it by; the record says so.",
)
@budget_option
@store_option
@model_options
@seed_option
@json_option
def migrate(
    speaker: str,
    audio: tuple[str, ...],
    manifest: Path | None,
    where: tuple[str, ...],
    unjudged: bool,
    budget: float | None,
    store_path: Path | None,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Take a speaker to another source model: give it by --model.

    Who agreed that recordings are kept is enrolled from them anew, together with AUDIO if there is any. Of
    everybody else the adaptation is moved, as far as the new model has the same places of the same widths, and is
    used only if recordings in AUDIO (with texts, that it has not learned from) come out better with it than
    with the new model alone.

    The earlier version stays: `speakers rollback` goes back to it.
    """
    from asradapt.enrolment.migrating import migrate as migrate_speaker
    from asradapt.enrolment.options import EnrolmentOptions
    from asradapt.manifests import Manifest

    store = open_store(store_path)
    store.record(speaker)  # an unknown speaker is told before anything is read
    given = bool(manifest or audio or where)
    read = (
        read_recordings(audio, manifest, where, speaker=speaker, need_text=True)
        if given
        else Manifest(utterances=())
    )
    if given and not read.utterances:
        report_problems(read.warnings, read.failed)
        raise UsageError("none of the recordings can be used")
    source = open_model(model, device)
    with progress() as bar:
        done = migrate_speaker(
            source,
            store,
            speaker,
            read.utterances,
            options=EnrolmentOptions(seed=seed, budget=budget),
            unjudged=unjudged,
            progress=bar,
        )
    failed = [*read.failed, *done.failed]
    _tell(done, store, as_json, [failure.as_dict() for failure in failed])
    report_problems([*read.warnings, *done.warnings], failed)
    return 1 if failed else 0


def _tell(done: Migrated, store: SpeakerStore, as_json: bool, failed: list[dict[str, Any]]) -> None:
    """Print the outcome."""
    record = done.record
    if as_json:
        print_json({**brief(record), **done.as_dict(), "failed": failed})
        return
    what = record.method if record.decision == "adapted" else "source kept"
    say(f"{record.speaker}: now on {record.source['name']}, version {record.version} [{what}]")
    say(f"  {done.how}")
    say(f"  {done.explanation}")
    if done.kept:
        say(f"  {audio_is_kept(done.kept, store, record.speaker)}")
    for line in done.dropped[:20]:
        say(f"  dropped: {line}")
    if len(done.dropped) > 20:
        say(f"  dropped: and {len(done.dropped) - 20} more (--json lists all)")
