"""A suite's leaderboard as a page: tables that sort, dots of quality and cost, and the same images across members."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segeval.errors import SegevalError
from segeval.report.charts import Chart, points
from segeval.report.grids import Cell, Grid, Header, bar, bars, number, words
from segeval.report.leaderboard import Page, Section
from segeval.report.pictures.strips import Strip, make_strip
from segeval.results.figures import FRACTION
from segeval.results.tables import DASH, percent
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.kinds import KINDS
from segeval_baselines.suite.members import runs_of
from segeval_baselines.suite.standing import Row, Standing
from segeval_baselines.suite.tables import (
    COSTS,
    cost_notes,
    costs_of,
    failures,
    notes,
    published_table,
    shown_name,
)

ABOUT_COSTS = {
    "parameters": "all of them",
    "GFLOPs": "of one prediction; a multiply-add counts two",
    "ms": "median time of one prediction",
    "MiB": "largest memory of one prediction",
    "steps": "of one training",
    "CPU s": "of one training, mean over the seeds",
}


def page_of(suite: Suite, found: Sequence[Standing], strips: Sequence[Strip | None]) -> Page:
    """The page of a suite's standings, each with its strip of pictures."""
    several = len({s.data for s in found}) > 1
    sections = []
    for standing, strip in zip(found, strips, strict=True):
        title = KINDS[standing.task].title + (f", {standing.data}" if several else "")
        sections.append(_section(suite, standing, title, strip))
    data = [f"{d.name}: {d.spec.partition(':')[0]}, scored on {d.score}" for d in suite.data.values()]
    command = f"segeval suite {suite.name} --out DIR"
    return Page(
        suite.title,
        tuple(sections),
        about=suite.about,
        facts=(*data, f"{sum(bool(m.model) for m in suite.members)} networks"),
        published=_published(suite),
        commands=(command,),
        notes=("The command goes on where it stopped, and does again exactly what has changed.",),
    )


def strip_of(suite: Suite, standing: Standing, root: Path) -> Strip | None:
    """Six images across the networks of a standing; None where nothing is left to show."""
    networks = [row for row in standing.scored if row.member.model and row.task == standing.task]
    if not networks:
        return None
    run = runs_of(suite, networks[0].member, root)[0]
    images = (run.label_maps or run.splits if networks[0].converted else run.splits).scored.images
    try:
        return make_strip({row.member.name: row.first for row in networks}, images)
    except SegevalError:
        return None


def _section(suite: Suite, standing: Standing, title: str, strip: Strip | None) -> Section:
    costs = _costs(suite, standing)
    images = f"{standing.scored[0].first.images} images of {standing.data}." if standing.scored else ""
    return Section(
        anchor=f"{standing.task}-{standing.data}",
        title=title,
        lead=images,
        quality=_quality(suite, standing),
        costs=costs,
        failures=tuple(failures(standing)),
        notes=tuple(notes(suite, standing)),
        signature=standing.signature,
        charts=tuple(_charts(standing)),
        strip=strip,
        remarks=() if strip else ("No pictures: the files that were scored are gone, or were moved.",),
    )


def _quality(suite: Suite, standing: Standing) -> Grid:
    metric, others = standing.metric, standing.columns[1:]
    several = any(len(row.results) > 1 for row in standing.scored)
    about = "the whisker spans the seeds" if several else "the whisker is the interval"
    headers = [Header("system", "text"), Header(metric), Header("", "drawing", about)]
    headers += [Header("± seeds", about="standard deviation over the seeds")] if several else []
    headers += [Header("first seed" if several else "interval", about="over images"), Header("letters", "text")]
    headers += [Header(name) for name in others]
    known = {n: [row.mean(n) for row in standing.scored] for n in (metric, *others)}
    best = {n: max((v for v in values if v == v), default=0.0) for n, values in known.items()}
    rows = []
    for row in standing.scored:
        name = row.member.name
        ends = standing.intervals.get(name, {}).get(metric)
        mean, first = row.mean(metric), row.value(row.member.seeds[0], metric)
        values = [row.value(seed, metric) for seed in row.results]
        cells = [words(shown_name(suite, row), sort=name), number(mean, best=mean == best[metric])]
        cells += [bars([bar(mean, (min(values), max(values)) if several else ends, 0)], mean)]
        cells += [_spread(row, metric)] if several else []
        cells += [number(first, ends) if several else _interval(ends), words(standing.letters.get(name, ""))]
        cells += [number(row.mean(n), best=row.mean(n) == best[n]) for n in others]
        rows.append(tuple(cells))
    return Grid(f"quality-{standing.task}-{standing.data}", tuple(headers), tuple(rows))


def _spread(row: Row, metric: str) -> Cell:
    spread = row.spread(metric)
    return Cell(percent(spread), None if spread != spread else spread)


def _interval(ends: tuple[float, float] | None) -> Cell:
    return Cell(FRACTION.between(*ends), ends[0]) if ends is not None and ends[0] == ends[0] else Cell(DASH)


def _costs(suite: Suite, standing: Standing) -> Grid | None:
    headers = [Header("system", "text"), Header("preset", "text"), *(Header(n, about=ABOUT_COSTS[n]) for n in COSTS)]
    rows = []
    for row in standing.scored:
        if row.member.reference:
            continue
        cells = [words(shown_name(suite, row), sort=row.member.name), words(row.member.preset)]
        for value, digits in zip(costs_of(row), (0, 2, 1, 0, 0, 0), strict=True):
            cells.append(Cell(DASH if value is None else f"{value:,.{digits}f}", value))
        rows.append(tuple(cells))
    caption = ". ".join(line[0].upper() + line[1:] for line in cost_notes(standing))
    return Grid(f"costs-{standing.task}-{standing.data}", tuple(headers), tuple(rows), caption) if rows else None


def _charts(standing: Standing) -> list[Chart]:
    rows = [row for row in standing.scored if row.measure is not None and row.mean(standing.metric) >= 0]
    if len(rows) < 2:
        return []
    y, names = [row.mean(standing.metric) for row in rows], [row.member.name for row in rows]
    latency = [row.measure.latency for row in rows if row.measure is not None]
    sizes = [float(row.measure.parameters) for row in rows if row.measure is not None]
    metric = standing.metric
    return [
        points(latency, y, names, ("milliseconds an image", metric), f"{metric} and latency"),
        points(sizes, y, names, ("parameters", metric), f"{metric} and parameters"),
    ]


def _published(suite: Suite) -> Grid | None:
    table = published_table(suite)
    headers = tuple(Header(h, "text") for h in table.headers)
    rows = tuple(tuple(words(cell) for cell in row) for row in table.rows)
    return Grid("published", headers, rows) if rows else None
