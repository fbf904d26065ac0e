"""A result as tables of text: headline, intervals, classes, and all of it unrounded."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from segeval.results.figures import Figure
from segeval.results.signature import Signature
from segeval.results.tables import Table, exact


class Shown(Protocol):
    """What the tables show of a result."""

    @property
    def images(self) -> int: ...

    @property
    def values(self) -> Mapping[str, float]: ...

    @property
    def per_class(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def intervals(self) -> Mapping[str, tuple[float, float]]: ...

    @property
    def class_intervals(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def interval_signature(self) -> Signature | None: ...

    @property
    def rule(self) -> Mapping[str, Any]: ...

    @property
    def metric(self) -> Any: ...

    def figure(self, name: str) -> Figure: ...


def headline_table(result: Shown) -> Table:
    """What stands above everything else: the rule's own table, or one row of values."""
    v = result.values
    if not v:  # the run of one shard: rows, and nothing that could be taken for a score
        return Table(("images",), ((str(result.images),),), left=())
    own: Table | None = result.metric.summary(result) if result.rule else None
    return own or Table(tuple(v), (tuple(result.figure(n).show(v[n]) for n in v),), left=())


def interval_table(result: Shown) -> Table:
    """Headline values with their bounds."""
    level = result.interval_signature.get("level") if result.interval_signature else None
    rows = []
    for name, ends in result.intervals.items():
        figure = result.figure(name)
        rows.append((name, figure.show(result.values[name]), figure.between(*ends)))
    units = {result.figure(name).unit for name in result.intervals}
    unit = units.pop() if len(units) == 1 else ""
    return Table(("", unit, f"{100 * float(level):g}% interval" if level else "interval"), tuple(rows))


def class_table(result: Shown) -> Table:
    """One row a class; its first figure with its bounds, if there are any."""
    columns = class_figures(result)
    bounds = {row["id"]: row for row in result.class_intervals}
    rows = []
    for row in result.per_class:
        cells = [str(row[c]) if isinstance(row[c], int) else result.figure(c).show(row[c]) for c in columns]
        if bounds:
            cells.insert(1, result.figure(columns[0]).between(*bounds[row["id"]][columns[0]]))
        rows.append((str(row["id"]), str(row["name"]), *cells))
    headers = [*columns[:1], "interval", *columns[1:]] if bounds else columns
    return Table(("id", "class", *headers), tuple(rows), left=(1,))


def class_figures(result: Shown) -> tuple[str, ...]:
    """The figures of a class that a person sees: those that the rule names, or all that every class has."""
    named: tuple[str, ...] = result.metric.class_figures if result.rule else ()
    rows = result.per_class
    return named or tuple(n for n in (rows[0] if rows else ()) if all(isinstance(row.get(n), float) for row in rows))


def exact_table(result: Shown) -> Table:
    """Headline and classes in one table of unrounded figures."""
    names = list(dict.fromkeys([*result.values, *(k for row in result.per_class for k in row)]))
    names = [n for n in names if n not in ("id", "name")]

    rows = [("", "all", *(exact(result.values.get(n)) for n in names))]
    rows += [(str(r["id"]), str(r["name"]), *(exact(r.get(n)) for n in names)) for r in result.per_class]
    if not result.intervals:
        return Table(("id", "name", *names), tuple(rows), left=(1,))
    bounds = [result.intervals, *result.class_intervals]
    bounded = [n for n in names if any(n in row for row in bounds)]
    ends = [[exact(v) for n in bounded for v in row.get(n, (math.nan, math.nan))] for row in bounds]
    headers = [f"{n} {end}" for n in bounded for end in ("low", "high")]
    rows = [(*row, *more) for row, more in zip(rows, ends, strict=True)]
    return Table(("id", "name", *names, *headers), tuple(rows), left=(1,))
