"""`asradapt correct`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from asradapt.cli.common import (
    budget_option,
    json_option,
    note,
    open_store,
    print_json,
    progress,
    report_problems,
    require_writable,
    say,
    seed_option,
    store_option,
)
from asradapt.cli.enroll import keep_audio_option
from asradapt.cli.enroll_output import tell_one
from asradapt.cli.enroll_work import teacher_of
from asradapt.cli.enrolled_on import model_for
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import TextError, UnwritableText, UsageError
from asradapt.types import Failure
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.correcting import Found
    from asradapt.enrolment import Enrolled
    from asradapt.store import SpeakerStore
    from asradapt.transcript_files import Written


def _nothing(found: Found, confirmed: bool, partly: bool) -> str:
    """Why there is nothing to learn from, in one plain sentence."""
    count = counted(found.transcripts, "transcript")
    more = "" if confirmed else "; if all of it is right, --confirmed learns from that"
    more = "; --partly-transcribed needs changed segments to judge by" if partly else more
    return f"nothing was changed in {count}, so nothing is learned{more}"


def _without_add_tokens(failure: Failure, speaker: str) -> Failure:
    """A failure without the advice of an option that only `enroll` has."""
    if not isinstance(failure.error, UnwritableText) or not failure.error.addable:
        return failure
    plain = UnwritableText(failure.error.characters, addable=False)
    letters = any(one.isalpha() for one in plain.characters)
    more = f"; `asradapt enroll {shlex.quote(speaker)} --add-tokens` teaches letters" if letters else ""
    return Failure(failure.item, f"{plain}{more}")


def _advised(one: Enrolled, more: bool) -> Enrolled:
    """The outcome with what to do about too few segments, instead of recordings."""
    from asradapt.enrolment import EnrolmentOptions
    from asradapt.enrolment.judging import record_more

    options = EnrolmentOptions()
    right = "; if all of the text is right, --confirmed learns from the unchanged segments too" if more else ""
    advice = f"correct at least {options.least_utterances} segments of different text, better 10{right}"
    return replace(one, explanation=one.explanation.replace(record_more(options), advice))


@click.command()
@click.argument("speaker")
@click.argument("transcripts", metavar="TRANSCRIPT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--audio-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the audio lies now  [default: where the transcript says]",
)
@click.option(
    "--confirmed", is_flag=True, help="Text that was not changed was read and is right: learn from it too."
)
@click.option(
    "--partly-transcribed",
    "partly",
    is_flag=True,
    help="Learn from segments that were not changed, too, by what is heard in them after the changed ones were "
    "learned from. Not with --confirmed or --budget.",
)
@click.option(
    "--lm",
    metavar="NAME|FILE",
    help="Language model for --partly-transcribed, as in transcribe  [default: lm_en with the model source_en]",
)
@keep_audio_option
@budget_option
@store_option
@model_options
@seed_option
@json_option
def correct(
    speaker: str,
    transcripts: tuple[Path, ...],
    audio_dir: Path | None,
    confirmed: bool,
    partly: bool,
    lm: str | None,
    keep_audio: bool,
    budget: float | None,
    store_path: Path | None,
    model: str,
    device: str,
    seed: int,
    as_json: bool,
) -> int:
    """Learn from a transcript that a person has corrected.

    TRANSCRIPT is a file that `transcribe --format json` or `jsonl` wrote, with changes in its `text`: that of
    the whole, or of segments. Several files are learned from together. The changed segments are cut out of the
    audio, and SPEAKER is enrolled further from them; the version in use is replaced only by one that is not
    worse.
    """
    from asradapt.store import validate_speaker

    _require_fitting(partly, lm, {"--confirmed": confirmed, "--budget": budget})
    speaker = validate_speaker(speaker)
    store = open_store(store_path)
    store.versions(speaker)  # a speaker who is not enrolled is told before any work
    written, unread = _read(transcripts)
    from asradapt.correcting import cut, find_corrections

    found = find_corrections(written, speaker, confirmed=confirmed, hears=partly)
    failed, one = [*unread, *found.failed], None
    warnings: list[str] = []
    if found.work:
        from asradapt.enrolment import EnrolmentOptions, enroll

        source = open_model(model_for(speaker, store, model), device)
        teacher = teacher_of(source, lm) if partly else None
        require_writable(store)
        pieces, missing, warnings = cut(found, speaker, source.sample_rate, audio_dir=audio_dir)
        failed += missing
        if pieces:
            with progress() as bar:
                result = enroll(
                    source,
                    {speaker: pieces},
                    options=EnrolmentOptions(seed=seed, budget=budget),
                    store=store,
                    progress=bar,
                    keep_audio=keep_audio,
                    teacher=teacher,
                )
            failed += [_without_add_tokens(failure, speaker) for failure in result.failed]
            warnings += result.warnings
            one = next((_advised(one, not (confirmed or partly)) for one in result.speakers), None)
    nothing = "" if found.work or failed else _nothing(found, confirmed, partly)
    _show(speaker, store, found, one, failed, warnings, nothing=nothing, as_json=as_json)
    report_problems(warnings, failed)
    if one and one.stays and not one.kept:
        note("nothing was stored; give these corrections again together with later ones, or --keep-audio")
    elif one:
        note(f"stored in {store.root}")
    return 1 if failed else 0


def _read(transcripts: Sequence[Path]) -> tuple[list[Written], list[Failure]]:
    """The transcripts of the files, each file once, and what cannot be used.

    Raises:
        TextError: If there is one file, and it cannot be read or holds no transcript.
    """
    from asradapt.transcript_files import read_transcripts

    written: list[Written] = []
    unread: list[Failure] = []
    for path in dict.fromkeys(transcripts):
        try:
            found, failed = read_transcripts(path)
        except TextError as error:
            if len(transcripts) == 1:
                raise
            found, failed = [], [Failure(str(path), str(error))]
        written += found
        unread += failed
    return written, unread


def _require_fitting(partly: bool, lm: str | None, others: Mapping[str, object]) -> None:
    """Refuse what does not go with segments that are heard, and a language model without them.

    Raises:
        UsageError: If there is any.
    """
    if partly and (own := [name for name, value in others.items() if value]):
        raise UsageError(f"{', '.join(own)}: not with --partly-transcribed")
    if lm and not partly:
        raise UsageError("--lm hears segments that were not changed: with --partly-transcribed")


def _show(
    speaker: str,
    store: SpeakerStore,
    found: Found,
    one: Enrolled | None,
    failed: list[Failure],
    warnings: list[str],
    *,
    nothing: str,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "speaker": speaker,
                "corrected": found.edited,
                "confirmed": found.confirmed,
                "to_hear": found.rest,
                "message": nothing,
                "enrolled": one.as_dict() if one else None,
                "failed": [failure.as_dict() for failure in failed],
                "warnings": warnings,
            }
        )
    elif one:
        said = f"{found.edited} corrected and " if found.confirmed else ""
        last = (
            counted(found.confirmed, "confirmed segment")
            if found.confirmed
            else counted(found.edited, "corrected segment")
        )
        rest = f", and {found.rest} unchanged to be heard" if found.rest else ""
        say(f"{said}{last} found in {counted(found.transcripts, 'transcript')}{rest}")
        tell_one(one, store)
    elif nothing:
        say(nothing)
