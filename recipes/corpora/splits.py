"""Who is learnt from and what is measured: parts that share no speaker and, where it can be, no text.

The parts are `train` (people a source model may learn from), and for the others `enroll` and `test`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from asradapt.errors import UsageError
from asradapt.scoring import normalize
from asradapt.types import Utterance

PART = "part"


@dataclass(frozen=True)
class SplitOptions:
    """How to split.

    Attributes:
        train_group: People whose column `group` has this value are for training.
        train_share: Otherwise this share of the people, drawn by the seed.
        test_share: Share of the texts (of the takes, for `repeat`) that are measured.
        texts: `disjoint`: a text that is tested is never enrolled nor trained on, by nobody. `repeat`: isolated
            words repeat by nature, so the takes are split. `given`: the parser has named the parts.
        seed: Seed of both draws.
    """

    train_group: str = ""
    train_share: float = 0.0
    test_share: float = 0.5
    texts: str = "disjoint"
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        if self.texts not in ("disjoint", "repeat", "given"):
            problems.append(f"texts is {self.texts!r}; use disjoint, repeat or given")
        if not 0 <= self.train_share < 1:
            problems.append(f"train_share is {self.train_share}; use 0 to below 1")
        if not 0 < self.test_share < 1:
            problems.append(f"test_share is {self.test_share}; use a share between 0 and 1")
        if problems:
            raise UsageError("; ".join(problems))


@dataclass(frozen=True)
class Split:
    """The rows with their parts, and what is to be known about them.

    Attributes:
        rows: The rows that are in a part.
        dropped: Rows in none, because their text is tested or the parser named no part.
        leaks: Different texts that two parts share, by `part-part`; speakers that two parts share.
    """

    rows: tuple[Utterance, ...]
    dropped: int
    leaks: dict[str, int] = field(default_factory=dict)


def split(rows: Sequence[Utterance], options: SplitOptions) -> Split:
    """Gives every row a part.

    Raises:
        UsageError: The options contradict each other or the rows.
    """
    if options.texts == "given":
        parted = [row for row in rows if row.fields.get(PART)]
    else:
        training = _training(rows, options)
        others = [row for row in rows if row.speaker not in training]
        choose = _by_text if options.texts == "disjoint" else _by_take
        tested = choose(others, options)
        parted = [_put(row, "test" if place in tested else "enroll") for place, row in enumerate(others)]
        read = {_text(row) for row in parted if row.fields[PART] == "test"}
        learned = [row for row in rows if row.speaker in training]
        kept = [row for row in learned if options.texts == "repeat" or _text(row) not in read]
        parted += [_put(row, "train") for row in kept]
    return Split(tuple(parted), len(rows) - len(parted), leaks(parted))


def leaks(rows: Sequence[Utterance]) -> dict[str, int]:
    """Different texts and people that two parts have in common; a sound split of sentences has none."""
    parts = sorted({row.fields[PART] for row in rows})
    found = {}
    for place, first in enumerate(parts):
        for second in parts[place + 1 :]:
            ours, theirs = ([row for row in rows if row.fields[PART] == part] for part in (first, second))
            found[f"texts {first}-{second}"] = len({*map(_text, ours)} & {*map(_text, theirs)})
            found[f"speakers {first}-{second}"] = len({r.speaker for r in ours} & {r.speaker for r in theirs})
    return found


def _text(row: Utterance) -> str:
    return normalize(row.text or "")


def _put(row: Utterance, part: str) -> Utterance:
    return replace(row, fields={**row.fields, PART: part})


def _training(rows: Sequence[Utterance], options: SplitOptions) -> set[str | None]:
    if options.train_group:
        found = {row.speaker for row in rows if row.fields.get("group") == options.train_group}
        if not found:
            raise UsageError(f"nobody is in the group {options.train_group!r}; correct train_group")
        return found
    people = sorted({row.speaker for row in rows if row.speaker})
    random.Random(options.seed).shuffle(people)
    return set(people[: round(options.train_share * len(people))])


def _by_text(rows: Sequence[Utterance], options: SplitOptions) -> set[int]:
    """Places of the rows whose text is tested: the same texts for everybody."""
    texts = sorted({_text(row) for row in rows})
    random.Random(options.seed).shuffle(texts)
    tested = set(texts[: max(1, round(options.test_share * len(texts)))])
    return {place for place, row in enumerate(rows) if _text(row) in tested}


def _by_take(rows: Sequence[Utterance], options: SplitOptions) -> set[int]:
    """Places of the later takes of every word of every person."""
    takes: dict[tuple[str | None, str], list[int]] = {}
    for place, row in enumerate(rows):
        takes.setdefault((row.speaker, _text(row)), []).append(place)
    return {
        place
        for places in takes.values()
        for place in places[len(places) - round(options.test_share * len(places)) :]
    }
