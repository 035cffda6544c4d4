"""Fill the page and write it; the only file that imports jinja2."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asradapt.errors import InputError, UsageError
from asradapt.report.options import ReportOptions
from asradapt.report.plots import require_matplotlib
from asradapt.report.sections import build_sections
from asradapt.scoring import NORMALIZER
from asradapt.scoring.bootstrap import RESAMPLES

if TYPE_CHECKING:
    from asradapt.comparison import Comparison
    from asradapt.curve import Curve

PACKAGES = ("asradapt", "torch", "numpy", "scipy", "jiwer", "soundfile", "matplotlib")


def _is_page(path: Path) -> bool:
    """Whether a file may be replaced by a report: an earlier one, and no manifest, recording or device."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(100).lstrip()[:15].lower() in (b"<!doctype html>", b"")


def check_report(path: Path) -> None:
    """Find out before the work that a report can be made and written.

    Raises:
        UsageError: A library is missing, or the path is a folder or what no report is.
        InputError: The folder does not exist or cannot be written.
    """
    require_matplotlib()
    _jinja()
    if path.exists() and not path.is_dir() and not _is_page(path):
        raise UsageError(f"{path} exists and is no HTML file: it is left as it is; choose another --report")
    if path.is_dir():
        raise UsageError(f"{path} is a folder: give the report a file name, such as report.html")
    folder = path.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{folder} is no folder that can be written: make it, or choose another --report")


def write_report(
    comparison: Comparison, path: Path, options: ReportOptions, *, curve: Curve | None = None
) -> None:
    """Writes one HTML file that needs no other: pictures and recordings are inside, and no request leaves it.

    Args:
        comparison: What was measured.
        path: The file; it is written whole or not at all.
        options: What goes into it.
        curve: A learning curve to show.

    Raises:
        UsageError: A library is missing, or a column of `by` does not exist.
        InputError: The file cannot be written.
    """
    sections = build_sections(comparison, options)
    text = _page().render(
        s=sections,
        c=comparison,
        curve=_curve(curve),
        options=options,
        resamples=f"{RESAMPLES:,}",
        settings=_settings(comparison, options),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path} cannot be written ({error.strerror}): choose another --report") from error
    finally:
        temporary.unlink(missing_ok=True)


def _jinja() -> Any:
    try:
        import jinja2
    except ImportError as error:
        raise UsageError("a report needs jinja2: pip install 'asradapt[report]'") from error
    return jinja2


def _page() -> Any:
    """The template; every value that is put into it is escaped."""
    jinja2 = _jinja()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "percent": _percent,
        "signed": _signed,
        "ends": _ends,
        "within": _within,
        "chance": _chance,
    }
    source = files("asradapt").joinpath("report", "page.html").read_text(encoding="utf-8")
    return environment.from_string(source)


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _signed(value: float) -> str:
    return f"{value:+.1%}"


def _ends(interval: Any) -> str:
    return "too few" if interval.low is None else f"{interval.low:+.1%} to {interval.high:+.1%}"


def _within(interval: Any) -> str:
    return "too few" if interval.low is None else f"{interval.low:.1%} to {interval.high:.1%}"


def _chance(value: float | None) -> str:
    if value is None:
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _curve(curve: Curve | None) -> dict[str, object] | None:
    if curve is None:
        return None
    from asradapt.report.plots import curve_picture

    rates = [[run.after.wer for run in point.runs] for point in curve.points]
    forecasts = [point.forecast for point in curve.points]
    minutes = [point.minutes for point in curve.points]
    return {"curve": curve, "picture": curve_picture(minutes, rates, curve.source.wer, forecasts)}


def _settings(comparison: Comparison, options: ReportOptions) -> dict[str, str]:
    found = {
        "Command": options.command or "made by the library, not by a command",
        "Systems": ", ".join(comparison.systems),
        "Source model": comparison.model or "none",
        "Text normaliser": NORMALIZER,
        "Seed": str(options.seed),
        "Python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
    }
    return found | options.settings | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
