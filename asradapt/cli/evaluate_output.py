"""The tables of `asradapt evaluate`, and the files it writes beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from asradapt.cli.common import aligned, note, say
from asradapt.cli.transcribe_output import write_whole
from asradapt.errors import InputError
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.comparison import Comparison, PairTest, Scored
    from asradapt.evaluation import Evaluation
    from asradapt.scoring import ErrorCounts, Interval


def counts_cells(counts: ErrorCounts) -> str:
    """WER, CER and the three kinds of errors in columns."""
    shift = f"{counts.substitutions}/{counts.deletions}/{counts.insertions}"
    return f"{counts.wer:7.1%} {counts.cer:7.1%} {shift:>13}"


def evaluation_table(result: Evaluation) -> None:
    """Everybody before and after, and pooled."""
    width = max(8, *(len(s.speaker) for s in result.speakers)) if result.speakers else 8
    head = f"{'WER':>7} {'CER':>7} {'S/D/I':>13}"
    say(f"{'':{width}} {'':>6} | {'before (source)':^29} | {'after (adapted)':^29} |")
    say(f"{'speaker':{width}} {'words':>6} | {head} | {head} | decision")
    for s in result.speakers:
        what = s.method if s.decision == "adapted" else ("source kept" if s.enrolled else "not enrolled: source")
        before, after = counts_cells(s.before), counts_cells(s.after)
        say(f"{s.speaker:{width}} {s.before.words:6} | {before} | {after} | {what}")
    before, after = counts_cells(result.before), counts_cells(result.after)
    say(f"{'pooled':{width}} {result.before.words:6} | {before} | {after} |")


def interval(found: Interval) -> str:
    """The ends of an interval with what was drawn, or why there is none."""
    if found.low is None or found.high is None:
        return f"no interval: too few {found.over}, too few of them changed, or all changed alike"
    return f"{found.level:.0%} interval {found.low:+.1%} to {found.high:+.1%} (paired bootstrap over {found.over})"


def evaluation_summary(result: Evaluation, over_speakers: Interval, normalizer: str) -> None:
    """How certain the difference is, and how many people it touches."""
    d, changed = result.difference, result.changed()
    say(f"WER difference {d.difference:+.1%}, {interval(d)}")
    if len(result.speakers) > 1:
        say(f"for other people: {interval(over_speakers)}")
    say(f"speakers: {changed['better']} better, {changed['equal']} equal, {changed['worse']} worse")
    say(f"source model {result.model}, text normaliser {normalizer}")


def systems_table(comparison: Comparison, normalizer: str) -> None:
    """One line a system."""
    width = max(8, *map(len, comparison.systems))
    people, rows = len(set(comparison.speakers)), len(comparison.utterances)
    words = counted(comparison.total(0).words, "word")
    say(f"{counted(rows, 'utterance')} of {counted(people, 'speaker')}, {words}; normaliser {normalizer}")
    say(f"{'system':{width}} | {'WER':>7} {'CER':>7} {'S/D/I':>13}")
    for index, name in enumerate(comparison.systems):
        say(f"{name:{width}} | {counts_cells(comparison.total(index))}")


def p_value(value: float | None) -> str:
    """A p value in a cell; `-` where there is none."""
    return "-" if value is None else ("<0.001" if value < 0.001 else f"{value:.3f}")


def ends(found: Interval) -> str:
    """The ends of an interval in a cell; `-` where there are none."""
    return "-" if found.low is None or found.high is None else f"{found.low:+.1%} to {found.high:+.1%}"


def pairs_table(tests: list[PairTest]) -> None:
    """Every two systems, with intervals and p values."""
    if not tests:
        return
    name = "McNemar p" if all(test.words for test in tests) else "MAPSSWE p"
    rows = [["second - first", "WER", "other people", "other utterances", "segments", name, "after Holm"]]
    rows += [
        [
            f"{test.second} - {test.first}",
            f"{test.over_utterances.difference:+.1%}",
            ends(test.over_speakers),
            ends(test.over_utterances),
            "-" if test.words else str(test.segments.segments),
            p_value(test.p),
            p_value(test.corrected),
        ]
        for test in tests
    ]
    say("")
    for line in aligned(rows):
        say(line)


def export(comparison: Comparison, folder: Path) -> None:
    """Write reference and systems as sclite's trn and ctm into a folder, and every utterance as JSON lines.

    Raises:
        InputError: The folder cannot be written.
    """
    from asradapt.comparison.scored import names_of
    from asradapt.scoring import normalize
    from asradapt.scoring.hypotheses import ctm_lines, trn_lines

    rows, names = comparison.utterances, names_of(comparison.utterances)
    speakers = {name: one.speaker for name, one in zip(names, rows, strict=True)}
    seconds = {
        name: one.utterance.duration for name, one in zip(names, rows, strict=True) if one.utterance.duration
    }
    texts = {"reference": [one.utterance.text or "" for one in rows]}
    texts |= {name: [one.texts[index] for one in rows] for index, name in enumerate(comparison.systems)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for title, heard in texts.items():
            by_name = dict(zip(names, map(normalize, heard), strict=True))
            stem = title.replace("/", "_")
            _write(folder / f"{stem}.trn", trn_lines(by_name, speakers))
            if title != "reference":
                _write(folder / f"{stem}.ctm", ctm_lines(by_name, seconds))
        _write(folder / "utterances.jsonl", map(_utterance, names, rows, repeat(comparison.systems)))
    except OSError as error:
        raise InputError(f"{folder} cannot be written ({error.strerror}): choose another --export") from error
    note(f"wrote trn and ctm of {len(comparison.systems)} systems to {folder}")


def _utterance(name: str, one: Scored, systems: Sequence[str]) -> str:
    """One utterance as a line of JSON: texts, errors and alignments of all systems."""
    content = {"id": name, "audio_filepath": str(one.utterance.audio), "speaker": one.speaker}
    heard = {
        system: {
            "text": one.texts[place],
            "errors": one.counts[place].as_dict(),
            "alignment": [[step.kind, step.said, step.heard] for step in one.alignment(place)],
        }
        for place, system in enumerate(systems)
    }
    return json.dumps(content | {"reference": one.utterance.text, "systems": heard}, ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> None:
    write_whole(path, "".join(f"{line}\n" for line in lines))
