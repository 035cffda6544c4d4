"""`asradapt speakers`: the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import (
    aligned,
    help_without_command,
    json_option,
    note,
    open_store,
    print_json,
    report_problems,
    say,
    store_option,
)
from asradapt.errors import StoreError, UnknownName, UsageError
from asradapt.types import Failure
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.phrases import Phrases
    from asradapt.store import SpeakerRecord, SpeakerStore
    from asradapt.store.kept import Kept
    from asradapt.store.recordings import Recordings


@click.group(invoke_without_command=True, subcommand_metavar="COMMAND [ARGS]...")
@click.pass_context
def speakers(context: click.Context) -> int:
    """Who is enrolled: list, show, remove, roll back, move.

    Each speaker is a small folder in the store, with earlier versions to go back to.
    """
    return help_without_command(context)


def brief(record: SpeakerRecord) -> dict[str, Any]:
    """What `--json` says of a record where it says little."""
    return {
        "speaker": record.speaker,
        "decision": record.decision,
        "method": record.method,
        "version": record.version,
        "utterances": record.utterances,
        "seconds": record.seconds,
        "heard_seconds": _heard(record)[1],
        "source": record.source,
        "created": record.created,
    }


def _cells(brief: Mapping[str, Any]) -> Sequence[str]:
    what = brief["method"] if brief["decision"] == "adapted" else "source kept"
    heard = f" + {brief['heard_seconds']:.0f} heard" if brief["heard_seconds"] else ""
    numbers = (str(brief["version"]), str(brief["utterances"]), f"{brief['seconds']:.0f}{heard}")
    return (brief["speaker"], what, *numbers, brief["created"])


def _rate(record: SpeakerRecord, when: str) -> str:
    counts = record.folds.get(when)
    return f"{counts['wer']:.1%}" if isinstance(counts, dict) and "wer" in counts else "?"


def _heard(record: SpeakerRecord) -> tuple[int, float]:
    """Pieces of recordings without texts that were learned from beside those with texts, and their seconds."""
    partly = record.gate.get("partly")
    if not isinstance(partly, dict) or not partly.get("used"):
        return 0, 0.0
    return int(partly.get("pieces", 0)), float(partly.get("seconds", 0.0))


def _recordings(record: SpeakerRecord) -> str:
    """What was learned from, in words."""
    if record.imported:
        return "not known: imported from another program"
    pieces, seconds = _heard(record)
    what = f"what was heard in {counted(pieces, 'piece')} of recordings without texts"
    more = f"; and {what}, {seconds:.1f} s" if pieces else ""
    return f"{record.utterances}, {record.seconds:.1f} s{more}"


def _folds(record: SpeakerRecord) -> str:
    """What was measured, in words."""
    if record.gate.get("judged") is False:
        return f"never judged: {record.gate.get('reason') or 'no reason is given'}"
    if record.gate.get("tried"):
        before, after = _rate(record, "before"), _rate(record, "after")
        what = "word error rate" if record.transcribed else "words missed of those heard with a language model"
        return f"{what} {before} before, {after} after, held out"
    return "not measured: too few recordings" + ("" if record.transcribed else ", or nothing to learn")


def _origin(migrated: Mapping[str, Any]) -> str:
    """Where a moved adaptation comes from, in words."""
    moved, dropped = len(migrated["moved"]), len(migrated["dropped"])
    source = migrated["source"]
    return (
        f"from version {migrated['version']}, made for {source['name']} {source['fingerprint'][:16]}: "
        f"{moved} places taken over, {dropped} dropped"
    )


@speakers.command("list")
@store_option
@json_option
def list_(store_path: Path | None, as_json: bool) -> int:
    """List everybody in the store."""
    store = open_store(store_path)
    found: list[dict[str, Any]] = []
    failed: list[Failure] = []
    for name in store.speakers():
        try:
            found.append(brief(store.record(name)))
        except StoreError as error:
            failed.append(Failure(name, str(error)))
        except UnknownName:  # removed meanwhile
            continue
    for name in store.without_current():
        advice = "`asradapt speakers rollback` makes the last one so, `asradapt speakers remove` deletes them"
        failed.append(Failure(name, f"none of its versions is current; {advice}"))
    if as_json:
        print_json({"speakers": found, "failed": [failure.as_dict() for failure in failed]})
        return 1 if failed else 0
    if found:
        head = ("speaker", "decision", "version", "recordings", "seconds", "created")
        for line in aligned([head, *map(_cells, found)]):
            say(line)
    report_problems([], failed)
    if not found and not failed:
        note(f"nobody is enrolled in {store.root}; see `asradapt enroll --help`")
    return 1 if failed else 0


@speakers.command()
@click.argument("speaker")
@click.option("--version", type=int, help="Which version  [default: the current one]")
@store_option
@json_option
def show(speaker: str, version: int | None, store_path: Path | None, as_json: bool) -> int:
    """Show the record of one speaker.

    How much was recorded, the method, the error on held-out recordings and what was decided.
    """
    store = open_store(store_path)
    record = store.record(speaker, version)
    versions = store.versions(speaker)
    shelf = store.recordings(speaker)
    kept, problem = _kept(shelf)
    phrases, wrong = _vocabulary(store, speaker)
    if as_json:
        more = {"versions": versions, "kept_audio": None if problem else kept.as_dict()}
        listed = None if wrong else {"phrases": list(phrases), "strength": phrases.strength}
        print_json(asdict(record) | more | {"vocabulary": listed})
        report_problems([one for one in (problem, wrong) if one], [])
        return 0
    say(f"speaker     {record.speaker}")
    say(f"decision    {_decision(record)}")
    say(f"version     {record.version} (of {', '.join(map(str, versions))}), made {record.created}")
    say(f"recordings  {_recordings(record)}")
    if added := record.options.get("tokens"):
        say(f"characters  {' '.join(str(added['characters']))} besides those of the source")
    if not record.transcribed:
        say("texts       not known: learned without transcripts")
    say(f"folds       {_folds(record)}")
    if isinstance(origin := record.split.get("migrated"), dict):
        say(f"moved       {_origin(origin)}")
    if phrases or wrong or phrases.strength is not None:
        say(f"phrases     {wrong or _phrases(phrases)}")
    say(f"audio       {problem or _audio(kept, shelf.path)}")
    say(f"source      {record.source['name']} {record.source['fingerprint'][:16]}")
    return 0


def _decision(record: SpeakerRecord) -> str:
    """What was decided, with the rank of a low-rank change."""
    if record.decision != "adapted":
        return "source kept"
    rank = record.options.get("lowrank", {}).get("rank")
    return f"adapted by {record.method}" + (f" of rank {rank}" if rank else "")


def _phrases(phrases: Phrases) -> str:
    """How many phrases there are, and how strongly they are listened for."""
    strength = "" if phrases.strength is None else f", listened for with a strength of {phrases.strength:g}"
    return counted(len(phrases), "phrase") + strength


def _vocabulary(store: SpeakerStore, speaker: str) -> tuple[Phrases, str]:
    """The phrases of a speaker, and what is wrong with them."""
    from asradapt.phrases import Phrases

    try:
        return store.vocabulary(speaker), ""
    except StoreError as error:
        return Phrases(), str(error)


def _kept(shelf: Recordings) -> tuple[Kept, str]:
    """What is kept of the recordings, and what is wrong with the list."""
    from asradapt.store.kept import Kept

    try:
        return shelf.kept(), ""
    except StoreError as error:
        return Kept("", ()), str(error)


def _audio(kept: Kept, folder: Path) -> str:
    """What is kept of the recordings, in words."""
    if not kept.agreed:
        return "none is kept"
    size = f"{counted(len(kept.recordings), 'recording')}, {kept.seconds / 60:.1f} min, {kept.bytes} bytes"
    return f"{size} kept in {folder}, agreed {kept.agreed}"


def _confirmed(question: str) -> bool:
    """Ask on the terminal.

    Raises:
        UsageError: If there is nobody to ask.
    """
    try:
        return click.confirm(question, err=True)
    except click.Abort as error:
        if isinstance(error.__context__, EOFError):
            note("")
            raise UsageError("there is nobody to ask; give --yes to remove without asking") from error
        raise


@speakers.command()
@click.argument("speaker")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def remove(speaker: str, yes: bool, store_path: Path | None, as_json: bool) -> int:
    """Remove a speaker with all versions for good."""
    store = open_store(store_path)
    if not yes:
        count = len(store.versions(speaker, damaged=True))
        if not _confirmed(f"Remove {speaker} with {count} version{'' if count == 1 else 's'}?"):
            raise StoreError(f"{speaker} is not removed")
    store.remove(speaker)
    if as_json:
        print_json({"removed": speaker})
    else:
        say(f"removed {speaker}")
    return 0


@speakers.command("forget-audio")
@click.argument("speaker")
@click.option("--yes", is_flag=True, help="Do not ask.")
@store_option
@json_option
def forget_audio(speaker: str, yes: bool, store_path: Path | None, as_json: bool) -> int:
    """Delete the kept recordings of a speaker for good.

    The agreement to keep recordings ends with it; the adaptations stay as they are.
    """
    shelf = open_store(store_path).recordings(speaker)
    if not yes and not _confirmed(f"Delete the kept recordings of {speaker}?"):
        raise StoreError(f"the recordings of {speaker} are not deleted")
    count = shelf.forget()
    if as_json:
        print_json({"speaker": speaker, "forgotten": count})
    else:
        say(f"{speaker}: {count} recording{'' if count == 1 else 's'} deleted; later ones are not kept")
    return 0


@speakers.command()
@click.argument("speaker")
@click.option("--to", type=int, help="Which version  [default: the one that the current one has replaced]")
@store_option
@json_option
def rollback(speaker: str, to: int | None, store_path: Path | None, as_json: bool) -> int:
    """Make an earlier version of a speaker current again."""
    record = open_store(store_path).rollback(speaker, to)
    if as_json:
        print_json(brief(record))
    else:
        say(f"{speaker}: version {record.version} is current")
    return 0
