"""The sections of a report, as tables and sentences."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.comparison.comparing import Comparison, System
from segeval.comparison.slices import Gap, Slices
from segeval.metrics.options import options
from segeval.report.grids import (
    Cell,
    Grid,
    Header,
    bar,
    bars,
    count,
    difference,
    number,
    spans,
    words,
)
from segeval.results.result import Result
from segeval.results.result_tables import COLUMNS, COUNTS
from segeval.results.tables import percent
from segeval.samples.taxonomy import Taxonomy

# Sentences that a person reads before the table.
MOST_VERDICTS = 6

HEADLINES = {"semantic": "mIoU", "panoptic": "PQ", "instance": "AP"}
FIGURES = {"semantic": "IoU", "panoptic": "PQ", "instance": "AP"}

ABOUT = {
    "mIoU": "mean over classes of intersection over union",
    "fwIoU": "IoU weighted by each class's share of the truth",
    "aAcc": "pixels of the right class",
    "mAcc": "mean over classes of recall",
    "mDice": "mean over classes of the Dice coefficient",
    "PQ": "panoptic quality: SQ × RQ, mean over classes",
    "SQ": "segmentation quality: mean IoU of the matches",
    "RQ": "recognition quality: F1 of the matches",
    "AP": "average precision over IoU 0.50 to 0.95",
    "AP50": "average precision at IoU 0.50",
    "AP75": "average precision at IoU 0.75",
}


def hexadecimal(colour: Sequence[int]) -> str:
    """``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def headline(systems: Sequence[System], metric: str) -> Grid:
    """One row a system, one column a headline value; the best of a column stands out."""
    names = list(systems[0].result.values)
    several = len(systems) > 1
    best = {
        n: max((s.result.values[n] for s in systems if not math.isnan(s.result.values[n])), default=math.nan)
        for n in names
    }
    heads = [Header("system", "text"), *(Header(n, about=ABOUT.get(n, "")) for n in names)]
    rows = []
    for s in systems:
        cells = [words(s.name, letter=s.mark if several else "")]
        for n in names:
            value = s.result.values[n]
            mark = ",".join(s.better_than) if n == metric else ""
            cells.append(number(value, s.result.intervals.get(n), mark=mark, best=several and value == best[n]))
        rows.append(tuple(cells))
    return Grid("headline", tuple(heads), tuple(rows), dense=len(names) > 9)


def verdicts(comparison: Comparison) -> list[str]:
    """What the comparison says in words, one sentence a pair of systems; of many only those with the best one."""
    chosen = [d for d in comparison.differences if d.metric == comparison.metric]
    if len(chosen) > MOST_VERDICTS:
        values = [s.result.values[comparison.metric] for s in comparison.systems]
        best = int(np.argmax(np.nan_to_num(values, nan=-1.0)))
        chosen = [d for d in chosen if best in (d.first, d.second)][:MOST_VERDICTS]
    said = []
    for d in chosen:
        a, b = comparison.systems[d.first].name, comparison.systems[d.second].name
        if math.isnan(d.value):
            said.append(f"{a} and {b} can't be compared in {d.metric}: it is undefined in one of them.")
            continue
        bounds = f"{difference(abs(d.value))} {d.metric}"
        low, high = (d.low, d.high) if d.value >= 0 else (-d.high, -d.low)
        interval = f"{percent(comparison.interval.level, 0)} % interval {difference(low)} to {difference(high)}"
        p = probability(d.p)
        if d.significant:
            better, worse = (b, a) if d.value > 0 else (a, b)
            said.append(f"{better} is significantly better than {worse}: {bounds} ({interval}, p {p}).")
        else:
            said.append(f"{a} and {b} are not significantly different in {d.metric} ({bounds}, {interval}, p {p}).")
    return said


def probability(p: float) -> str:
    """``= 0.012``, or ``< 0.001``; undefined is a dash."""
    if p != p:
        return "–"
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def pairs(comparison: Comparison) -> Grid:
    """Every pair of systems in the metric that decides: difference, interval, p, and the count of images."""
    chosen = [d for d in comparison.differences if d.metric == comparison.metric]
    drawn = spans([(d.value, d.low, d.high, d.significant) for d in chosen])
    records = {(r.first, r.second): r for r in comparison.records}
    heads = (
        Header("pair", "text"),
        Header(f"Δ {comparison.metric}", about="second minus first, in points"),
        Header("interval", "drawing", "of the difference; the line is no difference"),
        Header("p", about="after Holm's correction over the pairs: this one decides"),
        Header("p randomization", about="paired randomization test, not corrected"),
        Header("p bootstrap", about="paired bootstrap, not corrected"),
        Header("better", about="images in which the second is better"),
        Header("same"),
        Header("worse", about="images in which the second is worse"),
    )
    rows = []
    for d, span in zip(chosen, drawn, strict=True):
        a, b = comparison.systems[d.first], comparison.systems[d.second]
        r = records.get((d.first, d.second))
        counts = [count(v) for v in (r.wins, r.ties, r.losses)] if r else [Cell("–")] * 3
        delta = Cell(difference(d.value), None if math.isnan(d.value) else d.value, best=d.significant)
        note = f"{difference(d.low)} to {difference(d.high)}"
        chance = [
            Cell(probability(p).removeprefix("= "), None if p != p else p)
            for p in (d.p, d.p_randomization, d.p_bootstrap)
        ]
        name = words(f"{b.name} − {a.name}")
        rows.append((name, delta, Cell(sort=delta.sort, span=span, note=note), *chance, *counts))
    return Grid("pairs", heads, tuple(rows))


def classes(
    systems: Sequence[System], comparison: Comparison | None, taxonomy: Taxonomy, colours: Sequence[str]
) -> Grid:
    """One row a class: bars with intervals, figures, and differences to the first system."""
    first = systems[0].result
    figure = FIGURES[first.task]
    several = len(systems) > 1
    bounds = [_class_bounds(s.result, figure) for s in systems]
    heads = [Header("class", "text"), Header(figure, "drawing", "bars from 0 to 100; whiskers are the interval")]
    shown = [c for c in COLUMNS[first.task] if c != "recall"]  # which is Acc
    others = shown if first.per_class and not several else []
    if several:
        heads += [Header(s.mark, about=f"{figure} of {s.name}", system=k) for k, s in enumerate(systems)]
        heads += [
            Header(f"{s.mark} − {systems[0].mark}", about=f"{figure} of {s.name} minus that of {systems[0].name}")
            for s in systems[1:]
        ]
    heads += [Header(name, about=ABOUT.get(name, "")) for name in others]
    if "pixels" in (first.per_class[0] if first.per_class else {}):
        heads.append(Header("share", about="of the truth's pixels"))
    total = sum(int(row.get("pixels", 0)) for row in first.per_class) or 1
    change = {} if comparison is None else {(c.second, c.id): c for c in comparison.classes if c.first == 0}
    rows = []
    for k, row in enumerate(first.per_class):
        values = [float(s.result.per_class[k][figure]) for s in systems]
        made = [bar(v, b.get(int(row["id"])), i) for i, (v, b) in enumerate(zip(values, bounds, strict=True))]
        top = max((v for v in values if v == v), default=math.nan)
        cells = [words(row["name"], swatch=colours[k]), bars(made, values[0])]
        if several:
            cells += [number(v, b.get(int(row["id"])), best=v == top) for v, b in zip(values, bounds, strict=True)]
            for j, v in enumerate(values[1:], 1):
                d = change.get((j, int(row["id"])))
                delta = v - values[0]
                note = f"{difference(d.low)} to {difference(d.high)}" if d and d.low == d.low else ""
                sure = d is not None and (d.low > 0 or d.high < 0)
                cells.append(Cell(difference(delta), None if delta != delta else delta, note=note, best=sure))
        for name in others:
            interval = bounds[0].get(int(row["id"])) if name == figure else None
            cells.append(count(int(row[name])) if name in COUNTS else number(float(row[name]), interval))
        if "pixels" in row:
            cells.append(number(int(row["pixels"]) / total))
        rows.append(tuple(cells))
    return Grid("classes", tuple(heads), tuple(rows), tall=len(rows) > 24)


def _class_bounds(result: Result, figure: str) -> dict[int, tuple[float, float]]:
    return {int(row["id"]): row[figure] for row in result.class_intervals if figure in row}


def quantiles(names: Sequence[str], columns: Sequence[NDArray[np.float64]], figure: str) -> str:
    """The median of the images' figures and the bound of their worst tenth, in words."""
    said = []
    for name, column in zip(names, columns, strict=True):
        there = column[~np.isnan(column)]
        if there.size:
            low, middle = np.quantile(there, (0.1, 0.5)).tolist()
            who = f"{name}: median" if len(names) > 1 else f"Median {figure} of an image:"
            said.append(f"{who} {percent(middle)}, a tenth of the images below {percent(low)}")
    return "; ".join(said) + "." if said else ""


def slice_tables(systems: Sequence[System], slices: Sequence[Slices]) -> list[Grid]:
    """For each attribute the headline of every value, system by system, and the gaps."""
    metric = HEADLINES[systems[0].result.task]
    grids: list[Grid] = []
    for attribute in dict.fromkeys(s.attribute for s in slices[0].slices):
        tables = [{s.value: s.result for s in some.slices if s.attribute == attribute} for some in slices]
        heads = [Header(attribute, "text"), Header("images"), Header(metric, "drawing")]
        heads += [
            Header(
                s.mark if len(systems) > 1 else metric,
                about=f"{metric} of {s.name}",
                system=k if len(systems) > 1 else -1,
            )
            for k, s in enumerate(systems)
        ]
        rows = []
        for value, result in tables[0].items():
            found = [t.get(value) for t in tables]
            figures = [(r.values[metric], r.intervals.get(metric)) if r else (math.nan, None) for r in found]
            drawn = bars([bar(v, b, k) for k, (v, b) in enumerate(figures)], figures[0][0])
            rows.append((words(value), count(result.images), drawn, *(number(v, b) for v, b in figures)))
        gaps = [
            _gap(s.name if len(systems) > 1 else "", g)
            for s, some in zip(systems, slices, strict=True)
            for g in some.gaps
            if g.attribute == attribute and g.metric == metric and g.value == g.value
        ]
        grids.append(Grid(f"slice-{len(grids)}", tuple(heads), tuple(rows), "; ".join(gaps)))
    return grids


def _gap(name: str, gap: Gap) -> str:
    bounds = f" ({difference(gap.low)} to {difference(gap.high)})" if gap.low == gap.low else ""
    points = percent(gap.value)
    return f"{name + ': ' if name else ''}{gap.best} is {points} {gap.metric} above {gap.worst}{bounds}"


def tested_by(comparison: Comparison) -> str:
    """Which test decides, in words."""
    swapped = any(
        d.p_randomization == d.p_randomization for d in comparison.differences if d.metric == comparison.metric
    )
    count = len(comparison.records)
    test = "the paired randomization test" if swapped else "the paired bootstrap"
    return f"p is that of {test}" + (f", after Holm’s correction over {count} pairs" if count > 1 else "")


def command_of(result: Result) -> str:
    """The command that makes the result again: as it was typed, or put together from what the run recorded."""
    made = result.provenance.get("command")
    if made:
        return str(made)
    given: Mapping[str, Any] = result.provenance.get("options", {})
    words_ = ["segeval", "score", "--task", result.task]
    for side in ("pred", "gt"):
        words_ += [f"--{side}", str(result.provenance.get(side, side.upper()))]
    flags = {n: f.metadata["flag"] or "--" + n.replace("_", "-") for n, f in options(type(_rule(result))).items()}
    for name, value in given.items():
        flag = flags.get(name, "--" + name.replace("_", "-"))
        if value is True:
            words_.append(flag)
        elif isinstance(value, (list, tuple)):
            words_ += [flag, *map(str, value)]
        elif value not in (None, False, "", "error"):
            words_ += [flag, str(value)]
    return shlex.join(words_)


def _rule(result: Result) -> Any:
    return result.metric
