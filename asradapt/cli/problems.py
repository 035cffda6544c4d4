"""Failures as sentences: each reason once, with the items that it holds for."""

from __future__ import annotations

from collections.abc import Sequence

from asradapt.errors import UnwritableText
from asradapt.types import Failure
from asradapt.wording import first_of


def _sentence(failure: Failure) -> str:
    """What failed and why, without naming a file twice."""
    return failure.reason if failure.reason.startswith(f"{failure.item} ") else f"{failure.item}: {failure.reason}"


def sentences(failed: Sequence[Failure]) -> list[str]:
    """One sentence for each reason; of the items that failed for it the first are named."""
    odd = [one.error for one in failed if isinstance(one.error, UnwritableText)]
    together = {kind: str(_all_odd(odd, kind)) for kind in (False, True)}
    reasons: dict[str, list[Failure]] = {}
    for failure in failed:
        error = failure.error
        reason = together[error.addable] if isinstance(error, UnwritableText) else failure.reason
        reasons.setdefault(reason, []).append(failure)
    return [_of_one_reason(reason, alike) for reason, alike in reasons.items()]


def _all_odd(errors: Sequence[UnwritableText], addable: bool) -> UnwritableText:
    """The characters of all texts in one error."""
    return UnwritableText({c for one in errors if one.addable == addable for c in one.characters}, addable=addable)


def _of_one_reason(reason: str, alike: Sequence[Failure]) -> str:
    if len(alike) == 1:
        return _sentence(alike[0])
    return f"{first_of([failure.item for failure in alike])}: {reason}"
