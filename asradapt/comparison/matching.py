"""Which hypothesis of another recogniser belongs to which utterance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from asradapt.comparison.scored import utterance_name
from asradapt.errors import UsageError
from asradapt.scoring.hypotheses import trn_name
from asradapt.scoring.remarks import UNNAMED
from asradapt.types import Utterance

SHOWN = 10  # so many names, at most, are listed in a warning


def keys(utterance: Utterance) -> list[str]:
    """The names by which others may call an utterance, the surest first."""
    audio, name = utterance.audio, utterance_name(utterance)
    parts = audio.parts
    tails = ["/".join(parts[-count:]) for count in range(len(parts), 0, -1)]
    tails += [tail.removesuffix(audio.suffix) for tail in tails if audio.suffix]
    speaker = utterance.speaker or UNNAMED  # as in the files that `--export` writes
    trn = [trn_name(name, speaker), f"{speaker}-{name}", f"{speaker}_{name}"]
    return list(dict.fromkeys([utterance.fields.get("id", ""), str(audio), *tails, name, audio.stem, *trn]))


Owners = dict[str, dict[int, int]]  # by name: the utterances it fits, by place, and how sure (0 is surest)


def _owners(utterances: Sequence[Utterance]) -> Owners:
    owners: Owners = {}
    for place, utterance in enumerate(utterances):
        for rank, key in enumerate(keys(utterance)):
            owners.setdefault(key, {})[place] = rank
    return owners


def _fitting(name: str, owners: Owners) -> dict[int, int]:
    return owners.get(name) or owners.get(name.removeprefix("./")) or {}


def match(utterances: Sequence[Utterance], hypotheses: Mapping[str, str]) -> dict[int, str]:
    """The hypotheses by the place of the utterance.

    A name that fits several utterances fits none; of several names for one utterance the surest counts.
    """
    owners = _owners(utterances)
    found: dict[int, tuple[int, str]] = {}
    for name, text in hypotheses.items():
        fitting = _fitting(name, owners)
        if len(fitting) == 1:
            ((place, rank),) = fitting.items()
            if place not in found or rank < found[place][0]:
                found[place] = rank, text
    return {place: text for place, (_, text) in found.items()}


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
    """Warnings about utterances without hypothesis, and hypotheses without utterance.

    Raises:
        UsageError: Not one hypothesis fits, so it is the names that are wrong, not the recogniser.
    """
    if hypotheses and utterances and not found:
        raise UsageError(
            f"{system}: none of its {len(hypotheses)} texts fits an utterance of the "
            f"manifest; it has names such as {next(iter(hypotheses))!r}, the manifest such as "
            f"{utterance_name(utterances[0])!r} by speaker {utterances[0].speaker or 'nobody'}"
        )
    missing = [utterance_name(one) for place, one in enumerate(utterances) if place not in found]
    if missing:
        yield (
            f"{system}: {len(missing)} of {len(utterances)} utterances have no hypothesis and count as all words "
            f"deleted: {_listed(missing)}"
        )
    owners = _owners(utterances)
    fits = {name: _fitting(name, owners) for name in hypotheses}
    ambiguous = [name for name, places in fits.items() if len(places) > 1]
    if ambiguous:
        yield f"{system}: {len(ambiguous)} names fit several utterances and so none: {_listed(ambiguous)}"
    named = Counter(place for places in fits.values() if len(places) == 1 for place in places)
    surplus = [utterance_name(utterances[place]) for place, count in sorted(named.items()) if count > 1]
    if surplus:
        yield f"{system}: several hypotheses for one utterance, the surest name counts: {_listed(surplus)}"
    extra = [name for name, places in fits.items() if not places]
    if extra:
        yield f"{system}: {len(extra)} hypotheses belong to no utterance here: {_listed(extra)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
