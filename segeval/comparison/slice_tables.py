"""Slices as people and machines read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segeval.comparison.slices import Gap, Slice, Slices
from segeval.results import tables
from segeval.results.stored import plain
from segeval.results.tables import Table, exact

# Of an instance run's twelve numbers, those that a page has room for.
MOST_COLUMNS = 6


def attribute_table(found: Slices, attribute: str) -> Table:
    """One line a value of an attribute, under the whole run."""
    names = list(found.whole.values)[:MOST_COLUMNS]
    figures = {n: found.whole.figure(n) for n in names}
    first = figures[names[0]]
    rows = [("all", str(found.whole.images), *(figures[n].show(found.whole.values[n]) for n in names), "")]
    for s in found.slices:
        if s.attribute == attribute:
            ends = s.result.intervals.get(names[0])
            cells = (figures[n].show(s.result.values[n]) for n in names)
            rows.append((s.value, str(s.result.images), *cells, first.between(*ends) if ends else ""))
    gap = next(g for g in found.gaps if g.attribute == attribute and g.metric == names[0])
    said = f"gap {first.signed(gap.value)}" + (
        f" {first.signed_between(gap.low, gap.high)}" if gap.low == gap.low else ""
    )
    title = f"{attribute}: {said} in {names[0]}, {gap.best} over {gap.worst}" if gap.best else attribute
    with_ends = any(row[-1] for row in rows)
    headers = (attribute, "images", *names, *([f"{names[0]} interval"] if with_ends else []))
    return Table(headers, tuple(row if with_ends else row[:-1] for row in rows), title=title)


def compared(slices: Sequence[Slices], names: Sequence[str], metric: str, form: str) -> str:
    """One metric of several systems, a table for each attribute; differences are from the first system."""
    first, figure = slices[0], slices[0].whole.figure(metric)
    drawn = []
    for attribute in dict.fromkeys(s.attribute for s in first.slices):
        rows = []
        for k, s in enumerate(first.slices):
            if s.attribute == attribute:
                values = [one.slices[k].result.values[metric] for one in slices]
                changes = [figure.signed(v - values[0]) for v in values[1:]]
                rows.append((s.value, str(s.result.images), *map(figure.show, values), *changes))
        headers = (attribute, "images", *names, *(f"Δ {name}" for name in names[1:]))
        drawn.append(tables.FORMATS[form](Table(headers, tuple(rows), title=f"{metric} by {attribute}")))
    return "\n\n".join(drawn)


def exact_table(found: Slices) -> Table:
    """Every value of every slice, unrounded."""
    rows = []
    for s in found.slices:
        for name, value in s.result.values.items():
            low, high = s.result.intervals.get(name, (float("nan"), float("nan")))
            cells = (exact(v) for v in (value, low, high))
            rows.append((s.attribute, s.value, str(s.result.images), name, *cells))
    headers = ("attribute", "value", "images", "metric", "score", "low", "high")
    return Table(headers, tuple(rows), left=(0, 1, 3))


def render(found: Slices, form: str = "text") -> str:
    """The slices as ``text``, ``json``, ``markdown``, ``csv``, ``latex`` or ``html``."""
    if form == "json":
        return tables.as_json(plain(to_dict(found)))
    if form == "csv":
        return tables.to_csv(exact_table(found))
    attributes = dict.fromkeys(s.attribute for s in found.slices)
    return "\n\n".join(tables.FORMATS[form](attribute_table(found, a)) for a in attributes)


def to_dict(found: Slices) -> dict[str, Any]:
    """Plain values for JSON."""

    def of_slice(s: Slice) -> dict[str, Any]:
        r = s.result
        row = {"attribute": s.attribute, "value": s.value, "images": r.images}
        return row | {"values": r.values, "intervals": r.intervals, "per_class": r.per_class}

    def of_gap(g: Gap) -> dict[str, Any]:
        return {name: getattr(g, name) for name in g.__dataclass_fields__}

    return {"slices": [of_slice(s) for s in found.slices], "gaps": [of_gap(g) for g in found.gaps]}
