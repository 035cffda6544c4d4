"""The configuration of a recipe: a small TOML file, whose mistakes are named before any work."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from asradapt.errors import UsageError
from splits import SplitOptions


@dataclass(frozen=True)
class Simulated:
    """People to simulate, who read sentences of `asradapt prompts`.

    Attributes:
        sentences: How many to enrol with; as many others are measured.
        speakers: How many people.
        seed: Seed of the people and of what they do.
        voices: Voices, such as `flite:awb`.
        traits: One condition each: the options of `asradapt simulate` for an accent or impediment.
    """

    sentences: int
    speakers: int
    seed: int
    voices: list[str]
    traits: dict[str, list[str]]


@dataclass(frozen=True)
class Recipe:
    """A recipe.

    Attributes:
        name: Of the recipe and its results.
        manifest: Manifest below the data folder that has the parts already.
        layout: Parser of the data folder, where it has no manifest.
        by: Columns whose groups are reported.
        enroll: More options of `asradapt enroll`.
        curve: Minutes of the learning curve; empty for none.
        repeats: Draws of the learning curve.
        adapt: Whether people are enrolled; otherwise the source alone is measured.
        split: How to split what a parser found.
        simulate: People to simulate instead of data.
    """

    name: str
    manifest: str = ""
    layout: str = ""
    by: list[str] = field(default_factory=list)
    enroll: list[str] = field(default_factory=list)
    curve: str = ""
    repeats: int = 3
    adapt: bool = True
    split: SplitOptions = field(default_factory=SplitOptions)
    simulate: Simulated | None = None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises:
        UsageError: The file cannot be read, or holds mistakes; all are named.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}): give the config.toml of a recipe") from error
    problems = _unknown(content, Recipe, "")
    for table, kind in (("split", SplitOptions), ("simulate", Simulated)):
        problems += _unknown(content.get(table, {}), kind, f"[{table}] ")
    if "simulate" in content:
        missing = {one.name for one in fields(Simulated)} - content["simulate"].keys()
        problems += [f"[simulate] lacks {', '.join(sorted(missing))}"] if missing else []
    if sum(bool(content.get(key)) for key in ("manifest", "layout", "simulate")) != 1:
        problems.append("give one of manifest, layout and [simulate]")
    if problems or "name" not in content:
        raise UsageError(f"{path}: {'; '.join(problems) or 'name is missing'}")
    if "split" in content:
        content["split"] = SplitOptions(**content["split"])
    if "simulate" in content:
        content["simulate"] = Simulated(**content["simulate"])
    return Recipe(**content)


def _unknown(content: dict[str, Any], kind: Any, where: str) -> list[str]:
    known = {one.name for one in fields(kind)}
    return [
        f"{where}{key} is unknown; there are {', '.join(sorted(known))}" for key in content if key not in known
    ]
