"""Leaderboards as people and machines read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from segeval.comparison.ranking import Board
from segeval.results import tables
from segeval.results.stored import plain
from segeval.results.tables import Table, exact

FORMS = ("text", "json", "markdown", "csv", "latex", "html")


def board_table(board: Board) -> Table:
    """Rank, system, the value that sorts with its interval and letters, and the other values."""
    rows = []
    for e in board.entries:
        figure, ends = e.result.figure(board.metric), e.result.intervals.get(board.metric)
        others = (e.result.figure(n).show(e.result.values[n]) for n in board.columns[1:])
        first = figure.show(e.result.values[board.metric])
        rows.append((str(e.rank), e.name, first, figure.between(*ends) if ends else "", e.letters, *others))
    level = f"{100 * board.interval.level:g}% interval"
    title = f"{board.task}, {board.entries[0].result.images} images"
    if board.varying:
        title += " (" + ", ".join(f"{k}: {v}" for k, v in board.varying.items()) + ")"
    return Table(("#", "system", board.metric, level, "letters", *board.columns[1:]), tuple(rows), (1, 4), title)


def notes(board: Board) -> list[str]:
    """What letters mean."""
    lines = []
    if len(board.entries) > 1:
        pairs = len(board.p)
        correction = f", Holm-corrected over {pairs} pairs" if pairs > 1 else ""
        lines.append(
            f"systems that share a letter are not significantly different in {board.metric} "
            f"({board.test}, p ≤ {board.interval.alpha:g}{correction})"
        )
    return lines


def render(boards: Sequence[Board], form: str = "text") -> str:
    """The boards as ``text``, ``json``, ``markdown``, ``csv``, ``latex`` or ``html``."""
    if form == "json":
        return tables.as_json(plain([to_dict(b) for b in boards]))
    if form == "csv":
        return tables.to_csv(exact_table(boards))
    parts = []
    for board in boards:
        said = tables.notes(notes(board), [board.signature.format()], form)
        parts.append(tables.FORMATS[form](board_table(board)) + ("\n\n" if form == "markdown" else "\n") + said)
    return "\n\n".join(parts)


def exact_table(boards: Sequence[Board]) -> Table:
    """All values of all runs, unrounded."""

    names = list(dict.fromkeys(n for b in boards for e in b.entries for n in e.result.values))
    headers = ["task", "sorted by", "rank", "system", "letters"]
    headers += [part for n in names for part in (n, f"{n} low", f"{n} high")] + ["signature"]
    rows = []
    for b in boards:
        for e in b.entries:
            row = [b.task, b.metric, str(e.rank), e.name, e.letters]
            for n in names:
                low, high = e.result.intervals.get(n, (float("nan"), float("nan")))
                row += [exact(e.result.values.get(n)), exact(low), exact(high)]
            rows.append((*row, e.result.signature.format()))
    return Table(tuple(headers), tuple(rows), left=(0, 1, 3, 4))


def to_dict(board: Board) -> dict[str, Any]:
    """Plain values for JSON."""
    return {
        "task": board.task,
        "metric": board.metric,
        "signature": board.signature.format(),
        "varying": board.varying,
        "warnings": [{"code": w.code, "message": w.message} for w in board.warnings],
        "entries": [
            {
                "rank": e.rank,
                "name": e.name,
                "letters": e.letters,
                "images": e.result.images,
                "values": e.result.values,
                "intervals": e.result.intervals,
            }
            for e in board.entries
        ],
        "p": [{"first": a, "second": b, "p": p} for (a, b), p in board.p.items()],
    }
