"""The leaderboard of a suite, written as Markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from segeval import tables
from segeval.files import write_atomic
from segeval.tables import Table
from segeval_baselines.suite.form import Suite
from segeval_baselines.suite.standing import Standing, rows_of, standings
from segeval_baselines.suite.tables import cost_table, exact_table, notes, quality_table


def write_board(suite: Suite, root: Path) -> list[Standing]:
    """Write ``leaderboard.md``, ``.csv``, ``.tex`` and ``.html`` of what the suite's folder holds.

    Returns
    -------
    standings
        What was written.

    Raises
    ------
    SegevalError
        If the folder can't be written to, or holds scores that don't belong together.
    """
    found = standings(rows_of(suite, root))
    write_atomic(root / "leaderboard.md", markdown(suite, found) + "\n")
    write_atomic(root / "leaderboard.csv", tables.to_csv(exact_table(found)) + "\n")
    write_atomic(root / "leaderboard.tex", latex(suite, found) + "\n")
    write_atomic(root / "leaderboard.html", page(suite, found) + "\n")
    return found


def _tables(suite: Suite, standing: Standing) -> list[Table]:
    return [t for t in (quality_table(suite, standing), cost_table(suite, standing)) if t.rows]


def markdown(suite: Suite, found: Sequence[Standing]) -> str:
    """For a README."""
    parts = [f"# {suite.title}", *([suite.about] if suite.about else [])]
    for standing in found:
        quality, *others = _tables(suite, standing)
        parts.append(tables.to_markdown(quality))
        parts += notes(suite, standing)
        parts += [tables.to_markdown(t) for t in others]
        parts += [f"`{standing.board.signature.format()}`"] if standing.board else []
    return "\n\n".join(parts)


def text(suite: Suite, found: Sequence[Standing]) -> str:
    """For a terminal."""
    parts = []
    for standing in found:
        shown = [tables.to_text(quality_table(suite, standing)), *notes(suite, standing)]
        shown += [standing.board.signature.format()] if standing.board else []
        parts.append("\n".join(shown))
    return "\n\n".join(parts)


def latex(suite: Suite, found: Sequence[Standing]) -> str:
    """For a paper."""
    parts = []
    for standing in found:
        parts += [tables.to_latex(t) for t in _tables(suite, standing)]
        said = notes(suite, standing) + ([standing.board.signature.format()] if standing.board else [])
        parts.append("\n".join(f"% {line}" for line in said))
    return "\n\n".join(parts)


def page(suite: Suite, found: Sequence[Standing]) -> str:
    """For a browser."""
    parts = [f"<!doctype html><meta charset=utf-8><title>{html.escape(suite.title)}</title>"]
    parts.append(f"<h1>{html.escape(suite.title)}</h1>")
    for standing in found:
        parts += [tables.to_html(t) for t in _tables(suite, standing)]
        parts += [f"<p>{html.escape(line)}</p>" for line in notes(suite, standing)]
    return "\n".join(parts)
