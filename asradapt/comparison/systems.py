"""Which systems to compare, and what each of them hears."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from asradapt.comparison.files import heard_in_files
from asradapt.comparison.scored import Comparison, Scored
from asradapt.decoding import Decoder
from asradapt.errors import AsradaptError, UsageError
from asradapt.evaluation import heard_before
from asradapt.models.base import SourceModel
from asradapt.scoring import normalize, score
from asradapt.scoring.hypotheses import SUFFIXES
from asradapt.scoring.remarks import digits_in, without_speaker
from asradapt.store import SpeakerStore
from asradapt.store.reading import Adaptation
from asradapt.test_time import EachOptions
from asradapt.transcriber import Transcriber
from asradapt.transcript import TranscriberOptions, Transcript, Window
from asradapt.types import Failure, Utterance

SOURCE, ADAPTED = "source", "adapted"
EACH = "+each"  # behind a system of ours: every segment adapts it to itself (no speaker's name has a plus)

_VERSION = re.compile(r"(.+)@v(\d+)")


@dataclass(frozen=True)
class System:
    """One system to compare.

    Attributes:
        name: How it is called in tables.
        kind: `source`, `adapted` (everybody with their own adaptation), `speaker` (one person's stored
            adaptation for all rows) or `file` (hypotheses of another recogniser).
        speaker: Whose adaptation, for the kind `speaker`.
        version: Which version of it; None for the current one.
        path: The file, for the kind `file`.
        each: Whether every segment adapts the system to itself first.
    """

    name: str
    kind: Literal["source", "adapted", "speaker", "file"]
    speaker: str = ""
    version: int | None = None
    path: Path | None = None
    each: bool = False


def parse_systems(text: str) -> tuple[System, ...]:
    """Reads `source,adapted+each,alice,alice@v2,other.jsonl,sphinx=out.trn`.

    Raises:
        UsageError: Nothing is named, or two systems have one name.
    """
    systems = tuple(_system(item.strip()) for item in text.split(",") if item.strip())
    names = [system.name for system in systems]
    problems = [f"{name!r} is named twice" for name in sorted(set(names)) if names.count(name) > 1]
    if not systems:
        problems.append("none is named")
    if problems:
        raise UsageError(
            f"cannot compare these systems: {'; '.join(problems)}. Give source, adapted, SPEAKER, SPEAKER@vN (or "
            "NAME+each) or NAME=FILE with hypotheses (.jsonl, .ctm, .trn), separated by commas"
        )
    return systems


def _system(item: str) -> System:
    name, equals, path = item.partition("=")
    if equals:
        return System(name.strip(), "file", path=Path(path.strip()))
    if item.lower().endswith(SUFFIXES):
        return System(Path(item).stem, "file", path=Path(item))
    plain = item.removesuffix(EACH)
    each = plain != item
    if "+" in plain or (each and not plain.strip()):
        raise UsageError(f"cannot compare {item!r}: write NAME{EACH}, once and behind the version (ann@v1{EACH})")
    if plain in (SOURCE, ADAPTED):
        return System(item, "source" if plain == SOURCE else "adapted", each=each)
    if found := _VERSION.fullmatch(plain):
        return System(item, "speaker", found[1], int(found[2]), each=each)
    return System(item, "speaker", plain, each=each)


def needs_model(systems: Iterable[System]) -> bool:
    """Whether any of the systems is ours."""
    return any(system.kind != "file" for system in systems)


class _OneVersion(SpeakerStore):
    """A store that gives one version of its speakers, for a transcriber, which asks for the current one."""

    def __init__(self, root: Path, version: int | None) -> None:
        super().__init__(root)
        self._version = version

    def load(self, speaker: str, version: int | None = None) -> Adaptation:
        """The one version."""
        return super().load(speaker, version or self._version)


def compare_systems(
    systems: Sequence[System],
    utterances: Sequence[Utterance],
    *,
    model: SourceModel | None = None,
    store: SpeakerStore | None = None,
    options: TranscriberOptions | None = None,
    decoder: Decoder | None = None,
    common: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Comparison:
    """Scores all systems on the same utterances.

    An utterance that a file of hypotheses lacks counts as all words deleted, as in sclite: leaving it out
    would favour a recogniser that skips what is hard.

    Args:
        systems: What to compare, at least one.
        utterances: What was said; rows without text are failures.
        model: The source model, for systems of ours.
        store: The speakers, for systems that name them.
        options: Sizes of the work.
        decoder: How our systems decode; None for greedy.
        common: Score only the utterances that every file of hypotheses has.
        progress: Called with the share that is done.

    Raises:
        UsageError: A system of ours is asked for and there is no model, or a speaker and there is no store.
        UnknownName: A speaker is not stored.
        ManifestError: A file of hypotheses cannot be read.
    """
    failed = [_no_text(one) for one in utterances if not normalize(one.text or "")]
    usable = [one for one in utterances if normalize(one.text or "")]
    warnings = digits_in([one.text or "" for one in usable])
    files = {system.name: system.path for system in systems if system.path}
    usable, matched = heard_in_files(files, usable, common=common, warnings=warnings)
    transcribers = {s.name: _transcriber(s, model, store, options, decoder) for s in systems if s.kind != "file"}
    heard: list[dict[int, str]] = []
    for place, system in enumerate(systems):

        def tell(share: float, before: int = place) -> None:
            if progress:
                progress((before + share) / len(systems))

        if system.kind == "file":
            heard.append({index: matched[system.name].get(index, "") for index in range(len(usable))})
        else:
            digests: dict[int, str] = {}
            heard.append(_hear(system, transcribers[system.name], usable, failed, warnings, tell, digests))
            warnings += _flattered(system, store, usable, digests)
        tell(1.0)
    scored = [_scored(one, [texts.get(index) for texts in heard]) for index, one in enumerate(usable)]
    kept = tuple(one for one in scored if one)
    warnings += without_speaker([one.utterance.speaker for one in kept])
    names = tuple(system.name for system in systems)
    return Comparison(
        names, kept, model.name if model else "", tuple(dict.fromkeys(failed)), tuple(dict.fromkeys(warnings))
    )


def _flattered(
    system: System, store: SpeakerStore | None, utterances: Sequence[Utterance], digests: Mapping[int, str]
) -> list[str]:
    """Warnings where a system of ours is measured on recordings or sentences of its own enrolment."""
    if store is None or system.kind not in ("adapted", "speaker"):
        return []
    texts: dict[str, list[tuple[str, str]]] = {}
    for place, one in enumerate(utterances):
        who = system.speaker or one.speaker
        if who and one.speaker in (None, who):
            texts.setdefault(who, []).append((one.text or "", digests.get(place, "")))
    found = []
    for who, own in texts.items():
        try:
            said, recordings = zip(*own, strict=True)
            found += heard_before(store.record(who, system.version), said, recordings)
        except AsradaptError:
            continue  # not enrolled, or damaged: the transcriber has said so
    twice = f"{system.speaker}: " if system.speaker else ""  # who is the system need not be named once more
    return [f"{system.name}: {warning.removeprefix(twice)}" for warning in found]


def _no_text(utterance: Utterance) -> Failure:
    return Failure(str(utterance.audio), "there is no text to score against")


def _scored(utterance: Utterance, texts: Sequence[str | None]) -> Scored | None:
    """The scores of an utterance; None where a system of ours could not read it."""
    found = tuple(text for text in texts if text is not None)
    if len(found) < len(texts):
        return None
    return Scored(utterance, found, tuple(score(utterance.text or "", text) for text in found))


def _transcriber(
    system: System,
    model: SourceModel | None,
    store: SpeakerStore | None,
    options: TranscriberOptions | None,
    decoder: Decoder | None,
) -> Transcriber:
    if model is None:
        raise UsageError(f"{system.name!r} needs a source model")
    if system.each:
        options = replace(options or TranscriberOptions(), adapt_each=EachOptions())
    if system.kind == "source":
        return Transcriber(model, None, options, decoder)
    if store is None:
        raise UsageError(f"{system.name!r} needs a store of speakers")
    if system.kind == "adapted":
        return Transcriber(model, store, options, decoder)
    whole = f"{system.speaker}@v{system.version}" if system.version else ""
    if whole in store and system.speaker not in store:
        system = replace(system, speaker=whole, version=None)
    elif whole in store:
        raise UsageError(
            f"{whole!r} is a version of {system.speaker!r} and the name of a speaker, too: export one of them and "
            "import it by another name"
        )
    transcriber = Transcriber(model, _OneVersion(store.root, system.version), options, decoder)
    transcriber.member(system.speaker)  # unknown, damaged or of another model: said before any work
    return transcriber


def _hear(
    system: System,
    transcriber: Transcriber,
    utterances: Sequence[Utterance],
    failed: list[Failure],
    warnings: list[str],
    tell: Callable[[float], None],
    digests: dict[int, str],
) -> dict[int, str]:
    """What a system of ours hears, by the place of the utterance; so come the recordings' `digests`."""
    rows = [replace(one, speaker=system.speaker) if system.speaker else replace(one) for one in utterances]
    places = {id(row): place for place, row in enumerate(rows)}
    if (
        others := {one.speaker for one in utterances if one.speaker} - {system.speaker}
        if system.speaker
        else set()
    ):
        whom = "another person" if len(others) == 1 else f"{len(others)} other people"
        warnings.append(
            f"{system.name}: this adaptation is used for {whom} too; --speaker NAME takes the rows of one person"
        )
    found: dict[int, str] = {}
    for item in transcriber.transcribe(rows, source_only=system.kind == "source"):
        if isinstance(item, Window):
            failed += item.failed
            warnings += item.warnings
        elif isinstance(item, Transcript):
            place = places[id(item.utterance)]
            found[place], digests[place] = item.text, item.digest
            tell(len(found) / len(rows))
    return found
