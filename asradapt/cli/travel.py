"""`asradapt export` and `import`: speakers to and from files, and other programs' formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import json_option, note, open_store, print_json, say, store_option
from asradapt.cli.enrolled_on import model_for, model_was_given, require_given_model
from asradapt.cli.model_options import model_options, open_model
from asradapt.cli.speakers import brief
from asradapt.errors import InputError, UsageError
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.interchange import Written
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
@click.option("--force", is_flag=True, help="Replace an export that exists.")
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
    `torchaudio` load without this program; what is merged of the embedded model, --model takes. --merged takes
    the --model that SPEAKER was enrolled on, and knows it where it was enrolled on this machine. A --model that
    is another one is refused.
    """
    if sum(target is not None for target in (file, peft, merged)) != 1:
        raise click.UsageError("give one of FILE, --peft DIR and --merged DIR", click.get_current_context())
    store = open_store(store_path)
    if file is None and with_audio:
        raise UsageError("--with-audio goes with FILE: other programs have no use for kept recordings")
    if merged:
        return _tell_folder(speaker, _merged(store, speaker, merged, model, device, force), as_json)
    require_given_model(store.record(speaker), model, device)
    if peft:
        return _tell_folder(speaker, _peft(store, speaker, peft, force), as_json)
    assert file is not None
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


def _merged(store: SpeakerStore, speaker: str, target: Path, model: str, device: str, force: bool) -> Written:
    from asradapt.interchange import write_merged

    stored = store.load(speaker)  # an unknown speaker is told before a model is loaded
    return write_merged(target, open_model(model_for(speaker, store, model), device), stored, force=force)


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
    adapter as PEFT saves it, and needs --name and the --model that it was trained on. Of a file, a --model that is
    another one than the speaker's is refused.
    """
    from asradapt.store.archive import read_archive
    from asradapt.store.record import RECORD_FILE

    store = open_store(store_path)
    if (file / RECORD_FILE).is_file():
        raise InputError(f"{file} is an exported speaker that was unpacked: give the zip itself, or pack it again")
    if file.is_dir():
        record = _from_peft(store, file, name, model, device, force)
    else:
        if model_was_given():
            require_given_model(read_archive(file, name=name)[0], model, device)
        record = store.import_(file, name, force=force)
    shelf = store.recordings(record.speaker)
    if shelf.agreed:
        count = len(shelf.kept().recordings)
        note(
            f"audio is kept: {counted(count, 'recording')} in {shelf.path}, and later ones too; "
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
