"""`asradapt enroll`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import budget_option, json_option, open_store, running, seed_option, store_option
from asradapt.cli.enroll_output import Outcomes, finish, tell_texts, without_rank
from asradapt.cli.enroll_work import gather, hear, learn, teacher_of, without_enrolled
from asradapt.cli.enrolled_on import model_for
from asradapt.cli.inputs import recordings_options
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import UsageError

if TYPE_CHECKING:
    from asradapt.enrolment import EnrolmentOptions

keep_audio_option = click.option(
    "--keep-audio",
    is_flag=True,
    help="The person agrees that recordings are kept in the store, now and later (see speakers forget-audio).",
)


@click.command()
@click.argument("speaker", required=False)
@recordings_options
@click.option(
    "--every-speaker", "everybody", is_flag=True, help="Enrol each speaker of the manifest, many in one job."
)
@click.option(
    "--method",
    default="auto",
    show_default=True,
    help="auto, a method, or several joined by + (see `methods`).",
)
@click.option(
    "--rank",
    type=click.IntRange(1, 512),
    help="Inner width of lowrank, where that is taken  [default: by the amount of speech with auto, else 4]",
)
@click.option(
    "--strict", is_flag=True, help="Enrol nobody unless every recording passes the checks; say which do not."
)
@budget_option
@click.option(
    "--untranscribed",
    is_flag=True,
    help="Learn from what is heard in the recordings with the language model; no texts are needed or looked at. "
    "Not with --strict, --budget, --keep-audio, --fresh or --add-tokens.",
)
@click.option(
    "--partly-transcribed",
    "partly",
    is_flag=True,
    help="Learn from recordings without texts, too, by what is heard in them after the others were learned from. "
    "Not with --strict, --budget or --method encoder.",
)
@click.option(
    "--lm",
    metavar="NAME|FILE",
    help="Language model for --untranscribed and --partly-transcribed, as in transcribe  "
    "[default: lm_en with the model source_en]",
)
@click.option(
    "--add-tokens",
    metavar="CHARACTERS",
    default="",
    help="Characters that the model cannot write and these people learn to, as in 'é ñ'; from-texts takes those "
    "of each person's texts.",
)
@click.option("--folds", default=3, show_default=True, help="Cross-validation folds, at least 2.")
@click.option(
    "--speakers-at-once", default=16, show_default=True, help="Most speakers in one job; bounds the memory."
)
@keep_audio_option
@click.option(
    "--fresh",
    is_flag=True,
    help="Enrol from the source and these recordings alone; the version in use stays unless this is adapted too.",
)
@click.option(
    "--skip-enrolled",
    is_flag=True,
    help="With --every-speaker: leave out who is enrolled on this model already, as after an interruption.",
)
@store_option
@model_options
@seed_option
@json_option
def enroll(
    speaker: str | None,
    audio: tuple[str, ...],
    manifest: Path | None,
    where: tuple[str, ...],
    everybody: bool,
    method: str,
    rank: int | None,
    strict: bool,
    budget: float | None,
    untranscribed: bool,
    partly: bool,
    lm: str | None,
    add_tokens: str,
    folds: int,
    speakers_at_once: int,
    keep_audio: bool,
    fresh: bool,
    skip_enrolled: bool,
    store_path: Path | None,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Enrol a person from recordings with their texts.

    Without texts: --untranscribed; some with and some without: --partly-transcribed.

    AUDIO is files and folders, with a .txt of the same name beside each file; or give a manifest.

    Recordings that do not say their texts, hold the same sound as another, or are spoilt by clipping are left out
    and named.

    The adaptation is kept only if recordings it was not trained on come out better; otherwise the source
    model is kept for this speaker, and that is a success too. Who is enrolled already is enrolled further: from
    the recordings that were kept, or from the version in use, which is replaced only by one that is not worse.
    """
    with_texts = {
        "--budget": budget,
        "--strict": strict,
        "--keep-audio": keep_audio,
        "--fresh": fresh,
        "--add-tokens": add_tokens,
    }
    if skip_enrolled and not everybody:
        raise UsageError("--skip-enrolled is for --every-speaker")
    _require_lowrank(method, rank, untranscribed)
    given = [name for name, value in with_texts.items() if value]
    _require_fitting(untranscribed, partly, lm, given)
    people, failed, warnings = gather(
        speaker, audio, manifest, where, everybody, not (untranscribed or partly), not untranscribed
    )
    from asradapt.enrolment import Enrolment
    from asradapt.models.base import writes

    chosen = {"folds": folds, "budget": budget, "seed": seed, "speakers_at_once": speakers_at_once}
    options = _options(method, rank, add_tokens, chosen | {"strict": strict})
    store = open_store(store_path)
    outcomes = Outcomes(store, as_json)
    skipped: list[str] = []  # who is enrolled already
    result, hint = Enrolment((), (), ()), not (partly or untranscribed) and _could_hear(options)
    if people and not (strict and failed):
        source = open_model(model_for(speaker, store, model), device)
        if everybody:
            new, there = without_enrolled(people, source, store, keep_audio)
            people, skipped = (new, there) if skip_enrolled else (people, [])
            if people == new:  # whom --skip-enrolled will leave out, this command has enrolled
                running().goes_on = "; the same command with --skip-enrolled goes on"
        if untranscribed:
            result = hear(source, people, options, outcomes, lm)
        else:
            teacher = teacher_of(source, lm) if partly else None
            if partly:
                tell_texts(people)
            hint = hint and not writes(source)
            result = learn(source, people, options, outcomes, keep_audio=keep_audio, fresh=fresh, teacher=teacher)
    elif people:
        warnings.append("--strict: the other recordings were not checked any further")
    warnings += without_rank(result, rank)
    return finish(result, [*failed, *result.failed], [*warnings, *result.warnings], outcomes, skipped, hint)


def _could_hear(options: EnrolmentOptions) -> bool:
    """Whether `--partly-transcribed` would go with these options."""
    return not (options.strict or options.budget or "encoder" in options.method.split("+"))


def _options(method: str, rank: int | None, add_tokens: str, chosen: dict[str, Any]) -> EnrolmentOptions:
    """The options of the enrolment; a wrong method is told here, before any work.

    Raises:
        AsradaptError: If there is no such method, or one that needs new characters has none.
    """
    from asradapt.adaptation import create
    from asradapt.enrolment import EnrolmentOptions

    sizes = {"lowrank": {"rank": rank}} if rank else {}
    if method != "auto":
        create(method, sizes)
        if "tokens" in method.split("+") and not add_tokens:
            raise UsageError("the method tokens needs the new characters: --add-tokens")
    return EnrolmentOptions(method=method, method_options=sizes, add_tokens=add_tokens, **chosen)


def _require_lowrank(method: str, rank: int | None, untranscribed: bool) -> None:
    """Refuse a rank for a method that has none.

    Raises:
        AsradaptError: If there is one, or no such method.
    """
    from asradapt.adaptation import create

    if rank and method != "auto":
        create(method)  # a wrong name is told before what does not go with it
    if rank and "lowrank" not in method.split("+") and (untranscribed or method != "auto"):
        wanted = "with --untranscribed it takes --method lowrank" if untranscribed else f"{method} has none"
        raise UsageError(f"--rank is that of lowrank; {wanted}")


def _require_fitting(untranscribed: bool, partly: bool, lm: str | None, with_texts: Sequence[str]) -> None:
    """Refuse options of an enrolment with texts in one without all or some of them, and the other way round.

    Raises:
        UsageError: If there is any.
    """
    if untranscribed and partly:
        raise UsageError("give --untranscribed, which looks at no texts, or --partly-transcribed, not both")
    if lm and not (untranscribed or partly):
        raise UsageError("--lm hears recordings without texts: with --untranscribed or --partly-transcribed")
    if partly and (own := [name for name in with_texts if name in ("--strict", "--budget")]):
        raise UsageError(f"{', '.join(own)}: for recordings that all have texts, not with --partly-transcribed")
    if untranscribed and with_texts:
        raise UsageError(f"{', '.join(with_texts)}: for recordings with texts only, not with --untranscribed")
