"""Numbers for parts of the images: night and day, small and large; from the rows that were kept."""

from __future__ import annotations

from dataclasses import dataclass

from segeval.result import Result


@dataclass(frozen=True)
class Slice:
    """The images that share one value of one attribute.

    Parameters
    ----------
    attribute, value
        Such as ``light`` and ``night``.
    result
        Their score, with intervals if those were asked for; `result.images` says how many.
    """

    attribute: str
    value: str
    result: Result


@dataclass(frozen=True)
class Gap:
    """How far one metric's best and worst slices of one attribute lie apart: ``value = best - worst``.

    `low` and `high` bound it (both slices resampled within themselves), NaN unless intervals were asked for. The two
    slices were chosen for being extreme, so with many slices a gap is above 0 by chance alone.
    """

    attribute: str
    metric: str
    best: str
    worst: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Slices:
    """All slices of a run, by attribute and then by value, and the gaps of each attribute and metric."""

    slices: tuple[Slice, ...]
    gaps: tuple[Gap, ...]
