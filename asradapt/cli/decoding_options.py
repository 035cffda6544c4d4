"""How the commands that decode let people choose: greedy, beam search, language model, phrases."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import F, report_problems
from asradapt.errors import UsageError
from asradapt.wording import cannot_write

if TYPE_CHECKING:
    from asradapt.decoding import Decoder
    from asradapt.models.base import SourceModel

DEFAULT_BEAMS = 256  # `asradapt.decoding.BEAMS`, without the import of PyTorch


def decoding_options(command: F) -> F:
    """`--lm`, `--no-lm`, `--beam`, `--lm-weight`, `--word-score` and `--vocab`, of commands that give texts."""
    beams = f"{DEFAULT_BEAMS} with a language model, --no-lm or --vocab, else 0"
    return _options(command, "lm_en with the model source_en", beams)


def greedy_options(command: F) -> F:
    """The same of commands that measure: greedily, unless they are told otherwise."""
    searched = "none; lm_en with the model source_en where another of these options asks for a search"
    return _options(command, searched, f"{DEFAULT_BEAMS} with another of these options, else 0")


def _options(command: F, language: str, beams: str) -> F:
    options = (
        click.option(
            "--lm",
            metavar="NAME|FILE",
            help=f"Language model: lm_en, an ARPA file (also .gz) or a KenLM binary  [default: {language}]",
        ),
        click.option("--no-lm", is_flag=True, help="Search without a language model (--beam 0 decodes greedily)."),
        click.option(
            "--beam",
            type=click.IntRange(0, 1000),
            help=f"Hypotheses of the beam search; 0 decodes greedily  [default: {beams}]",
        ),
        click.option("--lm-weight", type=click.FloatRange(0, 10), help="Weight of the language model."),
        click.option("--word-score", type=click.FloatRange(-20, 20), help="What every word is worth, in nats."),
        click.option(
            "--vocab",
            "vocab_file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            help="Phrases that everybody uses, one a line (with # first a comment), besides each speaker's own.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def language_of(model: SourceModel, lm: str | None, no_lm: bool) -> str | None:
    """The language model to load, if any.

    Raises:
        UsageError: If one is asked for and refused.
    """
    from asradapt.language import EMBEDDED_LANGUAGE
    from asradapt.models.names import is_embedded

    if lm and no_lm:
        raise UsageError("give --lm or --no-lm, not both")
    if lm or no_lm:
        return lm
    return EMBEDDED_LANGUAGE if is_embedded(model) else None


def open_decoder(
    model: SourceModel,
    *,
    lm: str | None,
    no_lm: bool,
    beam: int | None,
    lm_weight: float | None,
    word_score: float | None,
    vocab_file: Path | None,
    warn: Callable[[str], None] | None = None,
) -> Decoder:
    """The decoder that the options ask for; `warn` takes what is to be said of them, which is printed otherwise.

    Raises:
        UsageError: If the options contradict each other, or the model cannot be searched.
        InputError: If the language model or the phrases cannot be read.
    """
    from asradapt.decoding import GREEDY, Decoder, DecoderOptions, unwritable
    from asradapt.language import load_language
    from asradapt.models.base import without_ctc, writes

    for option, value in (("--lm-weight", lm_weight), ("--word-score", word_score)):
        if value is not None and math.isnan(value):  # which passes every comparison with the ends of a range
            raise UsageError(f"{option} must be a number, got nan")
    name = language_of(model, lm, no_lm)
    search = bool(name or no_lm or vocab_file)
    beams = beam if beam is not None else DEFAULT_BEAMS if search else GREEDY
    chosen = [("--lm", lm), ("--lm-weight", lm_weight), ("--word-score", word_score), ("--vocab", vocab_file)]
    useless = [option for option, value in chosen if value is not None]
    if writes(model):
        if useless := useless + ["--beam"] * bool(beam):
            raise UsageError(without_ctc(model, f"{', '.join(useless)}: beam search"))
        return Decoder.of(model)  # nothing is asked of it
    if beams == GREEDY:
        if useless:
            raise UsageError(f"{', '.join(useless)} needs beam search: give --beam 1 or more")
        return Decoder.of(model)
    if name is None and (weighing := [option for option in useless if option in ("--lm-weight", "--word-score")]):
        raise UsageError(f"{', '.join(weighing)} needs a language model: give --lm, and not --no-lm")
    changed: dict[str, Any] = {"language": lm_weight, "word": word_score}
    language = load_language(name) if name else None
    phrases = _phrases(vocab_file)
    tell = warn or (lambda warning: report_problems([warning], ()))
    if vocab_file and not phrases:
        tell(f"{vocab_file} holds no phrases")
    if lost := unwritable(phrases, model.tokens):
        tell(f"{vocab_file}: {cannot_write(lost)}, but from speakers who have added the characters")
    options = DecoderOptions(beams=beams, phrases=phrases).on(model, search_with=language)
    assert options.weights is not None  # `on` chooses them
    weights = replace(options.weights, **{key: value for key, value in changed.items() if value is not None})
    return Decoder.of(model, language, replace(options, weights=weights))


def default_decoder(model: SourceModel) -> Decoder:
    """What `transcribe` uses when no option says otherwise."""
    return open_decoder(model, lm=None, no_lm=False, beam=None, lm_weight=None, word_score=None, vocab_file=None)


def _phrases(file: Path | None) -> tuple[str, ...]:
    """The phrases of a file, checked."""
    if file is None:
        return ()
    from asradapt.store import checked_phrases, phrases_of

    return checked_phrases(phrases_of(file))
