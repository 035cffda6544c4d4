"""Which hypothesis of another recogniser belongs to which utterance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from asradapt.comparison.scored import utterance_name
from asradapt.errors import UsageError
from asradapt.scoring.hypotheses import trn_name
from asradapt.types import Utterance

SHOWN = 10  # so many names, at most, are listed in a warning


def keys(utterance: Utterance) -> list[str]:
    """The names by which others may call an utterance, the surest first."""
    audio, name = utterance.audio, utterance_name(utterance)
    parts = audio.parts
    tails = ["/".join(parts[-count:]) for count in range(len(parts), 0, -1)]
    speaker = utterance.speaker or ""
    trn = [trn_name(name, utterance.speaker), f"{speaker}-{name}", f"{speaker}_{name}"]
    return list(dict.fromkeys([utterance.fields.get("id", ""), str(audio), *tails, name, audio.stem, *trn]))


def match(utterances: Sequence[Utterance], hypotheses: Mapping[str, str]) -> dict[int, str]:
    """The hypotheses by the place of the utterance; a name that fits several utterances fits none."""
    owners: dict[str, list[int]] = {}
    for place, utterance in enumerate(utterances):
        for key in keys(utterance):
            owners.setdefault(key, []).append(place)
    found: dict[int, str] = {}
    for name, text in hypotheses.items():
        places = owners.get(name) or owners.get(name.removeprefix("./")) or []
        if len(places) == 1:
            found.setdefault(places[0], text)
    return found


def silence_in(system: str, rows: int, found: Mapping[int, str], warnings: list[str]) -> dict[int, str]:
    """The hypotheses of a ctm with what it lacks as silence, since a ctm has no lines for empty texts.

    A ctm that knows none of the utterances stays empty.
    """
    if not found or len(found) == rows:
        return dict(found)
    warnings.append(f"{system}: {rows - len(found)} of {rows} utterances are not in the ctm and count as silence")
    return {place: found.get(place, "") for place in range(rows)}


def only_common(
    utterances: Sequence[Utterance],
    matched: Mapping[str, dict[int, str]],
    files: Mapping[str, Mapping[str, str]],
    warnings: list[str],
) -> tuple[list[Utterance], dict[str, dict[int, str]]]:
    """Only the utterances that every file has, with their hypotheses.

    Raises:
        UsageError: None is left.
    """
    kept = [place for place in range(len(utterances)) if all(place in texts for texts in matched.values())]
    if not kept:
        raise UsageError(f"no utterance of the manifest has a hypothesis in every one of {', '.join(files)}")
    if left := len(utterances) - len(kept):
        warnings.append(f"{left} of {len(utterances)} utterances are left out: a file has no hypothesis for them")
    common = [utterances[place] for place in kept]
    return common, {name: {n: texts[place] for n, place in enumerate(kept)} for name, texts in matched.items()}


def unmatched(
    system: str, utterances: Sequence[Utterance], hypotheses: Mapping[str, str], found: Mapping[int, str]
) -> Iterator[str]:
    """Warnings about utterances without hypothesis, and hypotheses without utterance."""
    missing = [utterance_name(one) for place, one in enumerate(utterances) if place not in found]
    if missing:
        yield (
            f"{system}: {len(missing)} of {len(utterances)} utterances have no hypothesis and count as all words "
            f"deleted: {_listed(missing)}"
        )
    known = {key for one in utterances for key in keys(one)}
    extra = [name for name in hypotheses if name.removeprefix("./") not in known and name not in known]
    if extra:
        yield f"{system}: {len(extra)} hypotheses belong to no utterance here: {_listed(extra)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
