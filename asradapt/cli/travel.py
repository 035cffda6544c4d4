"""`asradapt speakers export`, `import` and `migrate`: to files, to other programs' formats, to another model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from asradapt.cli.speakers import brief
from asradapt.errors import UsageError

if TYPE_CHECKING:
    from asradapt.enrolment.migrating import Migrated
    from asradapt.interchange import Written
    from asradapt.manifests import Manifest
    from asradapt.store import SpeakerRecord, SpeakerStore


@click.command()
@click.argument("speaker")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--peft",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write a LoRA folder of PEFT instead; for lowrank on a model of transformers.",
)
@click.option(
    "--merged",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write the source model instead, with the adaptation in its weights.",
)
@click.option("--force", is_flag=True, help="Replace what exists.")
@click.option("--with-audio", is_flag=True, help="Put the kept recordings into FILE too.")
@store_option
@model_options
@json_option
def export(
    speaker: str,
    file: Path | None,
    peft: Path | None,
    merged: Path | None,
    force: bool,
    with_audio: bool,
    store_path: Path | None,
    model: str,
    device: str,
    as_json: bool,
) -> int:
    """Write one speaker to a file, or for other programs.

    FILE becomes a zip archive with the current version of SPEAKER: no audio unless --with-audio, but the enrolment
    texts.

    --peft and --merged write a folder without texts, recordings or a name, which `peft`, `transformers` or
    `torchaudio` load without this program. --merged needs the --model that SPEAKER was enrolled on.
    """
    if sum(target is not None for target in (file, peft, merged)) != 1:
        raise click.UsageError("give one of FILE, --peft DIR and --merged DIR", click.get_current_context())
    store = open_store(store_path)
    if file is None:
        if with_audio:
            raise UsageError("--with-audio goes with FILE: other programs have no use for kept recordings")
        folder = (
            _peft(store, speaker, peft, force) if peft else _merged(store, speaker, merged, model, device, force)
        )
        return _tell_folder(speaker, folder, as_json)
    path = store.export(speaker, file, force=force, with_audio=with_audio)
    if with_audio and not store.recordings(speaker).agreed:
        note(f"{speaker} has no kept recordings; the file holds none")
    if as_json:
        print_json({"speaker": speaker, "file": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{speaker}: written to {path} ({path.stat().st_size / 1000:.0f} kB)")
    return 0


def _peft(store: SpeakerStore, speaker: str, target: Path, force: bool) -> Written:
    from asradapt.interchange import write_peft

    return write_peft(target, store.load(speaker), force=force)


def _merged(
    store: SpeakerStore, speaker: str, target: Path | None, model: str, device: str, force: bool
) -> Written:
    from asradapt.interchange import write_merged

    assert target is not None
    stored = store.load(speaker)  # an unknown speaker is told before a model is loaded
    return write_merged(target, open_model(model, device), stored, force=force)


def _tell_folder(speaker: str, folder: Written, as_json: bool) -> int:
    """Print what was written."""
    if as_json:
        content: dict[str, Any] = {"speaker": speaker, "folder": str(folder.folder), "files": list(folder.files)}
        print_json(content | {"bytes": folder.bytes, "difference": folder.difference})
        return 0
    say(f"{speaker}: written to {folder.folder} ({', '.join(folder.files)}; {folder.bytes / 1000:.0f} kB)")
    if folder.difference is not None:
        say(f"  its outputs differ from those of the adapted model by {folder.difference:.1e} of the greatest")
    return 0


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Store under this name  [default: the name in the file]")
@click.option("--force", is_flag=True, help="Add a version if the speaker exists.")
@store_option
@model_options
@json_option
def import_(
    file: Path, name: str | None, force: bool, store_path: Path | None, model: str, device: str, as_json: bool
) -> int:
    """Store the speaker of an exported file or a PEFT folder.

    Everything in FILE is checked before anything is stored; it may come from anywhere. A folder holds a LoRA
    adapter as PEFT saves it, and needs --name and the --model that it was trained on.
    """
    store = open_store(store_path)
    if file.is_dir():
        record = _from_peft(store, file, name, model, device, force)
    else:
        record = store.import_(file, name, force=force)
    shelf = store.recordings(record.speaker)
    if shelf.agreed:
        count = len(shelf.kept().recordings)
        note(
            f"audio is kept: {count} recordings in {shelf.path}, and later ones too; "
            "`asradapt speakers forget-audio` ends that"
        )
    if as_json:
        print_json(brief(record))
    else:
        say(f"{record.speaker}: imported as version {record.version}")
    return 0


def _from_peft(
    store: SpeakerStore, folder: Path, name: str | None, model: str, device: str, force: bool
) -> SpeakerRecord:
    """Store an adapter of PEFT."""
    from asradapt.interchange import import_peft
    from asradapt.store import validate_speaker

    if name is None:
        raise UsageError("an adapter of PEFT names no speaker; give --name")
    record = import_peft(folder, open_model(model, device), store, validate_speaker(name), force=force)
    note(
        "nothing here has judged this adapter; `asradapt evaluate` with recordings of the speaker does, and an "
        "enrolment replaces it"
    )
    return record


@click.command()
@click.argument("speaker")
@click.argument("audio", nargs=-1)
@manifest_option
@where_option
@click.option(
    "--unjudged",
    is_flag=True,
    help="Move the adaptation without any recordings to judge it by; the record says so.",
)
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

    if where and not manifest:
        raise UsageError("--where filters the rows of a --manifest")
    if manifest and audio:
        raise UsageError("give audio files or --manifest, not both")
    store = open_store(store_path)
    store.record(speaker)  # an unknown speaker is told before anything is read
    read = _to_judge(speaker, audio, manifest, where)
    own = rows_of(speaker, read.utterances) if read and read.utterances else []
    if read and not own:
        report_problems(read.warnings, read.failed)
        raise UsageError("none of the recordings can be used")
    source = open_model(model, device)
    with progress() as bar:
        done = migrate_speaker(
            source,
            store,
            speaker,
            own,
            options=EnrolmentOptions(seed=seed),
            unjudged=unjudged,
            progress=bar,
        )
    failed = [*(read.failed if read else ()), *done.failed]
    _tell_migrated(done, as_json, [failure.as_dict() for failure in failed])
    report_problems([*(read.warnings if read else ()), *done.warnings], failed)
    return 1 if failed else 0


def _to_judge(speaker: str, audio: Sequence[str], manifest: Path | None, where: Sequence[str]) -> Manifest | None:
    """The recordings that were given, if any."""
    from asradapt.manifests import parse_where, read_manifest, utterances_from_audio

    if manifest:
        return read_manifest(manifest, where=parse_where(where))
    return utterances_from_audio(audio, speaker, need_text=True) if audio else None


def _tell_migrated(done: Migrated, as_json: bool, failed: list[dict[str, Any]]) -> None:
    """Print the outcome."""
    record = done.record
    if as_json:
        print_json({**brief(record), **done.as_dict(), "failed": failed})
        return
    what = record.method if record.decision == "adapted" else "source kept"
    say(f"{record.speaker}: now on {record.source['name']}, version {record.version} [{what}]")
    say(f"  {done.how}")
    say(f"  {done.explanation}")
    for line in done.dropped[:20]:
        say(f"  dropped: {line}")
    if len(done.dropped) > 20:
        say(f"  dropped: and {len(done.dropped) - 20} more (--json lists all)")
