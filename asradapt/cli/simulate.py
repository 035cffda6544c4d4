"""`asradapt simulate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asradapt.cli.common import json_option, note, print_json, progress, say, seed_option
from asradapt.errors import UsageError

if TYPE_CHECKING:
    from asradapt.simulation.plan import PlanOptions
    from asradapt.simulation.produce import Produced
    from asradapt.simulation.voices import Trait

_SHORT = 600  # seconds; more is told in hours


def _pairs(items: Sequence[str], what: str) -> dict[str, float]:
    """`NAME=NUMBER,NAME=NUMBER`, given once or more often."""
    pairs = {}
    for item in ",".join(items).split(",") if items else ():
        name, equals, number = item.strip().partition("=")
        try:
            pairs[name] = float(number) if equals else 1.0
        except ValueError as error:
            raise UsageError(f"{what} is NAME=WEIGHT (for example flite=3,pico=1), not {item!r}") from error
    return pairs


def _traits(items: Sequence[str], share: float, what: str) -> tuple[Trait, ...]:
    """`NAME` or `NAME=STRENGTH`, each given as an option of its own."""
    from asradapt.simulation.voices import Trait

    if share != 1.0 and not items:
        raise UsageError(f"--{what}-share says how many have one of --{what} NAME: give that too")
    traits = []
    for item in items:
        name, equals, number = item.partition("=")
        try:
            traits.append(Trait(name, float(number) if equals else None))
        except ValueError as error:
            raise UsageError(f"--{what} is NAME or NAME=STRENGTH, a number from 0 to 1, not {item!r}") from error
    return tuple(traits)


def _word_range(text: str) -> tuple[int, int]:
    low, _, high = text.partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1 <= int(low) <= int(high)):
        raise UsageError(f"--words is LEAST-MOST (for example 1-14), not {text!r}")
    return int(low), int(high)


@click.command()
@click.argument("texts", nargs=-1, metavar="TEXT...", type=click.Path(path_type=Path))
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path), help="Folder for manifest.jsonl and audio/."
)
@click.option("--hours", type=float, help="Stop at this amount of audio  [default: each sentence once]")
@click.option("--count", type=int, help="Stop at this number of utterances.")
@click.option("--speakers", default=400, show_default=True, help="Number of pseudo-speakers.")
@seed_option
@click.option("--jobs", default=1, show_default=True, help="Processes; the result does not depend on it.")
@click.option(
    "--format",
    "style",
    type=click.Choice(["flac", "ogg", "wav"]),
    default="flac",
    show_default=True,
    help="Of the audio; ogg is Opus, small and slow to write.",
)
@click.option("--engines", multiple=True, metavar="NAME=WEIGHT,...", help="Synthesisers and their shares.")
@click.option("--voice", "voices", multiple=True, metavar="ENGINE:VOICE", help="Only this voice; repeatable.")
@click.option("--children", default=0.0, metavar="SHARE", help="Share of speakers that sound like children.")
@click.option(
    "--accent",
    "accents",
    multiple=True,
    metavar="NAME[=STRENGTH]",
    help="Speakers have this accent, 0 to 1 [default: drawn]; repeatable; NAME may be random.",
)
@click.option("--accent-share", default=1.0, metavar="SHARE", help="Share of speakers with an accent.")
@click.option(
    "--dictionary",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Pronunciations for accents, in cmudict's format  [default: flite's]",
)
@click.option(
    "--impediment",
    "impediments",
    multiple=True,
    metavar="NAME[=STRENGTH]",
    help="Speakers have this impediment of speech; as --accent.",
)
@click.option("--impediment-share", default=1.0, metavar="SHARE", help="Share of speakers with one.")
@click.option(
    "--channel",
    "channels",
    multiple=True,
    metavar="NAME",
    help="Record through this room, noise, microphone or codec; one of those named for each utterance.",
)
@click.option(
    "--exclude-manifest",
    "excluded",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Never say a sentence of this manifest; repeatable.",
)
@click.option("--words", default="1-14", show_default=True, metavar="LEAST-MOST", help="Words of a sentence.")
@click.option("--part", default="train", show_default=True, help="The manifest's part column.")
@click.option("--list", "as_list", is_flag=True, help="List engines, voices, accents, impediments, channels.")
@json_option
def simulate(
    texts: tuple[Path, ...],
    out: Path | None,
    hours: float | None,
    count: int | None,
    speakers: int,
    seed: int,
    jobs: int,
    style: str,
    engines: tuple[str, ...],
    voices: tuple[str, ...],
    children: float,
    accents: tuple[str, ...],
    accent_share: float,
    dictionary: Path | None,
    impediments: tuple[str, ...],
    impediment_share: float,
    channels: tuple[str, ...],
    excluded: tuple[Path, ...],
    words: str,
    part: str,
    as_list: bool,
    as_json: bool,
) -> int:
    """Make labelled speech from text, with many voices.

    TEXT is files with one sentence a line, or what `asradapt prompts` prints. Free synthesisers that are
    installed speak as pseudo-speakers, each with a vocal tract, pitch and tempo of its own. A second run
    with the same options goes on where the first one stopped.
    """
    if as_list:
        from asradapt.cli.simulate_list import list_all

        return list_all(as_json=as_json)
    if not texts or out is None:
        raise UsageError("give one or more text files and --out DIR, or --list")
    if jobs < 1 or (count is not None and count < 1) or (hours is not None and not hours > 0):
        raise UsageError("--jobs, --count and --hours must be above 0")
    from asradapt.simulation.plan import PlanOptions
    from asradapt.simulation.sentences import manifest_texts, sift, told
    from asradapt.simulation.voices import SpeakerOptions

    cast = SpeakerOptions(
        weights=_pairs(engines, "--engines"),
        voices=voices,
        children=children,
        accents=_traits(accents, accent_share, "accent"),
        accent_share=accent_share,
        impediments=_traits(impediments, impediment_share, "impediment"),
        impediment_share=impediment_share,
    )
    options = PlanOptions(
        speakers=speakers,
        seed=seed,
        part=part,
        format=style,
        cast=cast,
        dictionary=dictionary,
        channels=channels,
    )
    sentences = sift(texts, words=_word_range(words), excluded=manifest_texts(excluded))
    if sentences.left_out:
        note(told(sentences.left_out))
    _tell(_produce(sentences.files, options, out, count=count, hours=hours, jobs=jobs), as_json)
    return 0


def _produce(
    sentences: list[list[str]],
    options: PlanOptions,
    out: Path,
    *,
    count: int | None,
    hours: float | None,
    jobs: int,
) -> Produced:
    """Make the speech with a bar; Ctrl-C says what there is before it ends the command."""
    from asradapt.simulation.plan import fingerprint, plan
    from asradapt.simulation.produce import MANIFEST, produce

    if count is None and hours is None:
        count = sum(map(len, sentences))
    tasks = plan(sentences, options, count=count)
    most = math.inf if hours is None else hours
    note(f"{_number(sum(map(len, sentences)), 'sentence')}, {_number(options.speakers, 'pseudo-speaker')}")
    with progress() as bar:

        def advance(seconds: float, made: int) -> None:
            bar("speaking", max(seconds / 3600 / most, made / count if count else 0.0))

        settings = fingerprint(sentences, options)
        try:
            return produce(tasks, out, settings=settings, hours=most, jobs=jobs, report=advance)
        except KeyboardInterrupt:
            manifest = out / MANIFEST
            count = manifest.read_bytes().count(b"\n") if manifest.exists() else 0
            note(f"{_number(count, 'utterance')} in {manifest}; the same command goes on from there")
            raise


def _tell(produced: Produced, as_json: bool) -> None:
    left_out = len(produced.left_out)
    if left_out:
        note(f"warning: {left_out} left out, the first because: {produced.left_out[0][1]}")
    if as_json:
        print_json(
            {
                "manifest": str(produced.manifest),
                "utterances": produced.count,
                "new": produced.new,
                "seconds": produced.seconds,
                "left_out": left_out,
            }
        )
        return
    count, seconds = _number(produced.count, "utterance"), produced.seconds
    length = f"{seconds:.0f} s" if seconds < _SHORT else f"{seconds / 3600:.2f} h"
    say(f"{count}, {length} in {produced.manifest} ({produced.new} new)")


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"
