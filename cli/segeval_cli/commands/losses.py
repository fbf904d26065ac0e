"""`segeval losses`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from segeval.errors import SegevalError

LEVELS = ("pixel", "region", "boundary", "combination", "task")
COLUMNS = ("name", "level", "paper", "needs")


def add_parser(commands: Any) -> None:
    """Declare the command and its options."""
    parser = commands.add_parser(
        "losses",
        help="list the losses that segeval.losses ships",
        description="List every loss: its level in the taxonomy, its paper, what it needs besides logits and labels.",
    )
    parser.add_argument("--level", choices=LEVELS, help="only this level")
    parser.add_argument("--format", choices=("text", "json", "markdown"), default="text", help="what is printed")


def run(args: argparse.Namespace) -> int:
    """Print the list."""
    try:
        from segeval.losses import LOSSES
    except ModuleNotFoundError as error:
        raise SegevalError(
            f"the losses need {error.name}, which is not installed", remedy="pip install 'segeval[torch]'"
        ) from error
    rows: list[tuple[str, ...]] = [
        (name, info.level, info.paper, ", ".join(info.needs))
        for name, info in LOSSES.items()
        if args.level in (None, info.level)
    ]
    print(FORMS[args.format](rows))
    return 0


def _text(rows: list[tuple[str, ...]]) -> str:
    table: list[tuple[str, ...]] = [COLUMNS, *rows]
    widths = [max(len(row[column]) for row in table) for column in range(len(COLUMNS))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table)
    return "\n".join(line.rstrip() for line in lines)


def _markdown(rows: list[tuple[str, ...]]) -> str:
    table: list[tuple[str, ...]] = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in table)


def _json(rows: list[tuple[str, ...]]) -> str:
    listed = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
    return json.dumps([{**row, "needs": row["needs"].split(", ") if row["needs"] else []} for row in listed])


FORMS = {"text": _text, "markdown": _markdown, "json": _json}
