"""The configuration of a training run: read, and checked before hours of extraction are begun."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from asradapt.models.conformer import ConformerOptions
from sets import locate

TABLES = {
    "batch": ("seconds", "longest", "short_steps", "short_seconds", "trim"),
    "optimiser": ("rate", "warmup", "steps", "decay", "weight_decay", "clip", "inner_weight", "average"),
    "augment": (
        "time",
        "warp",
        "noise",
        "telephone",
        "frequency_masks",
        "frequency_width",
        "time_masks",
        "time_share",
    ),
}
CHOSEN = ("mels", "tokens", "phones")  # of the network's options: not the configuration's to choose


def read_config(path: Path) -> dict[str, Any]:
    """Read a configuration.

    Raises:
        SystemExit: Naming everything that is missing, unknown or does not fit.
    """
    try:
        config = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SystemExit(f"configuration {path}: {error}") from error
    problems = [*_tables(config), *_network(config.get("model", {})), *_sets(config)]
    if problems:
        raise SystemExit(f"configuration {path}: " + "; ".join(problems))
    return config


def _tables(config: dict[str, Any]) -> list[str]:
    """What is missing in, or unknown to, the tables of numbers."""
    problems = [] if isinstance(config.get("seed"), int) else ["give seed = a whole number"]
    for table, names in TABLES.items():
        given = config.get(table, {})
        problems += [f"[{table}] lacks {name}" for name in names if name not in given]
        problems += [
            f"[{table}] {name} is unknown; there are {', '.join(names)}" for name in given if name not in names
        ]
    return problems


def _network(shape: dict[str, Any]) -> list[str]:
    """What is wrong with the shape of the network."""
    known = [field.name for field in fields(ConformerOptions) if field.name not in CHOSEN]
    problems = [f"[model] {name} is unknown; there are {', '.join(known)}" for name in shape if name not in known]
    options = {name: shape.get(name, getattr(ConformerOptions(), name)) for name in known}
    if options["heads"] < 1 or options["width"] % (2 * options["heads"]):
        problems.append(f"[model] width {options['width']} is not a multiple of twice {options['heads']} heads")
    if options["kernel"] % 2 == 0:
        problems.append(f"[model] kernel {options['kernel']} is even")
    if any(not 1 <= block <= options["blocks"] for block in options["conditions"]):
        problems.append(f"[model] conditions {options['conditions']} are not among {options['blocks']} blocks")
    return problems


def _sets(config: dict[str, Any]) -> list[str]:
    """Whether there are sets, each with a name and a path."""
    if not config.get("sets"):
        return ["no [[sets]]"]
    every = [*config["sets"], *config.get("validation", ())]
    return ["a set lacks its name or path" for one in every if not {"name", "path"} <= set(one)]


def read_roots(pairs: list[str]) -> dict[str, str]:
    """Folders by name from `NAME=FOLDER`."""
    wrong = [pair for pair in pairs if "=" not in pair]
    if wrong:
        raise SystemExit(f"--root is NAME=FOLDER, not {', '.join(wrong)}")
    return dict(pair.split("=", 1) for pair in pairs)


def check(config: dict[str, Any], roots: dict[str, str], init: Path | None) -> None:
    """See that all files are there.

    Raises:
        SystemExit: Naming the first that is not.
    """
    for options in (*config["sets"], *config.get("validation", ())):
        locate(options, roots)
    if config.get("dictionary"):
        locate({"name": "dictionary", "path": config["dictionary"]}, roots)
    if init:
        try:
            with safe_open(init, "pt"):
                pass
        except (OSError, SafetensorError) as error:
            raise SystemExit(f"--init {init} cannot be read: {error}") from error
