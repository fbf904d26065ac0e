"""The geometry of charts; templates draw it as SVG, in the colours of the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.results.figures import FRACTION, Figure

# Width of a letter of a label, in units of a chart.
_LETTER = 7.4

# Classes that a heat map shows at most.
MOST_CLASSES = 28


@dataclass(frozen=True)
class Line:
    """A path in a chart, in a system's colour; `dots` and `spots` are small and large points, `filled` an area."""

    path: str
    system: int
    label: str = ""
    dots: bool = False
    filled: bool = False
    dash: str = ""
    spots: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over axes. Ticks are (position, label), texts (x, y, text, system)."""

    title: str
    width: int
    height: int
    left: int
    bottom: int
    x_ticks: tuple[tuple[float, str], ...]
    y_ticks: tuple[tuple[float, str], ...]
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    x_system: int = -1
    y_system: int = -1
    diagonal: str = ""
    texts: tuple[tuple[float, float, str, int], ...] = ()


@dataclass(frozen=True)
class HeatCell:
    """One entry of a heat map: its place, its share of the row, and what a pointer over it says."""

    row: int
    column: int
    share: float
    text: str
    about: str
    right: bool


@dataclass(frozen=True)
class HeatMap:
    """Rows truth, columns prediction."""

    title: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[tuple[str, str], ...]
    cells: tuple[HeatCell, ...]
    system: int
    left_out: int
    longest: int


def heat_map(
    matrix: NDArray[np.int64],
    names: Sequence[str],
    colours: Sequence[str],
    title: str,
    system: int,
    shown: Sequence[int],
) -> HeatMap:
    """Shares of each truth class (rows) by prediction; a last column for "no class" where anything is there.

    Parameters
    ----------
    matrix
        (K, K + 1) counts.
    shown
        Positions of the classes that are shown.
    """
    k = len(matrix)
    columns = [*shown, *([k] if matrix[:, k].any() else [])]
    totals = matrix.sum(1)
    cells = []
    for r, i in enumerate(shown):
        for c, j in enumerate(columns):
            if matrix[i, j] == 0:
                continue
            share = float(matrix[i, j] / totals[i])
            name = names[j] if j < k else "no class"
            about = f"{names[i]} taken for {name}" if i != j else f"{names[i]} found"
            text = f"{100 * share:.0f}" if share >= 0.01 else ""
            cells.append(HeatCell(r, c, round(share, 3), text, f"{about}: {100 * share:.1f} %", i == j))
    labelled = [(names[j], colours[j]) if j < k else ("no class", "") for j in columns]
    rows = tuple((names[i], colours[i]) for i in shown)
    longest = min(17, max(len(name) for name, _ in labelled)) if labelled else 0
    return HeatMap(title, rows, tuple(labelled), tuple(cells), system, k - len(shown), longest)


def busiest_classes(matrices: Sequence[NDArray[np.int64]], most: int = MOST_CLASSES) -> list[int]:
    """Positions of the classes with the largest shares of confusion, as many as a heat map shows, ascending."""
    k = len(matrices[0])
    weight = np.zeros(k)
    there = np.zeros(k, bool)
    for matrix in matrices:
        wrong = matrix[:, :k].astype(np.float64).copy()
        np.fill_diagonal(wrong, 0)
        share = wrong / np.maximum(matrix.sum(1, keepdims=True), 1)
        weight += share.sum(1) + share.sum(0)
        there |= (matrix.sum(1) > 0) | (matrix[:, :k].sum(0) > 0)
    order = [int(i) for i in np.argsort(-weight, kind="stable") if there[i]]
    return sorted(order[:most])


def _axes(width: int, height: int, left: int, bottom: int, steps: int) -> tuple[NDArray[np.float64], ...]:
    at = np.linspace(0, 1, steps + 1)
    return at, left + at * (width - left - 12), 12 + (1 - at) * (height - bottom - 12)


def _ticks(places: NDArray[np.float64], at: NDArray[np.float64], end: float = 100.0) -> tuple[tuple[float, str], ...]:
    return tuple((round(float(p), 1), f"{end * a:.4g}") for p, a in zip(places, at, strict=True))


def scatter(
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    labels: tuple[str, str],
    systems: tuple[int, int],
    figure: Figure = FRACTION,
) -> Chart:
    """One dot an image: its figure under two systems; undefined ones are left out."""
    size, left, bottom = 420, 46, 44
    at, xs, ys = _axes(size, size, left, bottom, 5)
    both = ~(np.isnan(first) | np.isnan(second))
    end = figure.reach([*first[both].tolist(), *second[both].tolist()])
    x = xs[0] + first[both] / end * (xs[-1] - xs[0])
    y = ys[0] + second[both] / end * (ys[-1] - ys[0])
    # Dots that share a tenth of a pixel are one dot.
    places = np.unique(np.round(np.stack([x, y], 1), 1), axis=0)
    path = "".join(f"M{a:g} {b:g}h0" for a, b in places.tolist())
    diagonal = f"M{xs[0]:g} {ys[0]:g}L{xs[-1]:g} {ys[-1]:g}"
    title = f"{labels[0]} and {labels[1]} image by image"
    ticks = _ticks(xs, at, figure.scale * end), _ticks(ys, at, figure.scale * end)
    dots = Line(path, systems[1], dots=True)
    return Chart(title, size, size, left, bottom, *ticks, labels[0], labels[1], (dots,), *systems, diagonal)


def points(x: Sequence[float], y: Sequence[float], names: Sequence[str], labels: tuple[str, str], title: str) -> Chart:
    """One labelled dot a system: a fraction y, in percent, over a positive quantity x on a logarithmic axis."""
    width, height, left, bottom = 520, 340, 46, 44
    low, high = np.log10(min(x)), np.log10(max(x))
    margin = max(0.08 * (high - low), 0.06)
    low, high = low - margin, high + 3 * margin  # room for the labels at the right
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if (max(y) - min(y)) / s <= 6)
    bounds = step * (math.floor(min(y) / step - 0.2)), step * (math.ceil(max(y) / step + 0.2))
    bounds = max(0.0, bounds[0]), min(1.0, bounds[1])

    def across(value: float) -> float:
        return round(float(left + (np.log10(value) - low) / (high - low) * (width - left - 12)), 1)

    def down(value: float) -> float:
        share = (value - bounds[0]) / (bounds[1] - bounds[0])
        return round(float(12 + (1 - share) * (height - bottom - 12)), 1)

    x_ticks = tuple((across(m), _short(m)) for m in _decades(low, high))
    count = round((bounds[1] - bounds[0]) / step)
    y_ticks = tuple((down(v), f"{100 * v:g}") for v in (round(bounds[0] + k * step, 6) for k in range(count + 1)))
    dots = tuple(
        Line(f"M{across(a):g} {down(b):g}h0", k, spots=True) for k, (a, b) in enumerate(zip(x, y, strict=True))
    )
    places = []
    for a, b, name in zip(x, y, names, strict=True):
        wide = _LETTER * len(name)
        fits = across(a) + 9 + wide <= width
        places.append((across(a) + 9 if fits else across(a) - 9 - wide, down(b) + 4, name))
    return Chart(title, width, height, left, bottom, x_ticks, y_ticks, *labels, dots, texts=_apart(places))


def _decades(low: float, high: float) -> list[float]:
    """Round quantities between two powers of ten, at least three if there are so many."""
    inside: list[float] = []
    for digits in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)):
        marks = [m * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for m in digits]
        inside = [m for m in marks if low <= math.log10(m) <= high]
        if len(inside) >= 3:
            break
    return inside


def _apart(places: Sequence[tuple[float, float, str]]) -> tuple[tuple[float, float, str, int], ...]:
    """Labels that cover no other: from the lowest up, each is moved up until it is free."""
    placed: list[tuple[float, float, str, int]] = []
    for k in sorted(range(len(places)), key=lambda k: -places[k][1]):
        x, y, name = places[k]

        def covers(other: tuple[float, float, str, int], x: float = x, y: float = y, name: str = name) -> bool:
            reach, own = _LETTER * len(other[2]), _LETTER * len(name)
            return abs(y - other[1]) < 13 and x < other[0] + reach and other[0] < x + own

        while any(covers(other, y=y) for other in placed):
            y -= 3
        placed.append((round(x, 1), round(y, 1), name, k))
    return tuple(placed)


def _short(value: float) -> str:
    """A quantity in few characters: 0.5, 20, 5k, 2M."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def histogram(
    figures: Sequence[NDArray[np.float64]], names: Sequence[str], name_of_figure: str, figure: Figure = FRACTION
) -> Chart:
    """How an image's figure is distributed, one stepped line a system."""
    width, height, left, bottom = 520, 300, 46, 44
    bins, end = 20, figure.reach(v for f in figures for v in f[~np.isnan(f)].tolist())
    counts = [np.histogram(f[~np.isnan(f)].clip(0, end), bins, (0, end))[0] for f in figures]
    top = max(1, int(max(c.max() for c in counts)))
    step_up = next(s * 10**e for e in range(8) for s in (1, 2, 5) if s * 10**e * 4 >= top)
    top = step_up * -(-top // step_up)
    marks = range(0, top + 1, step_up)
    at, xs, ys = _axes(width, height, left, bottom, 5)
    step = (xs[-1] - xs[0]) / bins
    lines = []
    for k, (c, name) in enumerate(zip(counts, names, strict=True)):
        level = ys[0] + c / top * (ys[-1] - ys[0])
        path = f"M{xs[0]:g} {ys[0]:g}" + "".join(
            f"V{v:.1f}H{xs[0] + (i + 1) * step:.1f}" for i, v in enumerate(level.tolist())
        )
        lines.append(Line(path + f"V{ys[0]:g}Z", k, name, filled=True))
    y_ticks = tuple((round(float(ys[0] + m / top * (ys[-1] - ys[0])), 1), str(m)) for m in marks)
    title, label = f"distribution of each image's {name_of_figure}", f"{name_of_figure} of an image"
    x_ticks = _ticks(xs, at, figure.scale * end)
    return Chart(title, width, height, left, bottom, x_ticks, y_ticks, label, "images", tuple(lines))


def precision_recall(curves: Sequence[tuple[str, int, str, NDArray[np.float64], NDArray[np.float64]]]) -> Chart:
    """Precision over recall, from (label, system, dash, recall, precision)."""
    width, height, left, bottom = 520, 360, 46, 44
    at, xs, ys = _axes(width, height, left, bottom, 5)
    lines = []
    for label, system, dash, recall, precision in curves:
        x = xs[0] + recall * (xs[-1] - xs[0])
        y = ys[0] + precision * (ys[-1] - ys[0])
        path = "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
        lines.append(Line(path, system, label, dash=dash))
    ticks = _ticks(xs, at), _ticks(ys, at)
    return Chart("precision over recall", width, height, left, bottom, *ticks, "recall", "precision", tuple(lines))
