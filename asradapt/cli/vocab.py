"""`asradapt vocab`: the phrases a speaker uses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import (
    help_without_command,
    json_option,
    note,
    open_store,
    print_json,
    progress,
    report_problems,
    require_writable,
    say,
    store_option,
)
from asradapt.cli.decoding_options import decoding_options, open_decoder
from asradapt.cli.enrolled_on import model_for
from asradapt.cli.inputs import read_recordings, recordings_options
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import InputError, UsageError
from asradapt.phrases import STRENGTH, STRONGEST, Phrases, read_phrases
from asradapt.wording import first_of

if TYPE_CHECKING:
    from asradapt.phrase_tuning import TunedStrength


@click.group(invoke_without_command=True, subcommand_metavar="COMMAND [ARGS]...")
@click.pass_context
def vocab(context: click.Context) -> int:
    """Names and phrases that a speaker uses, so that they are heard.

    They are stored with an enrolled speaker, whatever the version, and make these words likelier for this
    speaker alone when `asradapt transcribe` decodes with beam search.
    """
    return help_without_command(context)


file_option = click.option(
    "--file",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="A text file with one phrase a line; lines with # first are comments.",
)


def _given(phrases: Sequence[str], file: Path | None, *, new: bool) -> list[str]:
    """The phrases of the command line and of a file; those that are `new` must be usable.

    Raises:
        UsageError: If there are none.
        InputError: If the file cannot be read.
        TextError: If a line of it cannot be used.
    """
    found = list(phrases)
    if file is not None:
        from asradapt.store import phrases_of

        found += phrases_of(file) if new else read_phrases(file).values()
    if not found:
        raise UsageError("give phrases, or a --file that holds some")
    return found


def _tell(speaker: str, phrases: Phrases, as_json: bool) -> int:
    if as_json:
        own = {} if phrases.strength is None else {"strength": phrases.strength}
        print_json({"speaker": speaker, "phrases": list(phrases)} | own)
        return 0
    for phrase in phrases:
        say(phrase)
    if not phrases:
        note(f"{speaker} has no phrases; add some with `asradapt vocab add`")
    return 0


@vocab.command()
@click.argument("speaker")
@click.argument("phrases", nargs=-1)
@file_option
@store_option
@json_option
def add(speaker: str, phrases: tuple[str, ...], file: Path | None, store_path: Path | None, as_json: bool) -> int:
    """Add PHRASES to the vocabulary of SPEAKER and print the whole.

    A phrase is one or more words; upper and lower case are alike.
    """
    more = _given(phrases, file, new=True)
    kept = open_store(store_path).change_vocabulary(speaker, lambda stored: [*stored, *more])
    return _tell(speaker, kept, as_json)


@vocab.command()
@click.argument("speaker")
@click.argument("phrases", nargs=-1)
@file_option
@click.option("--all", "everything", is_flag=True, help="Remove every phrase.")
@store_option
@json_option
def remove(
    speaker: str,
    phrases: tuple[str, ...],
    file: Path | None,
    everything: bool,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Remove PHRASES from the vocabulary of SPEAKER and print what is left."""
    from asradapt.scoring import normalize

    store = open_store(store_path)
    if everything and (phrases or file):
        raise UsageError("give phrases or --all, not both")
    if everything:
        return _tell(speaker, store.set_vocabulary(speaker, []), as_json)
    unwanted = {normalize(phrase): phrase for phrase in _given(phrases, file, new=False)}

    def without(stored: Phrases) -> list[str]:
        known = {normalize(phrase): phrase for phrase in stored}
        if strange := sorted(phrase for key, phrase in unwanted.items() if key not in known):
            listed = first_of(list(known.values())) or "none"
            raise InputError(f"{speaker} has no phrase {first_of(list(map(repr, strange)))}; known: {listed}")
        return [phrase for key, phrase in known.items() if key not in unwanted]

    return _tell(speaker, store.change_vocabulary(speaker, without), as_json)


@vocab.command("list")
@click.argument("speaker")
@store_option
@json_option
def list_(speaker: str, store_path: Path | None, as_json: bool) -> int:
    """Print the phrases of SPEAKER, one a line."""
    return _tell(speaker, open_store(store_path).vocabulary(speaker), as_json)


@vocab.command()
@click.argument("speaker")
@click.argument("value", required=False, type=click.FloatRange(0.0, STRONGEST))
@click.option("--usual", is_flag=True, help="Go back to what everybody has.")
@store_option
@json_option
def strength(speaker: str, value: float | None, usual: bool, store_path: Path | None, as_json: bool) -> int:
    """How strongly the phrases of SPEAKER are listened for: print it, or set it to VALUE.

    Nats that a phrase gains for every letter, from 0 to 5: 0 does not listen for them, 0.3 is what everybody has;
    the more, the more often they are heard, also where nobody said them. `vocab tune` finds one by recordings.
    """
    if value is not None and usual:
        raise UsageError("give VALUE or --usual, not both")
    if value is not None and math.isnan(value):  # which passes every comparison with the ends of a range
        raise UsageError("VALUE must be a number, got nan")
    store = open_store(store_path)
    kept = store.vocabulary(speaker)
    if value is not None or usual:
        kept = store.change_vocabulary(speaker, lambda stored: Phrases(stored, value))
    found = _strength(speaker, kept.strength)
    if as_json:
        print_json(found)
    else:
        say(f"{found['strength']:g}")
    return 0


@vocab.command()
@click.argument("speaker")
@recordings_options
@store_option
@decoding_options
@model_options
@json_option
def tune(
    speaker: str,
    audio: tuple[str, ...],
    manifest: Path | None,
    where: tuple[str, ...],
    store_path: Path | None,
    model: str,
    device: str,
    as_json: bool,
    **decoding: Any,
) -> int:
    """Find how strongly the phrases of SPEAKER should be listened for, and store it.

    AUDIO is files and folders with a .txt of the same name beside each file; or give a manifest. Recordings that
    SPEAKER was not enrolled with tell most. The strength with the fewest wrong words is stored if that is hardly
    chance (10% at most for all strengths together); else the strength stays as it is.
    """
    from asradapt.phrase_tuning import tune_strength

    store = open_store(store_path)
    before = store.vocabulary(speaker)  # who is not enrolled is told before any work
    read = read_recordings(audio, manifest, where, speaker=speaker, need_text=True)
    if read.failed and not read.utterances:
        raise InputError(f"no recording can be used, for example {read.failed[0].item}: {read.failed[0].reason}")
    require_writable(store)
    source = open_model(model_for(speaker, store, model), device)
    said: list[str] = []
    decoder = open_decoder(source, **decoding, warn=said.append)
    with progress() as bar:
        found = tune_strength(
            source, store, speaker, read.utterances, decoder, lambda share: bar("listening", share)
        )
    own = before.strength
    if found.strength is not None:
        own = found.strength
        store.change_vocabulary(speaker, lambda stored: Phrases(stored, found.strength))
    failed = [*read.failed, *found.failed]
    warnings = [*said, *read.warnings, *found.warnings, *_learned(speaker, found.learned)]
    if as_json:
        tried = [one.as_dict() for one in found.tried]
        told = {"failed": [one.as_dict() for one in failed], "warnings": warnings}
        print_json(_strength(speaker, own) | {"stored": found.strength is not None, "tried": tried} | told)
    else:
        _tell_tuning(found, own)
    report_problems(warnings, failed)
    return 1 if failed else 0


def _strength(speaker: str, own: float | None) -> dict[str, object]:
    """The strength in JSON: what is used, and whether it is this speaker's own."""
    return {"speaker": speaker, "strength": STRENGTH if own is None else own, "own": own is not None}


def _learned(speaker: str, count: int) -> list[str]:
    """The warning that a version has learned from what it is tried on."""
    said = f"{speaker} was enrolled with {count} of these sentences, which are heard well anyhow; others tell more"
    return [said] if count else []


def _tell_tuning(found: TunedStrength, own: float | None) -> None:
    """What every strength brings, and what is stored and why."""
    for one in found.tried:
        say(
            f"strength {one.strength:4.2f}: word error rate {one.errors.wer:6.1%}, phrases heard {one.heard} "
            f"of {one.said}, where nobody said them {one.invented}"
        )
    now = STRENGTH if own is None else own
    best, odds = found.best, f"chance alone does as well in {found.chance:.1%} of cases"
    if found.strength is not None:
        say(f"{now:g} is stored: {odds}")
    elif best.strength == STRENGTH:
        say(f"none has fewer wrong words than {STRENGTH:g}, which everybody has; the strength stays {now:g}")
    else:
        say(
            f"{best.strength:g} has fewer wrong words than {STRENGTH:g}, which everybody has, but {odds}: more "
            f"recordings would tell; the strength stays {now:g}"
        )
