"""The work of `asradapt evaluate`: before and after, or any number of systems, and what else is asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from asradapt.cli import evaluate_groups, evaluate_output
from asradapt.cli.common import command_line, note, open_store, progress
from asradapt.cli.decoding_options import language_of, open_decoder
from asradapt.cli.enrolled_on import model_for
from asradapt.cli.model_options import MODEL_OPTIONS, open_model
from asradapt.types import Failure, Utterance

if TYPE_CHECKING:
    from asradapt.comparison import Comparison
    from asradapt.decoding import Decoder
    from asradapt.evaluation import Evaluation
    from asradapt.models.base import SourceModel
    from asradapt.transcript import TranscriberOptions


@dataclass(frozen=True)
class Wanted:
    """What the options ask for.

    Attributes:
        speaker: Use this speaker's adaptation for all rows.
        systems: The systems to compare; None for before and after.
        common: Only utterances that every file has.
        by: Columns of groups.
        report: Where to write the report.
        audio: Whether the report holds recordings.
        dictionary: Pronunciations.
        export: Where to write trn and ctm.
        store: The store's folder.
        model: The source model.
        device: Where to compute.
        seed: Of everything random.
        show: Whether tables are printed.
        detect_voice: Whether silences of longer recordings are left out.
        decoding: The options of the decoder; empty for greedy decoding.
    """

    speaker: str | None
    systems: str | None
    common: bool
    by: tuple[str, ...]
    report: Path | None
    audio: bool
    dictionary: Path | None
    export: Path | None
    store: Path | None
    model: str
    device: str
    seed: int
    show: bool
    detect_voice: bool
    decoding: dict[str, Any]

    @property
    def decoded(self) -> str:
        """How our systems decode, in words."""
        said = click.get_current_context().meta.get(MODEL_OPTIONS, {}).get("precision", "fp32")
        precision = "" if said == "fp32" else f", in {said}"
        return (self.options if self.decoding else f"greedy {self.options}".rstrip()) + precision

    @property
    def options(self) -> str:
        """The options that say how our systems decode, as they are given."""
        names = {"vocab_file": "vocab"}
        given = [f"--{names.get(name, name.replace('_', '-'))} {value}" for name, value in self.decoding.items()]
        return " ".join(given + ["--no-vad"] * (not self.detect_voice)).replace(" True", "")

    @property
    def transcribing(self) -> TranscriberOptions:
        """What our systems do with the recordings."""
        from asradapt.transcript import TranscriberOptions

        return TranscriberOptions(detect_voice=self.detect_voice)

    def ours(self) -> list[str]:
        """The names of the systems that asradapt decodes; `decoded` says nothing about other recognisers."""
        from asradapt.comparison import parse_systems

        if self.systems is None:
            return ["source", "adapted"]
        return [system.name for system in parse_systems(self.systems) if system.kind != "file"]

    def decoder(self, source: SourceModel, warn: Callable[[str], None]) -> Decoder | None:
        """The decoder that is asked for; None for greedy decoding. `warn` takes what is to be said of it.

        A language model that comes with the model, unnamed, is named from then on (`decoded`).
        """
        if not self.decoding:
            return None
        unset = {
            "lm": None,
            "no_lm": False,
            "beam": None,
            "lm_weight": None,
            "word_score": None,
            "vocab_file": None,
        }
        given = {**unset, **self.decoding}
        decoder = open_decoder(source, warn=warn, **given)
        if decoder.with_language:
            self.decoding.setdefault("lm", language_of(source, given["lm"], given["no_lm"]))
        return decoder


@dataclass(frozen=True)
class Outcome:
    """What came out.

    Attributes:
        content: For `--json`.
        failed: What could not be used.
        warnings: What somebody should look at.
        empty: Whether nothing was evaluated.
    """

    content: dict[str, Any]
    failed: tuple[Failure, ...]
    warnings: tuple[str, ...]
    empty: bool


def before_after(rows: Sequence[Utterance], wanted: Wanted) -> Outcome:
    """Source and adapted model."""
    from asradapt.comparison import from_evaluation
    from asradapt.scoring import NORMALIZER

    told: list[str] = []
    result = _evaluation(rows, wanted, told.append)
    comparison = from_evaluation(result)
    over = comparison.difference(0, 1, over_speakers=True, seed=wanted.seed)
    content = result.as_dict() | {"difference_over_speakers": over.as_dict(), "decoding": wanted.decoded}
    warnings = [*told, *result.warnings]
    if result.speakers:
        if wanted.show:
            evaluate_output.evaluation_table(result)
            evaluate_output.evaluation_summary(result, over, f"{NORMALIZER}, decoding {wanted.decoded}")
        warnings += _more(comparison, wanted, content)
    return Outcome(content, result.failed, tuple(dict.fromkeys(warnings)), not result.speakers)


def systems(rows: Sequence[Utterance], wanted: Wanted) -> Outcome:
    """Any number of systems."""
    from asradapt.comparison import compare_pairs
    from asradapt.scoring import NORMALIZER

    told: list[str] = []
    comparison = _comparison(rows, wanted, told.append)
    ours = wanted.ours()
    content = comparison.as_dict() | {"decoding": wanted.decoded if ours else None}
    warnings = [*told, *comparison.warnings]
    if comparison.utterances:
        tests = compare_pairs(comparison, seed=wanted.seed)
        content["pairs"] = [test.as_dict() for test in tests]
        if wanted.show:
            decoded = f", decoding of {', '.join(ours)}: {wanted.decoded}" if ours else ""
            evaluate_output.systems_table(comparison, NORMALIZER + decoded)
            evaluate_output.pairs_table(tests)
        warnings += _more(comparison, wanted, content)
    return Outcome(content, comparison.failed, tuple(dict.fromkeys(warnings)), not comparison.utterances)


def _evaluation(rows: Sequence[Utterance], wanted: Wanted, warn: Callable[[str], None]) -> Evaluation:
    from asradapt.evaluation import evaluate
    from asradapt.transcriber import Transcriber

    store = open_store(wanted.store)
    source = open_model(model_for(wanted.speaker, store, wanted.model), wanted.device)
    transcriber = Transcriber(source, store, wanted.transcribing, wanted.decoder(source, warn))
    with progress() as bar:

        def advance(done: float) -> None:
            bar("evaluating", done / len(rows))

        return evaluate(transcriber, rows, speaker=wanted.speaker, seed=wanted.seed, progress=advance)


def _comparison(rows: Sequence[Utterance], wanted: Wanted, warn: Callable[[str], None]) -> Comparison:
    from asradapt.comparison import compare_systems, parse_systems
    from asradapt.comparison.systems import needs_model

    named = parse_systems(wanted.systems or "")
    store = open_store(wanted.store)
    model = model_for(wanted.speaker, store, wanted.model)
    source = open_model(model, wanted.device) if needs_model(named) else None
    with progress() as bar:
        return compare_systems(
            named,
            rows,
            model=source,
            store=store,
            options=wanted.transcribing,
            common=wanted.common,
            decoder=wanted.decoder(source, warn) if source else None,
            progress=lambda share: bar("evaluating", share),
        )


def _more(comparison: Comparison, wanted: Wanted, content: dict[str, Any]) -> list[str]:
    """Adds confusions and groups, writes the files that are asked for, and returns further warnings."""
    content |= _confusions(comparison, wanted)
    warnings = _groups(comparison, wanted, content)
    if wanted.export:
        evaluate_output.export(comparison, wanted.export)
    if wanted.report:
        _report(comparison, wanted.report, wanted)
    return warnings


def _confusions(comparison: Comparison, wanted: Wanted) -> dict[str, Any]:
    """For `--json`; printed where a dictionary asks for them."""
    from asradapt.comparison import sounds_changed, words_changed

    if len(comparison.systems) < 2:
        return {}
    found, unknown = {"words": words_changed(comparison)}, 0
    if wanted.dictionary:
        found["sounds"], unknown = sounds_changed(comparison, wanted.dictionary)
    if wanted.dictionary and wanted.show:
        for kind, changes in found.items():
            evaluate_groups.confusions_summary(kind, changes, comparison.systems)
        evaluate_groups.unknown_words(unknown)
    return {"confusions": {kind: changes.as_dict() for kind, changes in found.items()}}


def _groups(comparison: Comparison, wanted: Wanted, content: dict[str, Any]) -> list[str]:
    """Adds groups and people, prints them, and returns warnings about them."""
    from asradapt.comparison import fairness, spread, who_changed

    if not wanted.by:
        return []
    groups = [fairness(comparison, key, seed=wanted.seed) for key in wanted.by]
    quantiles = spread(comparison)
    changed = who_changed(comparison, seed=wanted.seed) if len(comparison.systems) > 1 else []
    if wanted.show:
        for group in groups:
            evaluate_groups.fairness_table(group)
        if len({one.speaker for one in comparison.utterances}) > 1:
            evaluate_groups.people_summary(quantiles, changed, comparison.systems)
    content["groups"] = [group.as_dict() for group in groups]
    content["spread"], content["changes"] = quantiles, [one.as_dict() for one in changed]
    return [warning for group in groups for warning in group.warnings]


def _report(comparison: Comparison, path: Path, wanted: Wanted) -> None:
    from asradapt.report import ReportOptions, write_report

    options = ReportOptions(
        by=wanted.by,
        audio=wanted.audio,
        dictionary=wanted.dictionary,
        seed=wanted.seed,
        command=command_line(),
        settings={"Decoding": f"{', '.join(ours)}: {wanted.decoded}"} if (ours := wanted.ours()) else {},
    )
    write_report(comparison, path, options)
    note(f"wrote {path}")
