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
from segeval.results.figures import FRACTION, Figure
from segeval.results.result import Result
from segeval.results.result_tables import class_figures
from segeval.results.tables import percent
from segeval.samples.taxonomy import Taxonomy

# Sentences that a person reads before the table.
MOST_VERDICTS = 6


def hexadecimal(colour: Sequence[int]) -> str:
    """``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def headline(systems: Sequence[System], metric: str) -> Grid:
    """One row a system, one column a headline value; the best of a column stands out."""
    names = list(systems[0].result.values)
    several = len(systems) > 1
    figures = {n: systems[0].result.figure(n) for n in names}
    best = {n: figures[n].best(s.result.values[n] for s in systems) for n in names}
    heads = [Header("system", "text"), *(Header(n, about=figures[n].about) for n in names)]
    rows = []
    for s in systems:
        cells = [words(s.name, letter=s.mark if several else "")]
        for n in names:
            value = s.result.values[n]
            mark = ",".join(s.better_than) if n == metric else ""
            ends, top = s.result.intervals.get(n), several and value == best[n]
            cells.append(number(value, ends, figures[n], mark=mark, best=top))
        rows.append(tuple(cells))
    return Grid("headline", tuple(heads), tuple(rows), dense=len(names) > 9)


def verdicts(comparison: Comparison) -> list[str]:
    """What the comparison says in words, one sentence a pair of systems; of many only those with the best one."""
    chosen = [d for d in comparison.differences if d.metric == comparison.metric]
    figure = comparison.figure(comparison.metric)
    if len(chosen) > MOST_VERDICTS:
        values = [figure.gain(s.result.values[comparison.metric]) for s in comparison.systems]
        best = int(np.argmax(np.nan_to_num(values, nan=-np.inf)))
        chosen = [d for d in chosen if best in (d.first, d.second)][:MOST_VERDICTS]
    said = []
    for d in chosen:
        a, b = comparison.systems[d.first].name, comparison.systems[d.second].name
        if math.isnan(d.value):
            said.append(f"{a} and {b} can't be compared in {d.metric}: it is undefined in one of them.")
            continue
        # From the worse to the better system: of a figure of which less is better, a fall.
        rises = figure.gain(d.value) >= 0
        value, low, high = (d.value, d.low, d.high) if rises else (-d.value, -d.high, -d.low)
        bounds = f"{difference(value, figure)} {d.metric}"
        level = percent(comparison.interval.level, 0)
        interval = f"{level} % interval {difference(low, figure)} to {difference(high, figure)}"
        p = probability(d.p)
        if d.significant:
            better, worse = (b, a) if rises else (a, b)
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
    figure = comparison.figure(comparison.metric)
    chosen = [d for d in comparison.differences if d.metric == comparison.metric]
    drawn = spans([(d.value, d.low, d.high, d.significant) for d in chosen])
    records = {(r.first, r.second): r for r in comparison.records}
    heads = (
        Header("pair", "text"),
        Header(f"Δ {comparison.metric}", about="second minus first" + (", in points" if figure.unit == "%" else "")),
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
        delta = Cell(difference(d.value, figure), None if math.isnan(d.value) else d.value, best=d.significant)
        note = f"{difference(d.low, figure)} to {difference(d.high, figure)}"
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
    columns = class_figures(first)
    figure = columns[0]
    read = {name: first.figure(name) for name in columns}
    several = len(systems) > 1
    bounds = [_class_bounds(s.result, figure) for s in systems]
    everything = [float(row[figure]) for s in systems for row in s.result.per_class]
    end = read[figure].reach(everything)
    until = f"bars from 0 to {read[figure].scale * end:.3g}; whiskers are the interval"
    heads = [Header("class", "text"), Header(figure, "drawing", until)]
    shown = [c for c in columns if c != "recall"]  # which is Acc
    others = shown if first.per_class and not several else []
    if several:
        heads += [Header(s.mark, about=f"{figure} of {s.name}", system=k) for k, s in enumerate(systems)]
        heads += [
            Header(f"{s.mark} − {systems[0].mark}", about=f"{figure} of {s.name} minus that of {systems[0].name}")
            for s in systems[1:]
        ]
    heads += [Header(name, about=read[name].about) for name in others]
    if "pixels" in (first.per_class[0] if first.per_class else {}):
        heads.append(Header("share", about="of the truth's pixels"))
    total = sum(int(row.get("pixels", 0)) for row in first.per_class) or 1
    change = {} if comparison is None else {(c.second, c.id): c for c in comparison.classes if c.first == 0}
    rows = []
    for k, row in enumerate(first.per_class):
        values = [float(s.result.per_class[k][figure]) for s in systems]
        made = [bar(v, b.get(int(row["id"])), i, end) for i, (v, b) in enumerate(zip(values, bounds, strict=True))]
        top = read[figure].best(values)
        cells = [words(row["name"], swatch=colours[k]), bars(made, values[0])]
        if several:
            ends = [b.get(int(row["id"])) for b in bounds]
            cells += [number(v, b, read[figure], best=v == top) for v, b in zip(values, ends, strict=True)]
            for j, v in enumerate(values[1:], 1):
                d = change.get((j, int(row["id"])))
                delta = v - values[0]
                between = (difference(v, read[figure]) for v in (d.low, d.high)) if d and d.low == d.low else ()
                note = " to ".join(between)
                sure = d is not None and (d.low > 0 or d.high < 0)
                cells.append(
                    Cell(difference(delta, read[figure]), None if delta != delta else delta, note=note, best=sure)
                )
        for name in others:
            interval = bounds[0].get(int(row["id"])) if name == figure else None
            whole = isinstance(row[name], int)
            cells.append(count(int(row[name])) if whole else number(float(row[name]), interval, read[name]))
        if "pixels" in row:
            cells.append(number(int(row["pixels"]) / total))
        rows.append(tuple(cells))
    return Grid("classes", tuple(heads), tuple(rows), tall=len(rows) > 24)


def _class_bounds(result: Result, figure: str) -> dict[int, tuple[float, float]]:
    return {int(row["id"]): row[figure] for row in result.class_intervals if figure in row}


def quantiles(
    names: Sequence[str], columns: Sequence[NDArray[np.float64]], name_of_figure: str, figure: Figure = FRACTION
) -> str:
    """The median of the images' figures and the bound of their worst tenth, in words."""
    said = []
    for name, column in zip(names, columns, strict=True):
        there = column[~np.isnan(column)]
        if there.size:
            tail, middle = np.quantile(there, (0.9 if figure.lower_is_better else 0.1, 0.5)).tolist()
            who = f"{name}: median" if len(names) > 1 else f"Median {name_of_figure} of an image:"
            where = "above" if figure.lower_is_better else "below"
            said.append(f"{who} {figure.show(middle)}, a tenth of the images {where} {figure.show(tail)}")
    return "; ".join(said) + "." if said else ""


def slice_tables(systems: Sequence[System], slices: Sequence[Slices]) -> list[Grid]:
    """For each attribute the headline of every value, system by system, and the gaps."""
    metric = systems[0].result.metric.headline
    read = systems[0].result.figure(metric)
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
        end = read.reach(r.values[metric] for t in tables for r in t.values())
        rows = []
        for value, result in tables[0].items():
            found = [t.get(value) for t in tables]
            figures = [(r.values[metric], r.intervals.get(metric)) if r else (math.nan, None) for r in found]
            drawn = bars([bar(v, b, k, end) for k, (v, b) in enumerate(figures)], figures[0][0])
            rows.append((words(value), count(result.images), drawn, *(number(v, b, read) for v, b in figures)))
        gaps = [
            _gap(s.name if len(systems) > 1 else "", g, read)
            for s, some in zip(systems, slices, strict=True)
            for g in some.gaps
            if g.attribute == attribute and g.metric == metric and g.value == g.value
        ]
        grids.append(Grid(f"slice-{len(grids)}", tuple(heads), tuple(rows), "; ".join(gaps)))
    return grids


def _gap(name: str, gap: Gap, figure: Figure) -> str:
    bounds = f" ({difference(gap.low, figure)} to {difference(gap.high, figure)})" if gap.low == gap.low else ""
    who, where = f"{name}: " if name else "", "below" if figure.lower_is_better else "above"
    return f"{who}{gap.best} is {figure.show(gap.value)} {gap.metric} {where} {gap.worst}{bounds}"


def tested_by(comparison: Comparison) -> str:
    """Which test decides, in words."""
    count = len(comparison.records)
    return f"p is that of the {comparison.test}" + (
        f", after Holm’s correction over {count} pairs" if count > 1 else ""
    )


def command_of(result: Result) -> str:
    """The command that makes the result again: as it was typed, or put together from what the run recorded."""
    made = result.provenance.get("command")
    if made:
        return str(made)
    given: Mapping[str, Any] = result.provenance.get("options", {})
    words_ = ["segeval", "score", "--task", result.task]
    for side in ("pred", "gt"):
        words_ += [f"--{side}", str(result.provenance.get(side, side.upper()))]
    flags = {n: f.metadata["flag"] or "--" + n.replace("_", "-") for n, f in options(type(result.metric)).items()}
    for name, value in given.items():
        flag = flags.get(name, "--" + name.replace("_", "-"))
        if value is True:
            words_.append(flag)
        elif isinstance(value, (list, tuple)):
            words_ += [flag, *map(str, value)]
        elif value not in (None, False, "", "error"):
            words_ += [flag, str(value)]
    return shlex.join(words_)
