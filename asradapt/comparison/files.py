"""What other recognisers heard, as far as it can be scored: their files matched, without marks, best reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from asradapt.comparison.matching import match, only_common, silence_in, unmatched
from asradapt.scoring.hypotheses import WITH_ALTERNATIVES, read_hypotheses
from asradapt.scoring.markup import best_reading, without_marks
from asradapt.types import Utterance
from asradapt.wording import counted, first_of


def heard_in_files(
    files: Mapping[str, Path], utterances: Sequence[Utterance], *, common: bool, warnings: list[str]
) -> tuple[list[Utterance], dict[str, dict[int, str]]]:
    """The texts of other recognisers by the place of the utterance.

    Args:
        files: By the name of the system.
        utterances: What was said.
        common: Keep only the utterances that every file has.
        warnings: What somebody should look at is added.

    Returns:
        The utterances that are kept, and by system the texts of those that it has.

    Raises:
        ManifestError: A file cannot be read.
        UsageError: Nothing in a file fits an utterance, or with `common` no utterance is left.
    """
    kept = list(utterances)
    hypotheses = {name: read_hypotheses(path) for name, path in files.items()}
    matched = {name: match(kept, given) for name, given in hypotheses.items()}
    if common:
        silent = [name for name, path in files.items() if path.suffix.lower() == ".ctm"]
        matched |= {name: silence_in(name, len(kept), matched[name], warnings) for name in silent}
        kept, matched = only_common(kept, matched, hypotheses, warnings)
    for name, texts in matched.items():
        warnings += unmatched(name, kept, hypotheses[name], texts)
        alternatives = files[name].suffix.lower() in WITH_ALTERNATIVES
        matched[name] = _words_only(name, texts, kept, alternatives, warnings)
    return kept, matched


def _words_only(
    system: str, texts: Mapping[int, str], utterances: Sequence[Utterance], alternatives: bool, warnings: list[str]
) -> dict[int, str]:
    """The texts without marks; of alternatives those that fit what was said best."""
    found: dict[int, str] = {}
    marks: list[str] = []
    chosen = 0
    for place, text in texts.items():
        found[place], dropped = without_marks(text)
        marks += dropped
        if alternatives:
            found[place], choices = best_reading(found[place], utterances[place].text or "")
            chosen += choices
    warnings += _told(system, marks, chosen)
    return found


def _told(system: str, marks: Sequence[str], chosen: int) -> Iterable[str]:
    if marks:
        kinds = [mark for mark, _ in Counter(marks).most_common()]
        is_no = "is no word and is" if len(marks) == 1 else "are no words and are"
        yield f"{system}: {counted(len(marks), 'mark')} in its texts {is_no} left out: {first_of(kinds)}"
    if chosen:
        times = "once" if chosen == 1 else f"{chosen} times"
        yield f"{system}: gives alternatives or words that may be left out {times}; what fits best counts"
