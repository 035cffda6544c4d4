"""What the rows of a manifest are for, and what leaks from what is learned into what is measured."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from asradapt.checks.measured import Finding, Measured
from asradapt.enrolment.folds import SENTENCE_WORDS
from asradapt.manifest_selection import part_of
from asradapt.scoring import normalize
from asradapt.wording import counted

NAMES = {
    "train": "train training",
    "enroll": "enroll enrol enrollment enrolment enrolled adapt adaptation",
    "dev": "dev devel development valid validation validate val tune tuning",
    "test": "test testing eval evaluation evaluate",
}
"""What parts are usually called."""
ROLES = {name: role for role, names in NAMES.items() for name in names.split()}
HELD_OUT = ("enroll", "dev", "test")
"""New people are wanted here: nobody of the training part."""
OTHER_COLUMNS = ("split", "subset", "set")
"""Columns that say elsewhere what `part` says here."""


def role(part: str) -> str | None:
    """What a part is for: `train`, `enroll`, `dev` or `test`; None where its name does not tell.

    `test-clean`, `Test_2` and `testing` are for testing; `train-dev` could be either.
    """
    found = {ROLES[word] for word in re.findall(r"[a-z]+", part.lower()) if word in ROLES}
    return found.pop() if len(found) == 1 else None


def part(row: Measured) -> str:
    """The part of a row; empty where it has none."""
    return part_of(row.utterance)


def by(rows: Sequence[Measured], key: Callable[[Measured], str]) -> dict[str, list[Measured]]:
    """Rows by what a function says of each."""
    found: dict[str, list[Measured]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def unknown_parts(rows: Sequence[Measured]) -> Iterator[Finding]:
    """Parts whose purpose is not known, so that leakage is not told of them."""
    parts = by(rows, part)
    yield Finding(
        "unknown-part",
        "warning",
        f"what these parts are for is not known, so people and sentences that leak are not told of them: "
        f"call them {', '.join(NAMES)}",
        tuple(
            f"{name or 'no part'} ({counted(len(own), 'row')})"
            for name, own in sorted(parts.items())
            if role(name) is None and parts.keys() != {""}
        ),
    )
    filled = {column for row in rows for column, value in row.utterance.fields.items() if value}
    columns = {column for column in filled if column.lower() in OTHER_COLUMNS}
    yield Finding(
        "no-part",
        "warning",
        "no row has a part, and these columns are not looked at: call the one that says what rows are for part",
        tuple(sorted(columns)) if parts.keys() <= {""} else (),
    )


def leaks(rows: Sequence[Measured]) -> Iterator[Finding]:
    """People in training and elsewhere, sentences both learned and measured."""
    yield _people(rows)
    roles = by(rows, lambda row: role(part(row)) or "")
    for learned in ("enroll", "train"):
        for measured in ("test", "dev"):
            if learned in roles and measured in roles:
                yield _sentences(learned, measured, roles[learned], roles[measured])


def _people(rows: Sequence[Measured]) -> Finding:
    parts = by(rows, part)
    people = {name: {row.utterance.speaker for row in own if row.utterance.speaker} for name, own in parts.items()}
    return Finding(
        "speaker-in-training-and-test",
        "error",
        "these people are in the training part and in another: new people would do worse",
        tuple(
            f"{name} ({train} and {held})"
            for train in sorted(people)
            for held in sorted(people)
            if role(train) == "train" and role(held) in HELD_OUT
            for name in sorted(people[train] & people[held])
        ),
    )


def _sentences(learned: str, measured: str, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Finding:
    first, second = _counts(ours), _counts(theirs)
    return Finding(
        f"text-in-{learned}-and-{measured}",
        "error" if (learned, measured) == ("enroll", "test") else "warning",
        f"sentences of {SENTENCE_WORDS} words or more in both {_called(ours)} and {_called(theirs)}: the error of "
        f"what was {'adapted' if learned == 'enroll' else 'trained'} on them is flattered, measure on others",
        tuple(
            f"{text!r}: {first[text]} and {second[text]} times" for text in sorted(first.keys() & second.keys())
        ),
    )


def _called(rows: Sequence[Measured]) -> str:
    return "/".join(sorted({part(row) for row in rows}))


def _counts(rows: Sequence[Measured]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        text = normalize(row.utterance.text or "")
        if len(text.split()) >= SENTENCE_WORDS:
            found[text] = found.get(text, 0) + 1
    return found
