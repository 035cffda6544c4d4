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
    from asradapt.simulation.produce import Produced


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
    "--exclude-manifest",
    "excluded",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Never say a sentence of this manifest; repeatable.",
)
@click.option("--words", default="1-14", show_default=True, metavar="LEAST-MOST", help="Words of a sentence.")
@click.option("--part", default="train", show_default=True, help="The manifest's part column.")
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
    excluded: tuple[Path, ...],
    words: str,
    part: str,
    as_json: bool,
) -> int:
    """Make labelled speech from text, with many voices.

    TEXT is files with one sentence a line. Free synthesisers that are installed speak as pseudo-speakers,
    each with a vocal tract, pitch and tempo of its own. A second run with the same options goes on where
    the first one stopped.
    """
    if not texts or out is None:
        raise UsageError("give one or more text files and --out DIR")
    if jobs < 1 or (count is not None and count < 1) or (hours is not None and not hours > 0):
        raise UsageError("--jobs, --count and --hours must be above 0")
    from asradapt.simulation.plan import PlanOptions, fingerprint, plan
    from asradapt.simulation.produce import produce
    from asradapt.simulation.sentences import manifest_texts, read_sentences
    from asradapt.simulation.voices import SpeakerOptions

    sentences = read_sentences(texts, words=_word_range(words), excluded=manifest_texts(excluded))
    cast = SpeakerOptions(weights=_pairs(engines, "--engines"), voices=voices, children=children)
    options = PlanOptions(speakers=speakers, seed=seed, part=part, format=style, cast=cast)
    if count is None and hours is None:
        count = sum(map(len, sentences))
    tasks = plan(sentences, options, count=count)
    most = math.inf if hours is None else hours
    note(f"{sum(map(len, sentences))} sentences, {speakers} pseudo-speakers")
    with progress() as bar:

        def advance(seconds: float, made: int) -> None:
            bar("speaking", max(seconds / 3600 / most, made / count if count else 0.0))

        settings = fingerprint(sentences, options)
        produced = produce(tasks, out, settings=settings, hours=most, jobs=jobs, report=advance)
    _tell(produced, as_json)
    return 0


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
    hours = produced.seconds / 3600
    say(f"{produced.count} utterances, {hours:.2f} h in {produced.manifest} ({produced.new} new)")
