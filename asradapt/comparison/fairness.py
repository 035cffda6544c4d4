"""For whom it is better: groups, the gap between them, the spread over people, who got worse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asradapt.comparison.scored import Comparison, Scored
from asradapt.errors import UsageError
from asradapt.scoring import ErrorCounts, Interval, holm, paired_bootstrap, rate_interval, sign_flip, total
from asradapt.scoring.groups import UNKNOWN, gap, gap_by_chance, group_of
from asradapt.types import Utterance

QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SURE = 0.05


@dataclass(frozen=True)
class Group:
    """One group of people.

    Attributes:
        name: Value of the column, bands for ages.
        speakers: How many people.
        utterances: How many utterances.
        counts: Summed errors of the first and of the last system.
        before: Error rate of the first system, interval over speakers.
        after: Error rate of the last system, interval over speakers.
        difference: Last minus first, interval over speakers.
    """

    name: str
    speakers: int
    utterances: int
    counts: tuple[ErrorCounts, ErrorCounts]
    before: Interval
    after: Interval
    difference: Interval

    def as_dict(self) -> dict[str, object]:
        """The group for `--json` outputs."""
        return {
            "group": self.name,
            "speakers": self.speakers,
            "utterances": self.utterances,
            "before": self.before.as_dict(),
            "after": self.after.as_dict(),
            "difference": self.difference.as_dict(),
        }


@dataclass(frozen=True)
class Fairness:
    """The groups of one column.

    Attributes:
        key: The column, or several joined by `+`.
        groups: The groups, by name.
        gap_before: WER of the worst minus the best group, first system; people of unknown group left out. None
            where there are not two groups.
        gap_after: The same for the last system.
        chance_before: Probability that groups drawn by lot differ as much; None where that has no meaning.
        chance_after: The same for the last system.
        systems: The first and the last system, or the only one, which is `before` and `after` then.
        warnings: What somebody should look at.
    """

    key: str
    groups: tuple[Group, ...]
    gap_before: float | None
    gap_after: float | None
    chance_before: float | None
    chance_after: float | None
    systems: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The groups for `--json` outputs; nothing comes after where there is one system."""
        alone = len(self.systems) == 1
        nothing: dict[str, object] = {"after": None, "difference": None} if alone else {}
        return {
            "by": self.key,
            "systems": list(self.systems),
            "groups": [group.as_dict() | nothing for group in self.groups],
            "gap": {"before": self.gap_before, "after": None if alone else self.gap_after},
            "chance": {"before": self.chance_before, "after": None if alone else self.chance_after},
        }


@dataclass(frozen=True)
class SpeakerChange:
    """One person before and after.

    Attributes:
        speaker: Who it is.
        before: Summed errors of the first system.
        after: Summed errors of the last system.
        worse: Probability that chance alone makes it this much worse (sign-flip test over the utterances),
            after Holm's correction for the number of people.
    """

    speaker: str
    before: ErrorCounts
    after: ErrorCounts
    worse: float

    def as_dict(self) -> dict[str, object]:
        """The person for `--json` outputs."""
        return {
            "speaker": self.speaker,
            "before": self.before.wer,
            "after": self.after.wer,
            "errors": self.after.errors - self.before.errors,
            "chance": self.worse,
            "sure": self.worse <= SURE,
        }


def fairness(comparison: Comparison, key: str, *, seed: int = 0) -> Fairness:
    """Errors of the first and last system by group.

    Raises:
        UsageError: No row has the column; the message names the columns there are.
    """
    require_columns([one.utterance for one in comparison.utterances], [key])
    labels = [group_of(_fields(one), key) for one in comparison.utterances]
    groups = [
        _group(
            name, [one for one, label in zip(comparison.utterances, labels, strict=True) if label == name], seed
        )
        for name in sorted(set(labels), key=_order)
    ]
    known_rows = [place for place, label in enumerate(labels) if UNKNOWN not in label]
    known_labels = [labels[place] for place in known_rows]
    speakers = [comparison.speakers[place] for place in known_rows]
    counts = [[comparison.utterances[place].counts[which] for place in known_rows] for which in (0, -1)]
    gaps = [gap(one, known_labels) for one in counts]
    chances = [gap_by_chance(one, known_labels, speakers, seed=seed) for one in counts]
    systems = (comparison.systems[0], comparison.systems[-1])[: len(comparison.systems)]
    return Fairness(
        key, tuple(groups), gaps[0], gaps[1], chances[0], chances[1], systems, _odd_ages(comparison, key)
    )


def _odd_ages(comparison: Comparison, key: str) -> tuple[str, ...]:
    """A warning where ages are written that no group can be made of."""
    if "age" not in (part.strip() for part in key.split("+")):
        return ()
    ages = [one.utterance.fields.get("age", "").strip() for one in comparison.utterances]
    odd = [age for age in ages if age and group_of({"age": age}, "age") == UNKNOWN]
    if not odd:
        return ()
    return (
        f"{len(odd)} of {len(ages)} rows have an age that is neither years nor a known word, such as {odd[0]!r}: "
        f"they are in the group {UNKNOWN}, which the gap leaves out",
    )


def require_columns(utterances: Sequence[Utterance], keys: Sequence[str]) -> None:
    """Checks that there are columns to make groups by.

    Raises:
        UsageError: No row has one of the columns; the message names the columns there are.
    """
    wanted = [part.strip() for key in keys for part in key.split("+")]
    columns = {"speaker"}.union(*(one.fields for one in utterances))
    if missing := [part for part in wanted if part not in columns]:
        known = ", ".join(sorted(columns))
        raise UsageError(f"no row has the column {', '.join(map(repr, missing))}; the columns are {known}")


def _fields(one: Scored) -> dict[str, str]:
    return {"speaker": one.utterance.speaker or "", **one.utterance.fields}


def _order(name: str) -> tuple[bool, float, str]:
    """Bands by their first number, other names by alphabet, the unknown last."""
    digits = name.split("-")[0].rstrip("+")
    return UNKNOWN in name, float(digits) if digits.isdecimal() else 0.0, name


def _group(name: str, own: list[Scored], seed: int) -> Group:
    speakers = [one.speaker for one in own]
    people = len(set(speakers))
    before, after = [one.counts[0] for one in own], [one.counts[-1] for one in own]
    return Group(
        name,
        people,
        len(own),
        (total(before), total(after)),
        rate_interval(before, speakers=speakers, seed=seed),
        rate_interval(after, speakers=speakers, seed=seed),
        paired_bootstrap(before, after, speakers=speakers, seed=seed),
    )


def who_changed(comparison: Comparison, *, seed: int = 0) -> list[SpeakerChange]:
    """Everybody before and after, the greatest worsening first."""
    people = comparison.of_speakers()
    chances = holm(
        [sign_flip([o.counts[0].errors - o.counts[-1].errors for o in own], seed=seed) for own in people.values()]
    )
    found = [
        SpeakerChange(name, total([o.counts[0] for o in own]), total([o.counts[-1] for o in own]), chance or 0.0)
        for (name, own), chance in zip(people.items(), chances, strict=True)
    ]
    return sorted(found, key=lambda one: (one.before.wer - one.after.wer, one.speaker))


def spread(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Quantiles of the speakers' error rates, by system: `0%` is the best person, `100%` the worst."""
    people = comparison.of_speakers().values()
    if not people:
        return {name: {} for name in comparison.systems}
    found = {}
    for index, name in enumerate(comparison.systems):
        values = np.quantile([total([one.counts[index] for one in own]).wer for own in people], QUANTILES)
        found[name] = {f"{share:.0%}": float(value) for share, value in zip(QUANTILES, values, strict=True)}
    return found
