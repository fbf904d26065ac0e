"""The geometry of charts; templates draw it as SVG, in the colours of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Classes that a heat map shows at most.
MOST_CLASSES = 28


@dataclass(frozen=True)
class Line:
    """A path in a chart, in the colour of a system; `dots` says that it is points, `filled` that it is an area."""

    path: str
    system: int
    label: str = ""
    dots: bool = False
    filled: bool = False
    dash: str = ""


@dataclass(frozen=True)
class Chart:
    """Lines over axes. Ticks are (position, label)."""

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


def _ticks(places: NDArray[np.float64], at: NDArray[np.float64]) -> tuple[tuple[float, str], ...]:
    return tuple((round(float(p), 1), f"{100 * a:.0f}") for p, a in zip(places, at, strict=True))


def scatter(
    first: NDArray[np.float64], second: NDArray[np.float64], labels: tuple[str, str], systems: tuple[int, int]
) -> Chart:
    """One dot an image: its figure under two systems; undefined ones are left out."""
    size, left, bottom = 420, 46, 44
    at, xs, ys = _axes(size, size, left, bottom, 5)
    both = ~(np.isnan(first) | np.isnan(second))
    x = xs[0] + first[both] * (xs[-1] - xs[0])
    y = ys[0] + second[both] * (ys[-1] - ys[0])
    # Dots that share a tenth of a pixel are one dot.
    places = np.unique(np.round(np.stack([x, y], 1), 1), axis=0)
    path = "".join(f"M{a:g} {b:g}h0" for a, b in places.tolist())
    diagonal = f"M{xs[0]:g} {ys[0]:g}L{xs[-1]:g} {ys[-1]:g}"
    title = f"{labels[0]} and {labels[1]} image by image"
    ticks = _ticks(xs, at), _ticks(ys, at)
    dots = Line(path, systems[1], dots=True)
    return Chart(title, size, size, left, bottom, *ticks, labels[0], labels[1], (dots,), *systems, diagonal)


def histogram(figures: Sequence[NDArray[np.float64]], names: Sequence[str], figure: str, bins: int = 20) -> Chart:
    """How an image's figure is distributed, one stepped line a system."""
    width, height, left, bottom = 520, 300, 46, 44
    counts = [np.histogram(f[~np.isnan(f)].clip(0, 1), bins, (0, 1))[0] for f in figures]
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
    title = f"distribution of each image's {figure}"
    return Chart(
        title, width, height, left, bottom, _ticks(xs, at), y_ticks, f"{figure} of an image", "images", tuple(lines)
    )


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
