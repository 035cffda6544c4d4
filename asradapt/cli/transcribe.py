"""`asradapt transcribe`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import json_option, open_store, progress, store_option, vad_option
from asradapt.cli.decoding_options import decoding_options, open_decoder
from asradapt.cli.enrolled_on import model_for
from asradapt.cli.inputs import recordings_options
from asradapt.cli.model_options import model_options, open_model
from asradapt.cli.transcribe_inputs import Inputs, Problems, gathered
from asradapt.cli.transcribe_output import Output, stdin_as_file
from asradapt.cli.transcribe_targets import Targets
from asradapt.errors import UsageError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.transcriber import Transcriber

STYLES = ("txt", "json", "jsonl", "srt", "vtt", "tsv", "ctm")


@click.command()
@recordings_options
@click.option(
    "--speaker",
    help="Whose adaptation to use; of a manifest only this speaker's rows, or those that name nobody. Without "
    "it each row of a manifest has its own speaker's.",
)
@click.option("--source-only", is_flag=True, help="Ignore all adaptations and vocabularies.")
@click.option(
    "--format",
    "style",
    type=click.Choice(STYLES),
    default="txt",
    show_default=True,
    help="Text, JSON (as with --json), JSON lines, subtitles (srt, vtt, tsv), or words with times (ctm).",
)
@click.option(
    "--output-dir",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write one file a recording into this folder and print their names.",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace files of --output-dir that exist, but not the text beside a recording, for what was said.",
)
@decoding_options
@click.option(
    "--adapt-each",
    is_flag=True,
    help="Let every segment adapt the model to itself first, without any text; takes three to six times as long. "
    "Helps most with --beam 0 and where the model is far off.",
)
@vad_option
@click.option("--batch-size", default=0, help="Most segments in a batch; 0 lets the audio's length decide.")
@store_option
@model_options
@json_option
def transcribe(
    audio: tuple[str, ...],
    manifest: Path | None,
    where: tuple[str, ...],
    speaker: str | None,
    source_only: bool,
    style: str,
    output_dir: Path | None,
    force: bool,
    adapt_each: bool,
    no_vad: bool,
    batch_size: int,
    store_path: Path | None,
    model: str,
    device: str,
    as_json: bool,
    **decoding: Any,
) -> int:
    """Transcribe recordings of any number of speakers.

    AUDIO is files and folders, or - for stdin; or give a manifest, which names the speaker of each row. Everybody
    who is enrolled is heard with their own adaptation and vocabulary.

    One file prints its text; several print the file, a tab and the text, in the order of the inputs.
    """
    if batch_size < 0:
        raise UsageError(f"--batch-size must be 0 or more, got {batch_size}")
    if as_json and style not in ("txt", "json") and output_dir is None:
        raise UsageError(
            f"--json and --format {style} both say what is printed: give one, or --output-dir for files"
        )
    as_json = as_json or (style == "json" and output_dir is None)
    problems = Problems(keep_all=as_json)
    with (
        stdin_as_file(audio) as (names, stdin),
        gathered(names, manifest, where, speaker, problems) as inputs,
    ):
        alone = inputs.count + problems.failures == 1
        files = Targets(output_dir, style, stdin=stdin, force=force) if output_dir else None
        output = Output(style, alone=alone, files=files, as_json=as_json)
        from asradapt.test_time import EachOptions
        from asradapt.transcriber import Transcriber
        from asradapt.transcript import TranscriberOptions

        store = open_store(store_path)
        source = open_model(model_for(speaker, store, model), device)
        options = TranscriberOptions(
            batch_size=batch_size, detect_voice=not no_vad, adapt_each=EachOptions() if adapt_each else None
        )
        decoder = open_decoder(source, **decoding, warn=problems.warn)
        transcriber = Transcriber(source, store, options, decoder)
        if speaker and not source_only:
            transcriber.member(speaker)  # a named speaker who is not enrolled is an error, not the source
        recordings = files.fresh(inputs, problems.warn) if files else inputs.utterances
        work = _Work(transcriber, inputs, source_only, stdin, problems)
        work.run(recordings, output, show=as_json or files is not None or not sys.stdout.isatty())
    output.finish(problems)
    problems.report()
    return 1 if problems.failures else 0


class _Work:
    """The transcription of some recordings, with progress.

    Args:
        transcriber: What transcribes.
        inputs: Tells how many recordings there are.
        source_only: Whether adaptations are ignored.
        stdin: The file that stands for stdin.
        problems: Takes failures and warnings.
    """

    def __init__(
        self, transcriber: Transcriber, inputs: Inputs, source_only: bool, stdin: Path | None, problems: Problems
    ) -> None:
        self._transcriber, self._inputs, self._problems = transcriber, inputs, problems
        self._source_only, self._stdin = source_only, stdin

    def run(self, recordings: Iterable[Utterance], output: Output, *, show: bool) -> None:
        """Transcribe all into `output` as they come; `show` a bar (on a terminal the texts are the progress)."""
        from asradapt.transcript import Window

        done = inside = 0  # of all inputs, and of the window that is being computed
        with progress() as bar:

            def advance(share: float) -> None:
                if show:
                    bar("transcribing", min(1.0, (done + share * inside) / max(1, self._inputs.count)))

            found = self._transcriber.transcribe(recordings, source_only=self._source_only, progress=advance)
            for item in found:
                if isinstance(item, Window):
                    inside = len(item.loaded)
                    for failure in item.failed:
                        self._problems.fail(self._named(failure))
                    for warning in item.warnings:
                        self._problems.warn(warning.replace(str(self._stdin), "stdin"))
                    done += len(item.failed)
                    continue
                done += 1
                if item.utterance.audio == self._stdin:
                    item = replace(item, utterance=replace(item.utterance, audio=Path("-")))
                output.add(item)
                inside = 0

    def _named(self, failure: Failure) -> Failure:
        """A failure of stdin under the name that was given."""
        stdin = str(self._stdin)
        if failure.item != stdin:
            return failure
        return Failure("-", failure.reason.replace(stdin, "stdin"))
