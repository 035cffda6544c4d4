"""`asradapt vocab`: the phrases a speaker uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from asradapt.cli.common import help_without_command, json_option, note, open_store, print_json, say, store_option
from asradapt.errors import InputError, UsageError
from asradapt.wording import first_of


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
    help="A text file with one phrase a line.",
)


def _given(phrases: Sequence[str], file: Path | None) -> list[str]:
    """The phrases of the command line and of a file.

    Raises:
        UsageError: If there are none.
        InputError: If the file cannot be read.
    """
    found = list(phrases)
    if file is not None:
        try:
            found += [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        except (OSError, UnicodeError) as error:
            raise InputError(f"phrases cannot be read from {file}: {error}") from error
    if not found:
        raise UsageError("give phrases, or a --file that holds some")
    return found


def _tell(speaker: str, phrases: Sequence[str], as_json: bool) -> int:
    if as_json:
        print_json({"speaker": speaker, "phrases": list(phrases)})
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
    more = _given(phrases, file)
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
    unwanted = {normalize(phrase): phrase for phrase in _given(phrases, file)}

    def without(stored: tuple[str, ...]) -> list[str]:
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
