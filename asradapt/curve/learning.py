"""Enrol everybody with more and more minutes, all in batched jobs, and measure each point."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from asradapt.adaptation.mixed import IDENTITY
from asradapt.curve.draw import draw, forecast, timed
from asradapt.curve.points import Curve, CurveOptions, Point, Run
from asradapt.enrolment import enroll
from asradapt.enrolment.folds import speaker_seed
from asradapt.errors import ManifestError
from asradapt.evaluation import heard_before
from asradapt.models.base import SourceModel
from asradapt.scoring import ErrorCounts, Interval, normalize, paired_bootstrap, score, total
from asradapt.store import SpeakerStore
from asradapt.transcriber import Transcriber
from asradapt.transcript import Transcript, Window
from asradapt.types import Failure, Utterance
from asradapt.wording import counted

Progress = Callable[[str, float], None]
People = Mapping[str, Sequence[Utterance]]

ENOUGH = 0.95  # a person with this share of a point's minutes has them


def learning_curve(
    model: SourceModel,
    recordings: People,
    tests: People,
    options: CurveOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Curve:
    """Enrols people with more and more minutes and measures each on their test recordings.

    Args:
        model: The source model.
        recordings: What may be enrolled, by speaker; where they have no durations, those are read from the files.
        tests: What is measured, by speaker; people without tests are left out.
        options: Which points to measure.
        progress: Called with what is being done and the share of the whole that is done.

    Raises:
        ManifestError: Nobody has both kinds of recordings, some are both, or no point has enough audio.
    """
    options = options or CurveOptions()
    warnings: list[str] = []
    unread: list[Failure] = []
    recordings = {name: timed(own, unread) if name in tests else own for name, own in recordings.items()}
    recordings = {name: own for name, own in recordings.items() if own}
    people = _people(recordings, tests, warnings, unread)
    minutes = _minutes(people, recordings, options, warnings)
    _require_others(people, recordings, tests)
    tell: Progress = progress or (lambda stage, share: None)
    names = _names(people, minutes, options.repeats)
    parts = {
        name: draw(recordings[who], length, speaker_seed(options.seed + repeat, who))
        for (who, length, repeat), name in names.items()
    }
    with tempfile.TemporaryDirectory(prefix="asradapt-curve-") as folder:
        store = SpeakerStore(Path(folder))
        enrolment = replace(options.enrolment, seed=options.seed, forecast=False)
        done = enroll(
            model, parts, options=enrolment, store=store, progress=lambda stage, share: tell(stage, 0.85 * share)
        )
        failed, warnings = unread + _told(names, done.failed), warnings + list(done.warnings)
        adapted = {one.record.speaker for one in done.speakers if one.record.method != IDENTITY}
        warnings += _read_before(store, names, tests, adapted)
        heard = _hear(
            model,
            store,
            people,
            tests,
            names,
            adapted,
            failed,
            lambda share: tell("measuring", 0.85 + 0.15 * share),
        )
    points = _points(people, minutes, options, names, parts, adapted, heard, tests)
    longest = {who: names[who, minutes[-1], 1] for who in people}
    tested = tuple(
        (one, heard[id(one), ""], heard[id(one), longest[who]])
        for who in people
        for one in tests[who]
        if (id(one), longest[who]) in heard
    )
    source = total(score(u.text or "", text) for u, text, _ in tested)
    return Curve(people, source, points, tested, tuple(dict.fromkeys(failed)), tuple(dict.fromkeys(warnings)))


def _people(recordings: People, tests: People, warnings: list[str], unread: Sequence[Failure]) -> tuple[str, ...]:
    both = tuple(name for name in recordings if name in tests)
    if left := sorted({*recordings, *tests} - {*both}):
        names = ", ".join(left[:10])
        warnings.append(f"no recordings of one of the two parts: {counted(len(left), 'speaker')} ({names})")
    if not both:
        lost = f" ({len(unread)} cannot be read, such as {unread[0].item}: {unread[0].reason})" if unread else ""
        raise ManifestError(f"nobody has recordings both to enrol and to test{lost}; check --enroll and --test")
    return both


def _require_others(people: Sequence[str], recordings: People, tests: People) -> None:
    """Refuse test recordings that may be enrolled too: what is measured on them says nothing of others.

    Raises:
        ManifestError: There are some.
    """
    learned = {who: {one.audio for one in recordings[who]} for who in people}
    both = [str(one.audio) for who in people for one in tests[who] if one.audio in learned[who]]
    if both:
        raise ManifestError(
            f"{counted(len(both), 'recording')} to test may be enrolled too, such as {both[0]}: give other rows "
            "by --enroll and --test"
        )


def _minutes(
    people: Sequence[str], recordings: People, options: CurveOptions, warnings: list[str]
) -> tuple[float, ...]:
    """The points for which everybody has enough audio."""
    least, who = min((sum(one.duration or 0 for one in recordings[name]) / 60, name) for name in people)
    kept = tuple(length for length in options.minutes if ENOUGH * length <= least)
    if dropped := [f"{length:g}" for length in options.minutes if length not in kept]:
        warnings.append(f"no point at {', '.join(dropped)} minutes: {who} has only {least:.2f}")
    if not kept:
        raise ManifestError(f"{who} has only {least:.2f} minutes; ask for fewer minutes than that")
    return kept


Names = dict[tuple[str, float, int], str]  # speaker, minutes, repeat: the name of the point in the store


def _names(people: Sequence[str], minutes: Sequence[float], repeats: int) -> Names:
    """A name for every point; the order is that of the jobs, so that long points do not meet late.

    A name says what the point is, not its place: it seeds the folds, and a point must come out the same whichever
    others are asked for. People have names of any length, so it is a digest.
    """
    keys = [(who, length, r) for length in reversed(minutes) for who in people for r in range(1, repeats + 1)]
    return {key: f"point-{sha256(repr(key).encode()).hexdigest()[:16]}" for key in keys}


def _told(names: Names, failed: Sequence[Failure]) -> list[Failure]:
    """Failures of points under the names of their people."""
    shown = {name: f"{who}, {length:g} minutes, repeat {repeat}" for (who, length, repeat), name in names.items()}
    return [replace(one, item=shown.get(one.item, one.item)) for one in failed]


def _read_before(store: SpeakerStore, names: Names, tests: People, adapted: set[str]) -> list[str]:
    """Warnings where people are measured on sentences that they were enrolled with."""
    found = []
    for (who, _, _), name in names.items():
        if name in adapted:
            record = replace(store.record(name), speaker=who)
            found += heard_before(record, [one.text or "" for one in tests[who]])
    return found


Heard = dict[tuple[int, str], str]  # identity of the utterance, name of the point (empty: source): the text


def _hear(
    model: SourceModel,
    store: SpeakerStore,
    people: Sequence[str],
    tests: People,
    names: Names,
    adapted: set[str],
    failed: list[Failure],
    tell: Callable[[float], None],
) -> Heard:
    """The texts of all test recordings by the source and by every point; all points share the batches."""
    usable = [(who, one) for who in people for one in tests[who] if normalize(one.text or "")]
    rows = [(one, "", replace(one, speaker=None)) for _, one in usable]
    rows += [
        (one, name, replace(one, speaker=name))
        for (who, _, _), name in names.items()
        if name in adapted
        for owner, one in usable
        if owner == who
    ]
    origin = {id(row): (id(one), name) for one, name, row in rows}
    heard: Heard = {}
    for item in Transcriber(model, store).transcribe([row for *_, row in rows]):
        if isinstance(item, Window):
            failed += item.failed
        elif isinstance(item, Transcript):
            heard[origin[id(item.utterance)]] = item.text
            tell(len(heard) / len(rows))
    for (who, _, _), name in names.items():
        for owner, one in usable:
            if owner == who and name not in adapted and (id(one), "") in heard:
                heard[id(one), name] = heard[id(one), ""]  # the source is kept
    return heard


def _points(
    people: Sequence[str],
    minutes: Sequence[float],
    options: CurveOptions,
    names: Names,
    parts: People,
    adapted: set[str],
    heard: Heard,
    tests: People,
) -> tuple[Point, ...]:
    points: list[Point] = []
    usable = [(who, one) for who in people for one in tests[who] if (id(one), "") in heard]
    before = _counts(usable, dict.fromkeys(people, ""), heard)
    for length in minutes:
        own = [{who: names[who, length, repeat + 1] for who in people} for repeat in range(options.repeats)]
        counts = [_counts(usable, one, heard) for one in own]
        runs = tuple(
            Run(
                number,
                sum(one.duration or 0.0 for name in named.values() for one in parts[name]),
                sum(name in adapted for name in named.values()),
                total(found),
            )
            for number, (named, found) in enumerate(zip(own, counts, strict=True), 1)
        )
        earlier = [(point.minutes, point.mean) for point in points]
        told = forecast([x for x, _ in earlier], [y for _, y in earlier], length) if len(earlier) > 1 else None
        change = _change([who for who, _ in usable], before, counts, options.seed)
        points.append(Point(length, runs, told, change))
    return tuple(points)


def _counts(usable: Sequence[tuple[str, Utterance]], own: Mapping[str, str], heard: Heard) -> list[ErrorCounts]:
    """The errors in every test recording by the point of its speaker."""
    return [score(one.text or "", heard[id(one), own[who]]) for who, one in usable]


def _change(
    who: Sequence[str], before: Sequence[ErrorCounts], repeats: Sequence[Sequence[ErrorCounts]], seed: int
) -> Interval:
    """Mean of the repeats less the source; drawn are people, or the recordings of the only one."""
    after = [total(found) for found in zip(*repeats, strict=True)]
    same = [total([one] * len(repeats)) for one in before]
    return paired_bootstrap(same, after, speakers=who if len(set(who)) > 1 else None, seed=seed)
