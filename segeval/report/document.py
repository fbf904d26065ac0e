"""One self-contained HTML page about one run or several."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from segeval.comparison.comparing import Comparison, System, mark
from segeval.comparison.runs import short_names
from segeval.comparison.slices import Slices
from segeval.errors import SegevalError
from segeval.metrics.diagnosis import Confusions, image_figure, part_of
from segeval.report import analysis, charts, sections
from segeval.report.pictures.gallery import ImageFigures, error_legend, figures_of, gallery, has_images
from segeval.report.pictures.painting import class_colours
from segeval.results.result import Result
from segeval.results.tables import printable
from segeval.samples.taxonomy import Taxonomy
from segeval.storage.files import write_atomic
from segeval.version import __version__

# Bytes of a page; mail and chat take it.
PAGE_BYTES = 4_800_000


def write_report(
    results: Result | Sequence[Result],
    path: str | os.PathLike[str],
    *,
    comparison: Comparison | None = None,
    slices: Sequence[Slices] | None = None,
    images: str | os.PathLike[str] | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Path:
    """Write one HTML file with everything in it: no network, no other files.

    Parameters
    ----------
    results
        A run, or several of one task. With a comparison its systems are shown, and these are not needed.
    path
        Where the page goes; it appears whole or not at all.
    comparison
        Differences, intervals and marks of several runs.
    slices
        The slices of each run, in the order of the runs.
    images
        A folder of photographs, shown below the label maps; without it the labels stand alone.
    names
        What the runs are called; by default the last parts of the paths of their predictions.
    title
        The page's heading.

    Returns
    -------
    path
        The file.

    Raises
    ------
    SegevalError
        If jinja2 is not installed, tasks are mixed, no run is given, or the file can't be written.
    """
    listed = [results] if isinstance(results, Result) else list(results)
    systems = comparison.systems if comparison is not None else named_systems(listed, names)
    if not systems:
        raise SegevalError("no run to report", remedy="give at least one result")
    if len({s.result.task for s in systems}) > 1:
        raise SegevalError("runs of different tasks do not fit into one report", remedy="write one report a task")
    if slices is not None and len(slices) != len(systems):
        raise SegevalError(f"{len(slices)} tables of slices for {len(systems)} runs", remedy="give one for each run")
    return write_atomic(path, render(systems, comparison, slices, images, title))


def named_systems(results: Sequence[Result], names: Sequence[str] | None = None) -> tuple[System, ...]:
    """Systems with the names given, or with the shortest ends of their prediction paths that differ."""
    if names is not None and len(names) != len(results):
        raise SegevalError(f"{len(names)} names for {len(results)} runs", remedy="give one for each run")
    chosen = list(names) if names is not None else short_names([str(r.provenance.get("pred", "")) for r in results])
    return tuple(System(n or f"run {k + 1}", mark(k), r) for k, (n, r) in enumerate(zip(chosen, results, strict=True)))


def render(
    systems: Sequence[System],
    comparison: Comparison | None = None,
    slices: Sequence[Slices] | None = None,
    images: str | os.PathLike[str] | None = None,
    title: str = "",
) -> str:
    """The page as text.

    Raises
    ------
    SegevalError
        If jinja2 is not installed, or `images` is no folder of photographs.
    """
    template = template_of("report.html.j2")
    first = systems[0].result
    taxonomy = first.taxonomy
    colours, replaced = class_colours(taxonomy)
    shades = [sections.hexadecimal(c) for c in colours]
    metric = comparison.metric if comparison is not None else first.metric.headline
    read = first.figure(metric)
    script = resources.files(__package__).joinpath("report.js").read_text("utf-8")
    page: dict[str, Any] = {
        "title": title or _title(systems),
        "eyebrow": first.metric.title or printable(first.task).capitalize(),
        "version": __version__,
        "facts": _facts(first, taxonomy),
        "systems": systems,
        "metric": metric,
        "unit": "points" if read.unit == "%" else read.unit or "its own unit",
        "better_side": "Below" if first.figure(image_figure(first.metric)).lower_is_better else "Above",
        "verdicts": sections.verdicts(comparison) if comparison is not None else [],
        "headline": sections.headline(systems, metric),
        "pairs": sections.pairs(comparison) if comparison is not None else None,
        "comparison": comparison,
        "tested_by": sections.tested_by(comparison) if comparison is not None else "",
        "classes": sections.classes(systems, comparison, taxonomy, shades),
        "recoloured": [taxonomy.names[k] for k in replaced],
        "slices": sections.slice_tables(systems, slices) if slices else [],
        "warnings": _warnings(systems, comparison),
        "commands": [(s, sections.command_of(s.result)) for s in systems],
        "error_legend": error_legend(first.metric.reads),
        "styles": resources.files(__package__).joinpath("report.css").read_text("utf-8"),
        "script": script,
        # The page runs this script and no other, whatever a name may hold.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    figures = figures_of(systems, comparison) if all(has_images(s.result) for s in systems) else None
    page |= _analysis(systems, taxonomy, shades) | _images(systems, comparison, figures)
    page |= {"gallery": [], "remarks": []}
    if figures is not None:
        # Pictures get what the rest of the page leaves.
        room = PAGE_BYTES - len(str(template.render(page)).encode())
        page["gallery"], page["remarks"] = gallery(systems, comparison, taxonomy, colours, images, figures, room)
    return str(template.render(page))


def require_jinja() -> None:
    """Refuse where jinja2 is not installed.

    Raises
    ------
    SegevalError
        Naming the extra to install.
    """
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise SegevalError("an HTML report needs jinja2", remedy='pip install "segeval[report]"') from None


def template_of(name: str) -> Any:
    """A template of this package; `SegevalError` where jinja2 is not installed."""
    require_jinja()
    import jinja2

    # Everything is escaped unless a template says otherwise; an absent name is an error rather than a gap.
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda n: resources.files(__package__).joinpath(n).read_text("utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)


def _title(systems: Sequence[System]) -> str:
    names = [printable(s.name) for s in systems]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _facts(result: Result, taxonomy: Taxonomy) -> list[str]:
    gt = result.provenance.get("gt")
    where = [printable("/".join(Path(str(gt)).parts[-2:]))] if gt else []
    images = f"{result.images} image{'s' if result.images != 1 else ''}"
    return [*where, images, f"{len(taxonomy)} classes", f"truth {result.signature.get('truth') or '–'}"]


def _warnings(systems: Sequence[System], comparison: Comparison | None) -> list[str]:
    said = [] if comparison is None else [w.message for w in comparison.warnings]
    if comparison is not None and comparison.allowed:
        said.insert(0, f"These runs differ in {', '.join(comparison.allowed)} and were compared all the same.")
    for s in systems:
        own = [w.message for w in s.result.warnings if w.message not in said]
        said += [f"{s.name}: {text}" if len(systems) > 1 else text for text in own]
    return list(dict.fromkeys(said))


def _analysis(systems: Sequence[System], taxonomy: Taxonomy, shades: Sequence[str]) -> dict[str, Any]:
    """Confusions, and what the errors are made of."""
    found = [(k, s, m.matrix) for k, s in enumerate(systems) if (m := part_of(s.result, Confusions)) is not None]
    shown = charts.busiest_classes([m for _, _, m in found]) if found else []
    return {
        "curves": analysis.recall_curves(systems),
        "thresholds": analysis.best_thresholds(systems),
        "costs": analysis.detection_costs(systems),
        "heat_maps": [
            charts.heat_map(m, [printable(n) for n in taxonomy.names], shades, s.name, k, shown) for k, s, m in found
        ],
        "confusions": [(s, analysis.confusions(s, taxonomy, shades, k)) for k, s, _ in found],
        "losses": [
            (s, g) for k, s in enumerate(systems) if (g := analysis.lost_quality(s, taxonomy, shades, k)) is not None
        ],
        "borders": [
            (s, *b) for k, s in enumerate(systems) if (b := analysis.border_errors(s, taxonomy, shades, k)) is not None
        ],
    }


def _images(systems: Sequence[System], comparison: Comparison | None, figures: ImageFigures | None) -> dict[str, Any]:
    """Charts of the figures of all images."""
    if figures is None:
        return {"histogram": None, "scatters": [], "quantiles": ""}
    names, values = [s.name for s in systems], list(figures.values)
    figure = systems[0].result.figure(figures.name)
    pairs = range(1, len(systems)) if comparison is not None else ()
    return {
        "histogram": charts.histogram(values, names, figures.name, figure),
        "quantiles": sections.quantiles(names, values, figures.name, figure),
        "scatters": [charts.scatter(values[0], values[j], (names[0], names[j]), (0, j), figure) for j in pairs],
    }
