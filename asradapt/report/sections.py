"""What the page shows, as plain values for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asradapt.comparison import (
    Comparison,
    Fairness,
    PairTest,
    Scored,
    SpeakerChange,
    compare_pairs,
    fairness,
    sounds_changed,
    spread,
    who_changed,
    words_changed,
)
from asradapt.report.clips import Clip, Clips
from asradapt.report.options import ReportOptions
from asradapt.report.plots import Picture, groups_picture, speakers_picture
from asradapt.scoring import Changes, Step


@dataclass(frozen=True)
class Aligned:
    """One system's alignment with what was said."""

    system: str
    steps: tuple[Step, ...]
    errors: int
    words: int


@dataclass(frozen=True)
class Worst:
    """One of the worst utterances: what was said, what each system heard, the recording."""

    name: str
    speaker: str
    said: str
    lines: tuple[Aligned, ...]
    clip: Clip


@dataclass(frozen=True)
class GroupSection:
    """The groups of one column with their picture."""

    fairness: Fairness
    picture: Picture


@dataclass(frozen=True)
class Sections:
    """Everything about a comparison."""

    comparison: Comparison
    verdict: tuple[str, ...]
    tests: tuple[PairTest, ...]
    speakers: Picture | None
    spread: dict[str, dict[str, float]]
    changed: tuple[SpeakerChange, ...]
    groups: tuple[GroupSection, ...]
    words: Changes | None
    sounds: Changes | None
    unknown_words: int
    worst: tuple[Worst, ...]


def build_sections(comparison: Comparison, options: ReportOptions) -> Sections:
    """Computes all that a page says about a comparison."""
    tests = tuple(compare_pairs(comparison, seed=options.seed))
    several = len(comparison.systems) > 1
    changed = tuple(who_changed(comparison, seed=options.seed)) if several else ()
    sounds, unknown = None, 0
    if several and options.dictionary:
        found, unknown = sounds_changed(comparison, options.dictionary)
        sounds = found.telling()
    labels = (comparison.systems[0], comparison.systems[-1])
    return Sections(
        comparison,
        _verdict(comparison, tests),
        tests,
        _speakers(changed, labels) if len(changed) > 1 else None,
        spread(comparison),
        changed,
        tuple(_group(fairness(comparison, key, seed=options.seed)) for key in options.by),
        words_changed(comparison).telling() if several else None,
        sounds,
        unknown,
        _worst(comparison, options),
    )


def _verdict(comparison: Comparison, tests: Sequence[PairTest]) -> tuple[str, ...]:
    """What the numbers mean, one plain sentence for every system after the first."""
    found = []
    for test in (test for test in tests if test.first == comparison.systems[0]):
        first, second = (
            comparison.total(comparison.systems.index(name)).wer for name in (test.first, test.second)
        )
        found.append(
            f"{test.second} mishears {second:.1%} of the words, {test.first} {first:.1%}. "
            + " ".join(_how_sure(test, second < first))
        )
    if not found:
        found = [f"{comparison.systems[0]} mishears {comparison.total(0).wer:.1%} of the words."]
    return tuple(found)


def _how_sure(test: PairTest, better: bool) -> list[str]:
    word = "fewer" if better else "more"
    sentences = []
    for interval, whom in (
        (test.over_utterances, "other recordings of these people"),
        (test.over_speakers, "other people"),
    ):
        if interval.low is None or interval.high is None:
            sentences.append(
                f"For {whom}, the {interval.over} are too few, or too few changed, to say how sure that is."
            )
        elif interval.low <= 0 <= interval.high:
            sentences.append(f"For {whom} this may be chance ({interval.low:+.1%} to {interval.high:+.1%}).")
        else:
            sentences.append(
                f"For {whom}, {word} errors are to be expected too ({interval.low:+.1%} to {interval.high:+.1%})."
            )
    return sentences


def _speakers(changed: Sequence[SpeakerChange], labels: tuple[str, str]) -> Picture:
    ordered = sorted(changed, key=lambda one: (one.before.wer, one.speaker))
    names = [_short(one.speaker) for one in ordered]
    before, after = [one.before.wer for one in ordered], [one.after.wer for one in ordered]
    return speakers_picture(names, before, after, labels)


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:21] + "..."


def _group(found: Fairness) -> GroupSection:
    names = [_short(group.name) for group in found.groups]
    rates = [[g.before for g in found.groups], [g.after for g in found.groups]]
    return GroupSection(found, groups_picture(found.key, names, dict(zip(found.systems, rates, strict=False))))


def _worst(comparison: Comparison, options: ReportOptions) -> tuple[Worst, ...]:
    """The utterances with most errors of the last system, those first that it made worse."""

    def badness(one: Scored) -> tuple[int, int, str]:
        return one.counts[0].errors - one.counts[-1].errors, -one.counts[-1].errors, str(one.utterance.audio)

    chosen = [one for one in sorted(comparison.utterances, key=badness) if one.counts[-1].errors][: options.worst]
    clips = Clips(wanted=options.audio, seconds=options.clip_seconds, size=options.audio_bytes)
    return tuple(
        Worst(
            one.utterance.audio.name,
            one.speaker,
            one.utterance.text or "",
            tuple(
                Aligned(name, one.alignment(index), one.counts[index].errors, one.counts[index].words)
                for index, name in enumerate(comparison.systems)
            ),
            clips.encode(one.utterance.audio),
        )
        for one in chosen
    )
