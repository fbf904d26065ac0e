"""The tables of a report: cells with bars, intervals, swatches and marks, before they become HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from segeval.results.figures import FRACTION, Figure
from segeval.results.tables import DASH, printable


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `value` with the interval [low, high], in percent of the track."""

    value: float
    low: float
    high: float
    system: int = 0


@dataclass(frozen=True)
class Span:
    """An interval around a point on a track that holds 0 somewhere, in percent of the track."""

    value: float
    low: float
    high: float
    zero: float
    sure: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell: what is read, what it sorts by, and what is drawn."""

    text: str = ""
    sort: float | str | None = None
    bars: tuple[Bar, ...] = ()
    span: Span | None = None
    parts: tuple[tuple[str, float], ...] = ()
    swatch: str = ""
    letter: str = ""
    mark: str = ""
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Header:
    """A column's head. `kind` is ``text``, ``number`` or ``drawing``; `system` colours it."""

    text: str
    kind: str = "number"
    about: str = ""
    system: int = -1


@dataclass(frozen=True)
class Grid:
    """A table that sorts; the first column names the row."""

    name: str
    headers: tuple[Header, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str = ""
    legend: tuple[tuple[str, str], ...] = ()
    tall: bool = False
    dense: bool = False


def number(value: float, bounds: tuple[float, float] | None = None, figure: Figure = FRACTION, **more: object) -> Cell:
    """A figure as people read it, perhaps with its interval below."""
    note = ""
    if bounds is not None and not any(map(math.isnan, bounds)):
        note = f"{figure.show(bounds[0])} – {figure.show(bounds[1])}"
    return Cell(text=figure.show(value), sort=None if value != value else value, note=note, **more)  # type: ignore[arg-type]


def count(value: int) -> Cell:
    """A whole number, its thousands apart."""
    return Cell(text=f"{value:,}".replace(",", "\N{THIN SPACE}"), sort=float(value))


def words(text: object, *, swatch: str = "", letter: str = "", sort: float | str | None = None) -> Cell:
    """A text without control characters, perhaps with a class's colour or a system's letter before it."""
    plain = printable(str(text))
    return Cell(text=plain, sort=plain.lower() if sort is None else sort, swatch=swatch, letter=letter)


def bar(value: float, bounds: tuple[float, float] | None, system: int, scale: float = 1.0) -> Bar | None:
    """A bar of a value on a track that ends at `scale`, or None where the value is undefined."""
    if value != value:
        return None
    low, high = bounds if bounds is not None and not any(map(math.isnan, bounds)) else (value, value)
    shown, left, right = (round(100 * min(1.0, max(0.0, v / scale)), 2) for v in (value, low, high))
    return Bar(shown, left, right, system)


def bars(made: Sequence[Bar | None], sort: float) -> Cell:
    """A cell of bars, one below the other; undefined ones leave their place empty."""
    if not any(made):
        return Cell(DASH)
    drawn = tuple(b if b is not None else Bar(0, 0, 0, k) for k, b in enumerate(made))
    return Cell(sort=None if sort != sort else sort, bars=drawn)


def difference(value: float, figure: Figure = FRACTION) -> str:
    """A signed difference: of fractions in points."""
    if value != value:
        return DASH
    return f"{figure.scale * value:+.{figure.digits}f}".replace("-", "\N{MINUS SIGN}")


def spans(rows: Sequence[tuple[float, float, float, bool]]) -> list[Span | None]:
    """Intervals (value, low, high, sure) on one common scale around 0."""
    finite = [abs(v) for row in rows for v in row[:3] if not math.isnan(v)]
    reach = max(finite, default=0.0) * 1.05 or 1.0

    def place(v: float) -> float:
        return round(50 + 50 * v / reach, 2)

    return [
        None if any(map(math.isnan, (v, low, high))) else Span(place(v), place(low), place(high), 50.0, sure)
        for v, low, high, sure in rows
    ]
