"""The pictures of a report, as SVG; the only file that imports matplotlib.

What is better or worse, before or after, differs in the form of its marks too, never in colour alone. The
colours are Okabe and Ito's, which people with any colour vision tell apart.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asradapt.errors import UsageError
from asradapt.scoring import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#555555"
NAMED_UP_TO = 20  # people with a line of their own; more become points
WIDTH = 5.4  # inches; narrow, so that the letters can be read on a phone


@dataclass(frozen=True)
class Picture:
    """A picture for HTML.

    Attributes:
        source: A `data:` address that holds all of it.
        alt: What it shows, in words.
        caption: What stands below it.
    """

    source: str
    alt: str
    caption: str


def require_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises:
        UsageError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError("a report needs matplotlib: pip install 'asradapt[report]'") from error


def _figure(height: float) -> tuple[Figure, Axes]:
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"font.family": "DejaVu Sans", "font.size": 11}):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _encoded(figure: Figure) -> str:
    import matplotlib

    buffer = io.BytesIO()
    # With the salt, the same picture has the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "asradapt"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _plain(text: str) -> str:
    """A text without what matplotlib would take for formulas."""
    return text.replace("$", r"\$")


def speakers_picture(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], labels: tuple[str, str]
) -> Picture:
    """Everybody's error rate before and after: a line each, or points where there are many."""
    draw = _lines if len(names) <= NAMED_UP_TO else _points
    source = _encoded(draw(names, before, after, labels))
    better = sum(a < b for a, b in zip(after, before, strict=True))
    worse = sum(a > b for a, b in zip(after, before, strict=True))
    counts = f"{better} of {len(names)} speakers better, {len(names) - better - worse} equal, {worse} worse"
    detail = "; ".join(
        f"{name} {b:.0%} before, {a:.0%} after"
        for name, b, a in zip(names[:10], before[:10], after[:10], strict=True)
    )
    more = "" if len(names) <= 10 else f"; and {len(names) - 10} more"
    return Picture(
        source,
        f"Word error rate of every speaker before, with {labels[0]}, and after, with {labels[1]}: {counts}. "
        f"{detail}{more}.",
        f"Word error rate of every speaker, {labels[0]} and {labels[1]}: {counts}.",
    )


def _lines(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], labels: tuple[str, str]
) -> Figure:
    figure, axes = _figure(1.0 + 0.28 * len(names))
    places = range(len(names))
    for place, b, a in zip(places, before, after, strict=True):
        axes.plot([b, a], [place, place], color=ORANGE if a > b else GREY, linewidth=1.5, zorder=1)
    # Not clipped: marks at 0 are whole ones.
    whole: dict[str, Any] = {"clip_on": False}
    hollow = whole | {"facecolors": "white", "edgecolors": GREY}
    axes.scatter(before, places, marker="o", label=_plain(labels[0]), zorder=2, **hollow)
    axes.scatter(after, places, marker="D", color=BLUE, label=_plain(labels[1]), zorder=3, **whole)
    axes.set_yticks(list(places), [_plain(name) for name in names])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    _rates(axes, "x")
    axes.set_xlabel("word error rate")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    return figure


def _points(
    names: Sequence[str], before: Sequence[float], after: Sequence[float], labels: tuple[str, str]
) -> Figure:
    figure, axes = _figure(5.0)
    top = max([*before, *after, 0.01]) * 1.05
    axes.plot([0, top], [0, top], color=GREY, linestyle="--", linewidth=1)
    pairs = list(zip(before, after, strict=True))
    for chosen, marker, color, label in (
        ([p for p in pairs if p[1] < p[0]], "o", BLUE, "better"),
        ([p for p in pairs if p[1] == p[0]], "x", GREY, "equal"),
        ([p for p in pairs if p[1] > p[0]], "^", ORANGE, "worse"),
    ):
        if chosen:  # whole marks, also at the edge
            axes.scatter(
                *zip(*chosen, strict=True), marker=marker, color=color, label=label, clip_on=False, zorder=3
            )
    axes.set_xlim(0, top)
    axes.set_ylim(0, top)
    _rates(axes, "x")
    _rates(axes, "y")
    axes.set_xlabel(f"word error rate, {_plain(labels[0])}")
    axes.set_ylabel(f"word error rate, {_plain(labels[1])}")
    axes.legend(frameon=False)
    return figure


def groups_picture(key: str, names: Sequence[str], rates: Mapping[str, Sequence[Interval]]) -> Picture:
    """Error rates of groups by one system or two, with intervals where there are any."""
    figure, axes = _figure(1.2 + 0.5 * len(names))
    shifts = (-0.14, 0.14) if len(rates) > 1 else (0.0,)
    for shift, (marker, color), (label, own) in zip(
        shifts, (("o", GREY), ("D", BLUE)), rates.items(), strict=False
    ):
        places = [place + shift for place in range(len(names))]
        axes.errorbar(
            [one.difference for one in own],
            places,
            xerr=[[_reach(one, one.low) for one in own], [_reach(one, one.high) for one in own]],
            fmt=marker,
            color=color,
            capsize=3,
            linewidth=1.2,
            label=_plain(label),
            clip_on=False,
            zorder=3,
        )
    axes.set_yticks(range(len(names)), [_plain(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(left=0)
    _rates(axes, "x")
    axes.set_xlabel("word error rate")
    figure.legend(frameon=False, loc="outside lower center", ncols=2)
    caption = f"Word error rate by {key}, {' and '.join(rates)}, with 95% intervals over speakers."
    detail = "; ".join(
        f"{name}: " + ", ".join(f"{_spoken(own[place])} with {label}" for label, own in rates.items())
        for place, name in enumerate(names)
    )
    return Picture(_encoded(figure), f"{caption} {detail}.", caption)


def _reach(rate: Interval, end: float | None) -> float:
    """How far an interval reaches to one side; 0 where there is none."""
    return 0.0 if end is None else abs(end - rate.difference)


def _spoken(rate: Interval) -> str:
    """A rate with its interval in words, for who does not see the picture."""
    if rate.low is None or rate.high is None:
        return f"{rate.difference:.0%} (no interval)"
    return f"{rate.difference:.0%} (interval {rate.low:.0%} to {rate.high:.0%})"


def curve_picture(
    minutes: Sequence[float],
    rates: Sequence[Sequence[float]],
    source: float,
    forecasts: Sequence[float | None],
) -> Picture:
    """Error rate against minutes of enrolment: every repeat, their mean, the source, and forecasts."""
    figure, axes = _figure(4.0)
    means = [sum(values) / len(values) for values in rates]
    axes.axhline(source, color=GREY, linestyle="--", linewidth=1, label="source")
    for x, values in zip(minutes, rates, strict=True):
        axes.scatter([x] * len(values), values, marker="o", facecolors="white", edgecolors=BLUE, zorder=2)
    axes.plot(minutes, means, color=BLUE, marker="D", markersize=4, label="mean of the repeats", zorder=3)
    told = [(x, y) for x, y in zip(minutes, forecasts, strict=True) if y is not None]
    if told:
        xs, ys = zip(*told, strict=True)
        axes.scatter(xs, ys, marker="x", color=ORANGE, label="forecast from the points before", zorder=4)
    axes.set_xscale("log")
    axes.set_xticks(list(minutes), [f"{x:g}" for x in minutes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    _rates(axes, "y")
    axes.set_xlabel("minutes of enrolment")
    axes.set_ylabel("word error rate")
    axes.legend(frameon=False)
    detail = "; ".join(f"{x:g} min {mean:.1%}" for x, mean in zip(minutes, means, strict=True))
    caption = "Learning curve: word error rate on the test recordings by minutes of enrolment."
    return Picture(_encoded(figure), f"{caption} Source {source:.1%}; {detail}.", caption)


def _rates(axes: Axes, which: str) -> None:
    from matplotlib.ticker import PercentFormatter

    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.grid(axis=which, color="#dddddd", linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
