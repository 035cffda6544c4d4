"""`asradapt methods`, `asradapt prompts`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asradapt.cli.common import json_option, note, open_store, print_json, say, store_option
from asradapt.errors import UsageError

if TYPE_CHECKING:
    from asradapt.next_prompts import Advice, Unsure
    from asradapt.prompts import Prompt


@click.command()
@json_option
def methods(as_json: bool) -> int:
    """List the adaptation methods, one line each.

    Join names with + to combine methods, as in affine+lowrank.
    """
    from asradapt.adaptation import METHODS

    found = [METHODS[name] for name in sorted(METHODS)]
    if as_json:
        rows = [{"name": m.name, "summary": m.summary, "one_speaker_a_batch": m.one_speaker} for m in found]
        print_json({"methods": rows})
    else:
        for method in found:
            say(f"{method.name:12} {method.summary}")
    return 0


@click.command()
@click.option("--count", type=int, help="How many  [default: all]")
@click.option("--level", type=click.Choice(["easy", "plain"]), help="Only sentences of this level.")
@click.option(
    "--for",
    "speaker",
    metavar="SPEAKER",
    help="Those that this enrolled person should read next: sounds and words that were misheard.",
)
@click.option(
    "--dictionary",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="With --for: a pronouncing dictionary (cmudict's format)  [default: flite, if it is there]",
)
@store_option
@json_option
def prompts(
    count: int | None,
    level: str | None,
    speaker: str | None,
    dictionary: Path | None,
    store_path: Path | None,
    as_json: bool,
) -> int:
    """Print sentences to read aloud for an enrolment.

    Their order covers the sounds of English fastest, so the first ones are worth the most. With --for they are
    chosen and ordered by what was misheard in the enrolment of a person, without those that were read; behind each
    stand the sounds and words for which it was chosen.
    """
    from asradapt.prompts import choose_prompts

    if speaker is None:
        if dictionary or store_path:
            raise UsageError("--dictionary and --store go with --for SPEAKER")
        chosen = choose_prompts(count, level=level)
        _print_prompts([(prompt, {}) for prompt in chosen], {}, as_json)
        return 0
    advice, unsure = _advice(speaker, count, level, dictionary, store_path)
    _print_prompts(
        [(one.prompt, {"sounds": list(one.sounds), "words": list(one.words)}) for one in advice],
        {"speaker": speaker, "misheard": dict(unsure.words), "unknown_words": list(unsure.unknown)},
        as_json,
    )
    return 0


def _advice(
    speaker: str, count: int | None, level: str | None, dictionary: Path | None, store_path: Path | None
) -> tuple[list[Advice], Unsure]:
    """The sentences for an enrolled person; what the record lacks is noted."""
    from asradapt.next_prompts import advise, known_sounds, misheard_words, read_texts

    record = open_store(store_path).record(speaker)
    texts, missed = read_texts(record), misheard_words(record)
    if missed is None:
        note(
            f"the record of {speaker} does not say what was misheard; enrol with texts to have "
            "prompts chosen by it; these are the sentences for everybody"
        )
    sounds = known_sounds()
    sounds |= _looked_up({word for text in texts for word in text.split()} - sounds.keys(), dictionary)
    advice, unsure = advise(texts, missed or {}, sounds, count=count, level=level)
    if unsure.unknown:
        note(
            f"{len(unsure.unknown)} of {len(unsure.words)} misheard words have no known sounds; "
            "--dictionary FILE gives them"
        )
    worst = sorted(unsure.rates, key=lambda sound: (-unsure.rates[sound], sound))[:5] if missed else []
    if worst:
        note("most misheard sounds: " + ", ".join(f"{one} ({unsure.rates[one]:.0%})" for one in worst))
    return advice, unsure


def _looked_up(words: set[str], dictionary: Path | None) -> dict[str, tuple[str, ...]]:
    """The sounds of words that are in no prompt: by a dictionary, or as flite says them if it is there."""
    from asradapt.simulation.engines import find_engine
    from asradapt.simulation.phones import plain
    from asradapt.simulation.pronunciations import look_up, read_dictionary

    if dictionary and not words:
        read_dictionary(dictionary)  # there is nothing to look up, but what is no dictionary is told
    if not words or not (dictionary or find_engine("flite").installed()):
        return {}
    return {word: tuple(map(plain, phones)) for word, phones in look_up(words, dictionary).items()}


def _print_prompts(
    chosen: Sequence[tuple[Prompt, dict[str, list[str]]]], more: dict[str, object], as_json: bool
) -> None:
    if as_json:
        rows = [
            {"id": p.id, "level": p.level, "text": p.text, "phones": list(p.phones)}
            | ({"why": why} if why else {})
            for p, why in chosen
        ]
        print_json(more | {"prompts": rows})
        return
    for prompt, why in chosen:
        reasons = ", ".join([*why.get("sounds", []), *map(repr, why.get("words", []))])
        say(f"{prompt.id}\t{prompt.text}" + (f"\t{reasons}" if reasons else ""))
