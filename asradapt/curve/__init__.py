"""Learning curves: what more minutes of enrolment bring, measured, with repeats, in batched jobs.

A point of the curve is a person like any other, with a part of the recordings: all points and repeats of all
people are enrolled together (Viering and Loog, TPAMI 2023, on learning curves and their power laws).
"""

from __future__ import annotations

from asradapt.curve.draw import draw, forecast
from asradapt.curve.learning import learning_curve
from asradapt.curve.points import Curve, CurveOptions, Point, Run

__all__ = ["Curve", "CurveOptions", "Point", "Run", "draw", "forecast", "learning_curve"]
