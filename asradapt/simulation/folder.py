"""The folder of a simulation: what it was made with, and the rows that are already in its manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from asradapt.errors import ManifestError, UsageError
from asradapt.simulation.plan import PlanOptions, flat

MANIFEST = "manifest.jsonl"
SETTINGS = "simulation.json"
_SHOWN = {"installed": "installed voices"}


def open_folder(out: Path, settings: dict[str, Any] | None) -> None:
    """Make the folder, and refuse to mix the results of two plans, or of a plan and something else.

    Args:
        out: The folder; one without any row is as good as a new one.
        settings: What decided the plan; None asks nothing.

    Raises:
        UsageError: It is a file, or was made with something else.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is not a folder: choose another name")
    out.mkdir(parents=True, exist_ok=True)
    if settings is None:
        return
    manifest = out / MANIFEST
    if manifest.exists() and manifest.stat().st_size:
        _compare(out, settings)
    else:
        _replace(out / SETTINGS, json.dumps(settings, indent=1) + "\n")


def _compare(out: Path, settings: dict[str, Any]) -> None:
    before = _read_settings(out / SETTINGS)
    if before is None:
        raise UsageError(
            f"{out / MANIFEST} is not from this command ({SETTINGS} is missing): choose another folder"
        )
    differing = [_SHOWN.get(name, name) for name in _differing(before, settings)]
    if differing:
        raise UsageError(
            f"{out} was made with other {', '.join(differing)} (see {SETTINGS}): choose another folder, "
            "or the same options to go on where it stopped"
        )


def _read_settings(path: Path) -> dict[str, Any] | None:
    """What an earlier run wrote; None where there was none."""
    if not path.exists():
        return None
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        before = None
    if not isinstance(before, dict):
        raise UsageError(f"{path} is damaged, so nothing tells how its folder was made: choose another folder")
    return before


def _differing(before: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """The names that differ; an option that the earlier run did not know had its default."""
    usual = settings | flat(PlanOptions())
    return sorted(
        name
        for name in before.keys() | settings.keys()
        if before.get(name, usual.get(name)) != settings.get(name, usual.get(name))
    )


def read_rows(out: Path) -> list[dict[str, Any]]:
    """The rows so far; a half-written last line and rows whose audio is missing are taken out of the file.

    Raises:
        ManifestError: A line is broken.
    """
    manifest = out / MANIFEST
    if not manifest.exists():
        return []
    text = manifest.read_text(encoding="utf-8", errors="replace")
    lines = text[: text.rfind("\n") + 1].split("\n")[:-1]
    rows = [_row(manifest, number, line) for number, line in enumerate(lines, start=1)]
    kept = [place for place, row in enumerate(rows) if (out / row["audio_filepath"]).is_file()]
    whole = "".join(lines[place] + "\n" for place in kept)
    if whole != text:
        _replace(manifest, whole)
    return [rows[place] for place in kept]


def _row(manifest: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        if isinstance(row["audio_filepath"], str) and float(row["duration"]) >= 0:
            return dict(row)
    except (ValueError, TypeError, KeyError):
        pass
    raise ManifestError(
        f"line {number} of {manifest} is broken, so it cannot be gone on with: take the line out, and its "
        "utterance is made again"
    )


def _replace(path: Path, text: str) -> None:
    """Write a file in one go, so that a kill leaves the old one or the new one."""
    part = path.with_suffix(".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
