"""How a figure is read: what it says, which direction is better, its unit and its bounds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from segeval.results.tables import DASH


@dataclass(frozen=True)
class Figure:
    """What a person, a board and a gate need to know of a number.

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

    @property
    def scale(self) -> float:
        """What a value is multiplied by before people read it."""
        return 100.0 if self.unit == "%" else 1.0

    @property
    def bounded(self) -> bool:
        """Whether both bounds are finite, so that a bar has an end."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def reach(self, values: Iterable[float]) -> float:
        """Where an axis of these values ends: at the largest possible value, or at a round one above all of them."""
        if self.bounded:
            return self.high
        most = max((v for v in values if math.isfinite(v)), default=0.0) or 1.0
        power = 10.0 ** math.floor(math.log10(most / 5))
        step = next(power * m for m in (1, 2, 2.5, 5, 10) if 5 * power * m >= most)
        return 5 * step

    def show(self, value: float) -> str:
        """The value as a person reads it, without its unit; a dash where it is undefined."""
        return DASH if math.isnan(value) else f"{self.scale * value:.{self.digits}f}"

    def signed(self, value: float) -> str:
        """A difference as a person reads it: +1.8, and 0.0 without a sign."""
        if math.isnan(value):
            return DASH
        text = f"{self.scale * value:+.{self.digits}f}"
        return text[1:] if float(text) == 0 else text

    def between(self, low: float, high: float) -> str:
        """The two ends of an interval."""
        return DASH if math.isnan(low) or math.isnan(high) else f"[{self.show(low)}, {self.show(high)}]"

    def signed_between(self, low: float, high: float) -> str:
        """The two ends of a difference's interval."""
        return DASH if math.isnan(low) or math.isnan(high) else f"[{self.signed(low)}, {self.signed(high)}]"

    def gain(self, value: float) -> float:
        """A value or a difference turned so that more is better."""
        return 0.0 - value if self.lower_is_better else value

    def best(self, values: Iterable[float]) -> float:
        """The best of some values, undefined ones apart; NaN without any."""
        return max((v for v in values if not math.isnan(v)), key=self.gain, default=math.nan)


FRACTION = Figure()
"""A fraction in [0, 1] of which more is better: what a rule's figures are unless it says otherwise."""


def distance(about: str, unit: str = "px") -> Figure:
    """A distance: unbounded, and less is better."""
    return Figure(about, unit, lower_is_better=True, high=math.inf, digits=2)
