"""How a figure is read: what it says, which direction is better, its unit and its bounds."""

from __future__ import annotations

import math
from dataclasses import dataclass

from segeval.results.tables import DASH, percent


@dataclass(frozen=True)
class Figure:
    """What a person and a gate need to know of a number.

    Parameters
    ----------
    about
        What it is, in a line.
    unit
        ``%``: a fraction that people read times 100; ``""``: a bare number; otherwise a unit such as ``px`` or ``mm``.
    lower_is_better
        Whether the smaller of two values is the better one, as for distances and errors.
    low, high
        The least and the largest value possible.
    digits
        Places after the point where people read it.
    """

    about: str = ""
    unit: str = "%"
    lower_is_better: bool = False
    low: float = 0.0
    high: float = 1.0
    digits: int = 1

    def show(self, value: float) -> str:
        """The value as a person reads it, without its unit; a dash where it is undefined."""
        if self.unit == "%":
            return percent(value, self.digits)
        return DASH if math.isnan(value) else f"{value:.{self.digits}f}"

    def quality(self, value: float) -> float:
        """The value turned so that more is better."""
        return -value if self.lower_is_better else value

    def best(self, values: list[float]) -> float:
        """The best of some values, undefined ones apart; NaN without any."""
        defined = [v for v in values if not math.isnan(v)]
        return max(defined, key=self.quality) if defined else math.nan


FRACTION = Figure()
"""A fraction in [0, 1] of which more is better: what a rule's figures are unless it says otherwise."""


def distance(about: str, unit: str = "px") -> Figure:
    """A distance: unbounded, and less is better."""
    return Figure(about, unit, lower_is_better=True, high=math.inf, digits=2)
