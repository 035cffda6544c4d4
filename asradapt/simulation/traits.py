"""Who has an accent or an impediment, which one, and how strong."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random

from asradapt.errors import UsageError

RANDOM = "random"
STRENGTHS = (0.3, 1.0)
"""Between which strengths are drawn."""


@dataclass(frozen=True)
class Trait:
    """An accent or an impediment that speakers are drawn with.

    Attributes:
        name: Of the accent or impediment, or `random`.
        strength: 0 to 1; None draws one for each speaker.
    """

    name: str
    strength: float | None = None


def check_traits(traits: Sequence[Trait], find: Callable[[str], object]) -> None:
    """Check names, with a function that raises, and strengths.

    Raises:
        UnknownName: From `find`.
        UsageError: A strength outside 0 to 1.
    """
    for trait in traits:
        if trait.name != RANDOM:
            find(trait.name)
    bad = [f"{t.name} {t.strength:g}" for t in traits if t.strength is not None and not 0 <= t.strength <= 1]
    if bad:
        raise UsageError(f"a strength is from 0 to 1, not {', '.join(bad)}")


def draw_traits(
    traits: Sequence[Trait], share: float, names: Iterable[str], count: int, seed: str
) -> list[Trait | None]:
    """One of some traits, with a strength, for a share of `count` speakers, and None for the others.

    Args:
        traits: None of them gives nobody one.
        share: 0 to 1.
        names: What `random` draws from.
        count: Speakers.
        seed: Decides everything.
    """
    marks = mark(share if traits else 0.0, count, Random(seed))
    known = sorted(names)
    return [_draw(traits, known, Random(f"{seed} {n}")) if marked else None for n, marked in enumerate(marks)]


def _draw(traits: Sequence[Trait], known: Sequence[str], rng: Random) -> Trait:
    trait, name, strength = rng.choice(traits), rng.choice(known), round(rng.uniform(*STRENGTHS), 3)
    if trait.name == RANDOM:
        trait = replace(trait, name=name)
    return trait if trait.strength is not None else replace(trait, strength=strength)


def mark(share: float, count: int, rng: Random) -> list[bool]:
    """A share of `count`, rounded, at random places."""
    marks = [number < round(share * count) for number in range(count)]
    return rng.sample(marks, count)
