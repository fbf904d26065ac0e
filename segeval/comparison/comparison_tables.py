"""A comparison as people and machines read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from segeval.comparison.comparing import ClassDifference, Comparison, Difference
from segeval.results import tables
from segeval.results.figures import Figure
from segeval.results.stored import plain
from segeval.results.tables import DASH, RAISED, Table, exact

FORMS = ("text", "json", "markdown", "csv", "latex", "html")

# Classes and images of a pair that a page shows before it stops being read.
SHOWN = 10


def raised(marks: tuple[str, ...]) -> str:
    """Letters as superscripts."""
    return ("" if all(len(m) == 1 for m in marks) else "\N{HAIR SPACE}").join(
        "".join(RAISED[c] for c in m) for m in marks
    )


def p_value(p: float) -> str:
    """Three decimals, and how small at least where that is 0."""
    return DASH if p != p else "<0.001" if p < 0.0005 else f"{p:.3f}"


def headline_table(c: Comparison) -> Table:
    """One line a system; differences are from the first."""
    level = f"{100 * c.interval.level:g}% interval"
    figure = c.figure(c.metric)
    rows = []
    for i, s in enumerate(c.systems):
        value = figure.show(s.result.values[c.metric]) + raised(s.better_than)
        d = next((d for d in c.differences if d.metric == c.metric and (d.first, d.second) == (0, i)), None)
        rest = (figure.signed(d.value), figure.signed_between(d.low, d.high), p_value(d.p)) if d else (DASH, "", "")
        rows.append((s.mark, s.name, value, *rest))
    return Table(("", "system", c.metric, "Δ", level, "p"), tuple(rows), left=(0, 1))


def metrics_table(c: Comparison) -> Table:
    """Every headline value with its interval, a column a system."""
    names = [n for n in c.systems[0].result.values if all(n in s.result.values for s in c.systems)]

    def cell(system: int, name: str) -> str:
        result = c.systems[system].result
        figure, (low, high) = c.figure(name), result.intervals[name]
        value = figure.show(result.values[name])
        return value if low != low else f"{value} {figure.between(low, high)}"

    rows = tuple((n, *(cell(i, n) for i in range(len(c.systems)))) for n in names)
    return Table(("", *(s.name for s in c.systems)), rows)


def pairs_table(c: Comparison) -> Table:
    """Every pair in the metric that decides: the difference, both tests, and the record image by image."""
    figure, records = c.figure(c.metric), {(r.first, r.second): r for r in c.records}
    rows = []
    for d in c.differences:
        if d.metric != c.metric:
            continue
        r = records[d.first, d.second]
        tests = (p_value(p) for p in (d.p_randomization, d.p_bootstrap, d.p))
        counts = (str(n) for n in (r.wins, r.ties, r.losses))
        pair = f"{c.systems[d.second].name} – {c.systems[d.first].name}"
        ends = figure.signed_between(d.low, d.high)
        rows.append((pair, figure.signed(d.value), ends, *tests, *counts))
    headers = ("pair", f"Δ {c.metric}", "interval", "p swap", "p boot", "p Holm", "wins", "ties", "losses")
    return Table(headers, tuple(rows))


def class_tables(c: Comparison, shown: int | None = SHOWN) -> list[Table]:
    """The classes that changed most from the first system to each other one."""
    out = []
    for i in range(1, len(c.systems)):
        found = [d for d in c.classes if (d.first, d.second) == (0, i) and d.value == d.value]
        found = sorted(found, key=lambda d: -abs(d.value))[:shown]
        rows = tuple(_change(c.figure(d.figure), d) for d in found)
        names = (c.systems[0].name, c.systems[i].name)
        title = f"classes, {names[0]} to {names[1]}"
        if rows:
            out.append(Table((found[0].figure, *names, "Δ", "interval"), rows, title=title))
    return out


def _change(figure: Figure, d: ClassDifference) -> tuple[str, ...]:
    values = (figure.show(v) for v in (d.first_value, d.second_value))
    return (d.name, *values, figure.signed(d.value), figure.signed_between(d.low, d.high))


def change_tables(c: Comparison, shown: int = SHOWN) -> list[Table]:
    """The images that changed most from the first system to each other one."""
    out = []
    for i in range(1, len(c.systems)):
        found = [d for d in c.changes if (d.first, d.second) == (0, i)]
        figure = c.figure(c.image_figure)
        gains = [d for d in found if figure.gain(d.change) > 0]
        losses = [d for d in found if figure.gain(d.change) < 0]
        rows = tuple(
            (str(d.image), figure.show(d.first_value), figure.show(d.second_value), figure.signed(d.change))
            for d in (*gains[: shown // 2], *losses[: shown // 2])
        )
        names = (c.systems[0].name, c.systems[i].name)
        if rows:
            title = f"images, {names[0]} to {names[1]}"
            out.append(Table((f"image {c.image_figure}", *names, "Δ"), rows, title=title))
    return out


def notes(c: Comparison) -> list[str]:
    """How the numbers above were made, and what marks mean."""
    count, word = next((v, k) for k, v in c.interval_signature.choices if k in ("images", "groups"))
    pairs = len(c.records)
    lines = [
        f"intervals: paired bootstrap over {count} {word}, {c.interval.resamples} resamples, seed {c.interval.seed}"
    ]
    corrected = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
    lines.append(f"p: {c.test}, two-sided{corrected}; a raised letter: significantly better than that system")
    lines[-1] += f" (p ≤ {c.interval.alpha:g})"
    if c.allowed:
        lines.append(f"NOT ALIKE in {', '.join(c.allowed)}: allowed by request, so differences may come from there")
    return lines


def tables_of(c: Comparison) -> list[Table]:
    """Everything that is printed."""
    return [headline_table(c), metrics_table(c), pairs_table(c), *class_tables(c), *change_tables(c)]


def render(c: Comparison, form: str = "text") -> str:
    """The comparison as ``text``, ``json``, ``markdown``, ``csv``, ``latex`` or ``html``."""
    if form == "json":
        return tables.as_json(plain(to_dict(c)))
    if form == "csv":
        return tables.to_csv(exact_table(c))
    draw = tables.FORMATS[form]
    said = tables.notes(notes(c), [c.signature.format(), c.interval_signature.format()], form)
    parts = [draw(t) for t in tables_of(c) if t.rows]
    return "\n\n".join([parts[0], said, *parts[1:]])


def exact_table(c: Comparison) -> Table:
    """Every difference of every metric, unrounded."""

    def row(d: Difference) -> tuple[str, ...]:
        a, b = c.systems[d.first], c.systems[d.second]
        figures = (a.result.values[d.metric], b.result.values[d.metric], d.value, d.low, d.high)
        tests = (d.p_bootstrap, d.p_randomization, d.p)
        return (d.metric, a.name, b.name, *map(exact, figures), *map(exact, tests), "yes" if d.significant else "no")

    headers = ["metric", "first", "second", "first value", "second value", "difference", "low", "high"]
    headers += ["p bootstrap", "p randomization", "p Holm", "significant"]
    return Table(tuple(headers), tuple(row(d) for d in c.differences), left=(0, 1, 2))


def to_dict(c: Comparison) -> dict[str, Any]:
    """Plain values for JSON; systems are named, undefined numbers are NaN (null in JSON)."""
    names = [s.name for s in c.systems]

    def named(row: Any) -> Mapping[str, Any]:
        fields = {k: getattr(row, k) for k in row.__dataclass_fields__}
        return fields | {"first": names[row.first], "second": names[row.second]}

    return {
        "task": c.task,
        "metric": c.metric,
        "signature": c.signature.format(),
        "interval_signature": c.interval_signature.format(),
        "images": len(c.images),
        "allowed": list(c.allowed),
        "warnings": [{"code": w.code, "message": w.message} for w in c.warnings],
        "systems": [
            {
                "name": s.name,
                "mark": s.mark,
                "better_than": list(s.better_than),
                "values": s.result.values,
                "intervals": s.result.intervals,
            }
            for s in c.systems
        ],
        "differences": [named(d) for d in c.differences],
        "per_class": [named(d) for d in c.classes],
        "records": [named(d) for d in c.records],
        "changes": [named(d) for d in c.changes],
    }
