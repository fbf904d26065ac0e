"""A result as tables of text: headline, intervals, classes, and all of it unrounded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from segeval.results.tables import DASH, Table, percent

if TYPE_CHECKING:
    from segeval.results.result import Result

# The per-class figures that a person sees, and which of them are counts.
COLUMNS = {
    "semantic": ("IoU", "Acc", "Dice", "precision", "recall"),
    "panoptic": ("PQ", "SQ", "RQ", "tp", "fp", "fn"),
    "instance": ("AP", "AP50", "AP75"),
}
COUNTS = ("tp", "fp", "fn", "truths", "detections", "pixels")


def headline_table(result: Result) -> Table:
    """What stands above everything else, one form a task."""
    v = result.values
    if not v:  # the run of one shard: rows, and nothing that could be taken for a score
        return Table(("images",), ((str(result.images),),), left=())
    if result.task == "panoptic":
        rows = []
        for name, tail in (("all", ""), ("things", "_th"), ("stuff", "_st")):
            count = sum(
                row["tp"] + row["fp"] + row["fn"] > 0 and (not tail or row["isthing"] is (tail == "_th"))
                for row in result.per_class
            )
            rows.append((name, *(percent(v[k + tail]) for k in ("PQ", "SQ", "RQ")), str(count)))
        return Table(("", "PQ", "SQ", "RQ", "classes"), tuple(rows))
    names = tuple(v)
    if result.task == "instance":
        # Twelve numbers in one line run off a terminal; precision above, recall below.
        half = len(names) // 2
        cut = [names[:half], names[half:]]
        rows = [(a, percent(v[a]), b, percent(v[b])) for a, b in zip(*cut, strict=False)]
        return Table(("", "%", "", "%"), tuple(rows), left=(0, 2))
    return Table(names, (tuple(percent(v[n]) for n in names),), left=())


def interval_table(result: Result) -> Table:
    """Headline values with their bounds."""
    level = result.interval_signature.get("level") if result.interval_signature else None
    rows = tuple((name, percent(result.values[name]), between(*ends)) for name, ends in result.intervals.items())
    return Table(("", "%", f"{100 * float(level):g}% interval" if level else "interval"), rows)


def between(low: float, high: float) -> str:
    """The two ends of an interval, as a person reads them."""
    return DASH if low != low or high != high else f"[{percent(low)}, {percent(high)}]"


def class_table(result: Result) -> Table:
    """One row a class; its first figure with its bounds, if there are any."""
    columns = COLUMNS.get(result.task) or _columns_of(result)
    bounds = {row["id"]: row for row in result.class_intervals}
    rows = []
    for row in result.per_class:
        cells = [str(row[c]) if c in COUNTS else percent(row[c]) for c in columns]
        if bounds:
            cells.insert(1, between(*bounds[row["id"]][columns[0]]))
        rows.append((str(row["id"]), str(row["name"]), *cells))
    headers = [*columns[:1], "interval", *columns[1:]] if bounds else columns
    return Table(("id", "class", *headers), tuple(rows), left=(1,))


def _columns_of(result: Result) -> tuple[str, ...]:
    """The figures that all classes have, where the rule is a package's."""
    rows = result.per_class
    return tuple(n for n in (rows[0] if rows else ()) if all(isinstance(row.get(n), float) for row in rows))


def exact_table(result: Result) -> Table:
    """Headline and classes in one table of unrounded figures."""
    names = list(dict.fromkeys([*result.values, *(k for row in result.per_class for k in row)]))
    names = [n for n in names if n not in ("id", "name")]

    def cell(value: Any) -> str:
        return "" if value is None or value != value else repr(value) if isinstance(value, float) else str(value)

    rows = [("", "all", *(cell(result.values.get(n)) for n in names))]
    rows += [(str(r["id"]), str(r["name"]), *(cell(r.get(n)) for n in names)) for r in result.per_class]
    if not result.intervals:
        return Table(("id", "name", *names), tuple(rows), left=(1,))
    bounds = [result.intervals, *result.class_intervals]
    bounded = [n for n in names if any(n in row for row in bounds)]
    ends = [[cell(v) for n in bounded for v in row.get(n, (math.nan, math.nan))] for row in bounds]
    headers = [f"{n} {end}" for n in bounded for end in ("low", "high")]
    rows = [(*row, *more) for row, more in zip(rows, ends, strict=True)]
    return Table(("id", "name", *names, *headers), tuple(rows), left=(1,))
