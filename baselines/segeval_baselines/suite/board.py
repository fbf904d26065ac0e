"""The leaderboard of a suite, written as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

from segeval.errors import SegevalError
from segeval.report.document import require_jinja
from segeval.report.leaderboard import render_leaderboard
from segeval.report.pictures.strips import draw
from segeval.results import tables
from segeval.results.tables import Table
from segeval.storage.files import write_atomic
from segeval.version import __version__
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.page import page_of, strip_of
from segeval_baselines.suite.standing import Standing, rows_of, standings
from segeval_baselines.suite.tables import (
    cost_notes,
    cost_table,
    exact_table,
    failures,
    notes,
    published_table,
    quality_table,
)

PUBLISHED = "As their authors state them; none of them can be compared with the numbers above, nor with one another."


def write_board(suite: Suite, root: Path, device: str = "auto") -> list[Standing]:
    """Write ``leaderboard.md``, ``.csv``, ``.tex`` and ``.html``, and a picture of six images for each table.

    Without jinja2 there is no page.

    Returns
    -------
    standings
        What was written.

    Raises
    ------
    SegevalError
        If the folder can't be written to, or holds scores that don't belong together.
    """
    found = standings(rows_of(suite, root, device))
    strips = [strip_of(suite, standing, root) for standing in found]
    for standing, strip in zip(found, strips, strict=True):
        if strip is not None:
            write_atomic(root / picture_of(standing), draw(strip))
    shown = [standing for standing, strip in zip(found, strips, strict=True) if strip is not None]
    write_atomic(root / "leaderboard.md", markdown(suite, found, shown) + "\n")
    write_atomic(root / "leaderboard.csv", tables.to_csv(exact_table(found)) + "\n")
    write_atomic(root / "leaderboard.tex", latex(suite, found) + "\n")
    with contextlib.suppress(SegevalError):
        require_jinja()
        write_atomic(root / "leaderboard.html", render_leaderboard(page_of(suite, found, strips)) + "\n")
    return found


def picture_of(standing: Standing) -> str:
    """The name of a table's picture."""
    return f"strip-{standing.task}-{standing.data}.png"


def _tables(suite: Suite, standing: Standing) -> list[Table]:
    return [t for t in (quality_table(suite, standing), cost_table(suite, standing)) if t.rows]


def markdown(suite: Suite, found: Sequence[Standing], pictured: Sequence[Standing] = ()) -> str:
    """For a README."""
    parts = [f"# {suite.title}", *([suite.about] if suite.about else [])]
    for standing in found:
        parts += [tables.to_markdown(quality_table(suite, standing))]
        parts += [*failures(standing), *notes(suite, standing)]
        parts += [f"`{standing.signature}`"] if standing.signature else []
        costs = cost_table(suite, standing)
        parts += [tables.to_markdown(costs), *cost_notes(standing)] if costs.rows else []
        parts += [f"![six images across all members]({picture_of(standing)})"] if standing in pictured else []
    published = published_table(suite)
    if published.rows:
        parts += [tables.to_markdown(published), PUBLISHED]
    parts.append(f"Made by `segeval suite {suite.name} --out DIR`, segeval {__version__}.")
    return "\n\n".join(parts)


def text(suite: Suite, found: Sequence[Standing]) -> str:
    """For a terminal."""
    parts = []
    for standing in found:
        shown = [tables.to_text(quality_table(suite, standing)), *failures(standing), *notes(suite, standing)]
        shown += [standing.signature] if standing.signature else []
        costs = cost_table(suite, standing)
        shown += ["", tables.to_text(costs), *cost_notes(standing)] if costs.rows else []
        parts.append("\n".join(shown))
    return "\n\n".join(parts)


def latex(suite: Suite, found: Sequence[Standing]) -> str:
    """For a paper."""
    parts = []
    for standing in found:
        parts += [tables.to_latex(t) for t in _tables(suite, standing)]
        said = [*failures(standing), *notes(suite, standing), *cost_notes(standing)]
        said += [standing.signature] if standing.signature else []
        parts.append("\n".join(f"% {line}" for line in said))
    return "\n\n".join(parts)
