"""`asradapt demo`: the main job on the recordings that ship."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli.common import (
    Folder,
    json_option,
    note,
    open_store,
    print_json,
    progress,
    report_problems,
    say,
    seed_option,
)
from asradapt.cli.decoding_options import default_decoder
from asradapt.cli.model_options import model_options, open_model
from asradapt.errors import InputError
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.decoding import Decoder
    from asradapt.evaluation import Evaluation
    from asradapt.models.base import SourceModel
    from asradapt.store import SpeakerStore
    from asradapt.transcriber import Transcriber

SPEAKER = "robin"


def demo_folder() -> Path:
    """The folder of the demo recordings: inside the installed package, or `data/demo` of a checkout.

    Raises:
        InputError: If neither is there.
    """
    package = Path(str(files("asradapt")))
    for folder in (package / "_demo", package.parent / "data" / "demo"):
        if (folder / "manifest.jsonl").is_file():
            return folder
    raise InputError("the demo recordings are not installed; run the demo from a clone of the project")


def _part(name: str) -> list[Utterance]:
    from asradapt.manifests import read_manifest

    return list(read_manifest(demo_folder() / "manifest.jsonl", where=[("part", name)]).utterances)


def _enroll(model: SourceModel, store: SpeakerStore, seed: int, failed: list[Failure]) -> dict[str, object]:
    from asradapt.enrolment import EnrolmentOptions, enroll

    recordings = _part("enroll")
    note(f"{SPEAKER} whispers: a synthetic voice that the source model finds hard.")
    note(f"Enrolling {SPEAKER} from {len(recordings)} recordings ...")
    with progress() as bar:
        result = enroll(
            model, {SPEAKER: recordings}, options=EnrolmentOptions(seed=seed), store=store, progress=bar
        )
    failed += result.failed
    if not result.speakers:
        raise InputError(f"the demo recordings cannot be used: {failed[0].item}: {failed[0].reason}")
    note(f"  {result.speakers[0].explanation}")
    return result.speakers[0].as_dict()


def _examples(result: Evaluation, count: int) -> None:
    for pair in result.speakers[0].pairs[:count]:
        say(f"  said    {pair.utterance.text}")
        say(f"  before  {pair.source_text}")
        say(f"  after   {pair.adapted_text}\n")


def _letter(transcriber: Transcriber) -> dict[str, Any]:
    from asradapt.transcript import Transcript

    found = transcriber.transcribe(_part("letter"))
    return next(item for item in found if isinstance(item, Transcript)).as_dict()


@click.command()
@click.option(
    "--store",
    "store_path",
    metavar="DIR",
    type=Folder(path_type=Path),
    help="Where to keep the demo speaker  [default: a temporary folder]",
)
@model_options
@seed_option
@json_option
def demo(store_path: Path | None, model: str, device: str, seed: int, as_json: bool) -> int:
    """Enrol the demo speaker and show what it changes.

    Enrols from recordings that ship with the project (synthetic speech), shows the error before and after on
    other sentences, and transcribes a longer recording. The store is a temporary one unless --store is given.
    """
    from asradapt.evaluation import evaluate
    from asradapt.transcriber import Transcriber

    began = time.monotonic()
    with ExitStack() as stack:
        if store_path is None:
            store_path = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="asradapt-demo-")))
        source, store = open_model(model, device), open_store(store_path)
        failed: list[Failure] = []
        enrolled = _enroll(source, store, seed, failed)
        test = _part("test")
        note(f"Measuring on {len(test)} other sentences ...")
        result = evaluate(Transcriber(source, store), test, seed=seed)
        decoder = default_decoder(source)
        transcriber = Transcriber(source, store, decoder=decoder)
        searched = evaluate(transcriber, test, seed=seed) if _searches(decoder) else None
        letter = _letter(transcriber)
    failed += result.failed
    seconds = time.monotonic() - began
    if as_json:
        measured = {"enroll": enrolled, "evaluate": result.as_dict(), "transcribe": letter, "seconds": seconds}
        if searched:
            measured["evaluate_with_language"] = searched.as_dict()
        print_json(measured | {"failed": [failure.as_dict() for failure in failed]})
    else:
        _report(result, searched, letter, seconds)
    report_problems(result.warnings, failed)
    return 1 if failed else 0


def _searches(decoder: Decoder) -> bool:
    """Whether a language model takes part, so that its result is another one."""
    return decoder.options.beams > 0


def _report(result: Evaluation, searched: Evaluation | None, letter: dict[str, Any], seconds: float) -> None:
    before, after, difference = result.before, result.after, result.difference
    say("")
    _examples(searched or result, 3)
    say(f"word error rate                     before {before.wer:6.1%}   after {after.wer:6.1%}")
    if searched:
        rates = searched.before.wer, searched.after.wer
        say("  the same with the language model  before {:6.1%}   after {:6.1%}".format(*rates))
    say(f"character error rate                before {before.cer:6.1%}   after {after.cer:6.1%}")
    if difference.low is not None and difference.high is not None:
        say(
            f"difference in WER {difference.difference:+.1%}, "
            f"95% interval {difference.low:+.1%} to {difference.high:+.1%}"
        )
    say(f"\n{Path(letter['audio']).name} ({letter['seconds']:.0f} s), after:\n  {letter['text']}")
    say(f"said:\n  {_part('letter')[0].text}\n")
    say(f"done in {seconds:.0f} s")
