"""Which word was heard as which: the alignment of a reference with what was recognised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer

from asradapt.scoring.normalization import normalize

Kind = Literal["hit", "substitution", "deletion", "insertion"]


@dataclass(frozen=True)
class Step:
    """One step of an alignment.

    Attributes:
        kind: What happened.
        said: The word (or sound) of the reference; empty where something was inserted.
        heard: What was recognised in its place; empty where it was left out.
    """

    kind: Kind
    said: str
    heard: str


def align(reference: str, hypothesis: str) -> tuple[Step, ...]:
    """Aligns the words of two texts with the fewest errors, after normalising both.

    The counts of the steps are those of `score`.
    """
    return align_items(normalize(reference).split(), normalize(hypothesis).split())


def align_items(said: Sequence[str], heard: Sequence[str]) -> tuple[Step, ...]:
    """Aligns two sequences of words or sounds, none of which holds a space, with the fewest errors."""
    if not said or not heard:  # jiwer 3 raises on an empty reference
        return (*(Step("deletion", one, "") for one in said), *(Step("insertion", "", one) for one in heard))
    (chunks,) = jiwer.process_words(" ".join(said), " ".join(heard)).alignments
    return tuple(step for chunk in chunks for step in _steps(chunk, said, heard))


def _steps(chunk: jiwer.AlignmentChunk, said: Sequence[str], heard: Sequence[str]) -> Iterable[Step]:
    ours = said[chunk.ref_start_idx : chunk.ref_end_idx]
    theirs = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
    if chunk.type == "delete":
        return [Step("deletion", word, "") for word in ours]
    if chunk.type == "insert":
        return [Step("insertion", "", word) for word in theirs]
    kind: Kind = "hit" if chunk.type == "equal" else "substitution"
    return [Step(kind, a, b) for a, b in zip(ours, theirs, strict=True)]
