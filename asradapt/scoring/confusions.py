"""What is taken for what, and which mistakes one system makes more often than another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from asradapt.scoring.alignment import Step, align_items

MOST = 20  # mistakes of each direction

Pair = tuple[str, str]  # said, heard; one of the two empty for a deletion or insertion


@dataclass(frozen=True)
class Change:
    """How often one mistake is made by two systems.

    Attributes:
        said: The word or sound of the reference; empty for an insertion.
        heard: What was recognised; empty for a deletion.
        before: How often the first system makes it.
        after: How often the second does.
    """

    said: str
    heard: str
    before: int
    after: int

    def as_dict(self) -> dict[str, object]:
        """The change for `--json` outputs."""
        return {"said": self.said, "heard": self.heard, "before": self.before, "after": self.after}


@dataclass(frozen=True)
class Changes:
    """The mistakes that have become rarer and more frequent.

    Attributes:
        lost: Mistakes made less often than before, the greatest difference first.
        gained: Mistakes made more often than before, the greatest difference first.
        more: How many further mistakes changed, by as much as those or less, and are not listed.
    """

    lost: tuple[Change, ...]
    gained: tuple[Change, ...]
    more: int = 0

    def as_dict(self) -> dict[str, object]:
        """Both lists for `--json` outputs."""
        lost, gained = ([c.as_dict() for c in side] for side in (self.lost, self.gained))
        return {"lost": lost, "gained": gained, "more": self.more}

    def telling(self, most: int = MOST) -> Changes:
        """At most so many each, without those that changed by one, which is mostly chance, if there are others."""
        lost, gained = (tuple(c for c in side if abs(c.after - c.before) > 1) for side in (self.lost, self.gained))
        if not (lost or gained):
            lost, gained = self.lost, self.gained
        lost, gained = lost[:most], gained[:most]
        return Changes(lost, gained, self.more + len(self.lost + self.gained) - len(lost + gained))


def confusions(alignments: Iterable[Sequence[Step]]) -> Counter[Pair]:
    """How often each mistake occurs."""
    return Counter((step.said, step.heard) for steps in alignments for step in steps if step.kind != "hit")


def changes(before: Mapping[Pair, int], after: Mapping[Pair, int], *, most: int = MOST) -> Changes:
    """The mistakes whose frequency changed most, at most `most` of each direction."""
    all_ = [Change(*pair, before.get(pair, 0), after.get(pair, 0)) for pair in {*before, *after}]
    ordered = sorted(all_, key=lambda c: (-abs(c.after - c.before), c.said, c.heard))
    lost = [c for c in ordered if c.after < c.before]
    gained = [c for c in ordered if c.after > c.before]
    more = max(0, len(lost) - most) + max(0, len(gained) - most)
    return Changes(tuple(lost[:most]), tuple(gained[:most]), more)


def sound_alignments(
    alignments: Iterable[Sequence[Step]], sounds: Mapping[str, Sequence[str]]
) -> tuple[list[tuple[Step, ...]], int]:
    """Alignments of words turned into alignments of sounds.

    Each misheard word is compared with what was heard in its place, sound by sound; insertions and deletions
    of whole words say nothing about sounds and are left out.

    Args:
        alignments: Of the words.
        sounds: Pronunciation of every known word; stress digits should be gone.

    Returns:
        The alignments, and how many substituted words were left out because a pronunciation is missing.
    """
    found, unknown = [], 0
    for step in (step for steps in alignments for step in steps if step.kind == "substitution"):
        said, heard = sounds.get(step.said), sounds.get(step.heard)
        if said and heard:
            found.append(align_items(said, heard))
        else:
            unknown += 1
    return found, unknown
