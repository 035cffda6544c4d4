"""What `asradapt evaluate --by` and `--dictionary` print: groups, people, confusions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asradapt.cli.common import aligned, say
from asradapt.cli.evaluate_output import ends, p_value
from asradapt.wording import counted

if TYPE_CHECKING:
    from asradapt.comparison import Fairness, Group, SpeakerChange
    from asradapt.scoring import Change, Changes, ErrorCounts, Interval

WORSE_SHOWN = 10  # people who got worse that are listed
CONFUSIONS_SHOWN = 5  # of each direction


def fairness_table(found: Fairness) -> None:
    """The groups of one column, and their gap."""
    several = len(found.systems) > 1
    rates = [f"WER {name} (95%)" for name in found.systems]
    head = [found.key, "speakers", "words", *rates, *(["difference", "95% interval"] if several else [])]
    say("")
    for line in aligned([head, *(_group(group, several) for group in found.groups)]):
        say(line)
    if found.gap_before is not None and found.gap_after is not None:
        say(_gap(found, found.gap_before, found.gap_after))


def _group(group: Group, several: bool) -> list[str]:
    cells = [group.name, str(group.speakers), str(group.counts[0].words), _rate(group.counts[0], group.before)]
    if several:
        after, change = _rate(group.counts[1], group.after), group.difference
        cells += [after, f"{change.difference:+.1%}", ends(change)]
    return cells


def _rate(counts: ErrorCounts, found: Interval) -> str:
    """A rate with its interval over speakers, short: three of them stand in a line."""
    inside = "-" if found.low is None or found.high is None else f"{100 * found.low:.1f} to {found.high:.1%}"
    return f"{counts.wer:.1%} ({inside})"


def _gap(found: Fairness, before: float, after: float) -> str:
    by_chance = "whether that is more than chance cannot be said: too few people, or people in several groups"
    gaps, chances = [before, after], [found.chance_before, found.chance_after]
    count = len(found.systems)
    if found.chance_before is not None:
        probability = " and ".join(map(p_value, chances[:count]))
        by_chance = f"chance alone makes as great a gap with probability {probability}"
    if count == 1:
        return f"gap of best and worst group: {before:.1%} ({by_chance})"
    each = ", ".join(f"{gap:.1%} {name}" for gap, name in zip(gaps, found.systems, strict=True))
    return f"gap of best and worst group: {each} ({by_chance})"


def people_summary(
    spread: dict[str, dict[str, float]], changed: list[SpeakerChange], systems: tuple[str, ...]
) -> None:
    """Quantiles over people, and who got worse from the first of the systems to the last."""
    say("")
    for line in aligned(
        [
            ["WER of speakers", *next(iter(spread.values()))],
            *([name, *(f"{value:.1%}" for value in values.values())] for name, values in spread.items()),
        ]
    ):
        say(line)
    worse = [one for one in changed if one.after.errors > one.before.errors]
    for one in worse[:WORSE_SHOWN]:
        say(
            f"worse with {systems[-1]} than with {systems[0]}: {one.speaker} {one.before.wer:.1%} -> "
            f"{one.after.wer:.1%}, chance alone in {p_value(one.worse)}"
            + (f" (after Holm for {len(changed)} people)" if len(changed) > 1 else "")
        )
    if len(worse) > WORSE_SHOWN:
        say(f"worse with {systems[-1]}: and {len(worse) - WORSE_SHOWN} more")


def confusions_summary(kind: str, found: Changes, systems: tuple[str, ...]) -> None:
    """The words or sounds whose confusion changed most from the first of the systems to the last."""
    say("")
    shown = found.telling(CONFUSIONS_SHOWN)
    for direction, side in (("less", shown.lost), ("more", shown.gained)):
        listed = ", ".join(map(_confusion, side)) or "none"
        say(f"{kind} confused {direction} often with {systems[-1]} than with {systems[0]}: {listed}")
    if shown.more:
        say(f"{shown.more} more confusions of {kind} changed by one, or by no more than those shown")


def _confusion(change: Change) -> str:
    counts = f"{change.before} -> {change.after}"
    if not change.heard:
        return f"{change.said} not heard {counts}"
    return f"{change.heard} put in {counts}" if not change.said else f"{change.said} as {change.heard} {counts}"


def unknown_words(number: int) -> None:
    """How many misheard words say nothing about sounds."""
    if number:
        say(
            f"{counted(number, 'misheard word')} left out of the sounds: the dictionary lacks one of the two words"
        )
