"""`asradapt speakers`: the store."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import json_option, note, open_store, print_json, say, store_option
from asradapt.errors import StoreError

if TYPE_CHECKING:
    from asradapt.store import SpeakerRecord


@click.group()
def speakers() -> None:
    """Who is enrolled: list, show, remove, roll back, move to another machine."""


def _brief(record: SpeakerRecord) -> dict[str, Any]:
    return {
        "speaker": record.speaker,
        "decision": record.decision,
        "method": record.method,
        "version": record.version,
        "utterances": record.utterances,
        "seconds": record.seconds,
        "source": record.source,
        "created": record.created,
    }


def _rate(record: SpeakerRecord, when: str) -> str:
    counts = record.folds.get(when)
    return f"{counts['wer']:.1%}" if isinstance(counts, dict) and "wer" in counts else "?"


@speakers.command("list")
@store_option
@json_option
def list_(store_path: Path | None, as_json: bool) -> int:
    """List everybody in the store."""
    store = open_store(store_path)
    found: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for name in store.speakers():
        try:
            found.append(_brief(store.record(name)))
        except StoreError as error:
            failed.append({"item": name, "reason": str(error)})
    if as_json:
        print_json({"speakers": found, "failed": failed})
        return 1 if failed else 0
    for one in found:
        what = one["method"] if one["decision"] == "adapted" else "source kept"
        minutes = f"{one['utterances']} recordings, {one['seconds']:.0f} s"
        say(f"{one['speaker']}\t{what}\tversion {one['version']}\t{minutes}\t{one['created']}")
    for failure in failed:
        note(f"failed: {failure['item']}: {failure['reason']}")
    if not found and not failed:
        note(f"nobody is enrolled in {store.root}; see `asradapt enroll --help`")
    return 1 if failed else 0


@speakers.command()
@click.argument("speaker")
@click.option("--version", type=int, help="Which version  [default: the current one]")
@store_option
@json_option
def show(speaker: str, version: int | None, store_path: Path | None, as_json: bool) -> int:
    """Show one SPEAKER's record: data, method, error on held-out recordings, the gate's decision."""
    store = open_store(store_path)
    record = store.record(speaker, version)
    versions = store.versions(speaker)
    if as_json:
        print_json(asdict(record) | {"versions": versions})
        return 0
    say(f"speaker     {record.speaker}")
    say(f"decision    {'adapted by ' + record.method if record.decision == 'adapted' else 'source kept'}")
    say(f"version     {record.version} (kept: {', '.join(map(str, versions))}), made {record.created}")
    say(f"recordings  {record.utterances}, {record.seconds:.1f} s")
    say(f"folds       word error rate {_rate(record, 'before')} before, {_rate(record, 'after')} after, held out")
    say(f"source      {record.source['name']} {record.source['fingerprint'][:16]}")
    return 0


@speakers.command()
@click.argument("speaker")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def remove(speaker: str, yes: bool, store_path: Path | None, as_json: bool) -> int:
    """Remove SPEAKER with all versions; this cannot be undone."""
    store = open_store(store_path)
    if not yes:
        count = len(store.versions(speaker))
        click.confirm(f"Remove {speaker} and all {count} versions?", abort=True, err=True)
    store.remove(speaker)
    if as_json:
        print_json({"removed": speaker})
    else:
        say(f"removed {speaker}")
    return 0


@speakers.command()
@click.argument("speaker")
@click.option("--to", type=int, help="Which version  [default: the one before the current]")
@store_option
@json_option
def rollback(speaker: str, to: int | None, store_path: Path | None, as_json: bool) -> int:
    """Make an earlier version of SPEAKER current again."""
    record = open_store(store_path).rollback(speaker, to)
    if as_json:
        print_json(_brief(record))
    else:
        say(f"{speaker}: version {record.version} is current")
    return 0


@speakers.command()
@click.argument("speaker")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
@store_option
@json_option
def export(speaker: str, file: Path, force: bool, store_path: Path | None, as_json: bool) -> int:
    """Write SPEAKER's current version to FILE, a zip archive without any audio."""
    path = open_store(store_path).export(speaker, file, force=force)
    if as_json:
        print_json({"speaker": speaker, "file": str(path), "bytes": path.stat().st_size})
    else:
        say(f"{speaker}: written to {path} ({path.stat().st_size / 1000:.0f} kB)")
    return 0


@speakers.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", help="Store under this name  [default: the name in the file]")
@click.option("--force", is_flag=True, help="Add a version if the speaker exists.")
@store_option
@json_option
def import_(file: Path, name: str | None, force: bool, store_path: Path | None, as_json: bool) -> int:
    """Store the speaker of an exported FILE."""
    record = open_store(store_path).import_(file, name, force=force)
    if as_json:
        print_json(_brief(record))
    else:
        say(f"{record.speaker}: imported as version {record.version}")
    return 0
