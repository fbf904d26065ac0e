"""Plain tables of text, in the forms that a terminal, a README, a paper and a spreadsheet take."""

from __future__ import annotations

import csv
import html
import io
import json
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

DASH = "–"

# Letters as superscripts; there is none for q.
RAISED = dict(zip("abcdefghijklmnoprstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻ", strict=True))


@dataclass(frozen=True)
class Table:
    """Rows of text under one line of headers.

    Parameters
    ----------
    headers
        One for each column; the first is often empty.
    rows
        Cells as they are to be shown.
    left
        Positions of the columns that are text; the others are numbers and align right.
    title
        Printed above, if any.
    """

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left: tuple[int, ...] = (0,)
    title: str = ""


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a person reads it: 0.6151 is 61.5; undefined is a dash."""
    if value is None or value != value:
        return DASH
    return f"{100 * value:.{digits}f}"


def width(text: str) -> int:
    """Columns that a text takes in a terminal: wide East Asian characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in printable(text)
    )


def printable(text: str) -> str:
    """A text without control characters: file and class names may hold anything, also terminal escapes."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def to_text(table: Table) -> str:
    """Aligned columns for a terminal."""
    cells = [[printable(c) for c in row] for row in (table.headers, *table.rows)]
    widths = [max(width(row[k]) for row in cells) for k in range(len(table.headers))]
    lines = [table.title] if table.title else []
    for row in cells:
        padded = []
        for k, cell in enumerate(row):
            space = " " * (widths[k] - width(cell))
            padded.append(cell + space if k in table.left else space + cell)
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def to_markdown(table: Table) -> str:
    """A pipe table."""

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(printable(c).replace("\\", "\\\\").replace("|", "\\|") for c in row) + " |"

    rule = "|" + "|".join(" :--- " if k in table.left else " ---: " for k in range(len(table.headers))) + "|"
    body = [line(table.headers), rule, *(line(row) for row in table.rows)]
    return "\n".join([f"**{table.title}**", "", *body] if table.title else body)


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", DASH: "--"}
_LATEX |= {c: "\\" + c for c in "&%$#_{}"}
_LATEX |= {"Δ": r"$\Delta$", "≤": r"$\le$", "\N{HAIR SPACE}": r"\,"}
_LATEX |= {c: rf"\textsuperscript{{{a}}}" for a, c in RAISED.items()}


def to_latex(table: Table) -> str:
    """A ``tabular`` with the rules of the booktabs package."""

    def line(row: Sequence[str]) -> str:
        return " & ".join("".join(_LATEX.get(c, c) for c in printable(cell)) for cell in row) + r" \\"

    columns = "".join("l" if k in table.left else "r" for k in range(len(table.headers)))
    lines = [f"% {printable(table.title)}"] if table.title else []
    lines += [rf"\begin{{tabular}}{{{columns}}}", r"\toprule", line(table.headers), r"\midrule"]
    lines += [*(line(row) for row in table.rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


def to_csv(table: Table) -> str:
    """Comma-separated values with one line of headers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(table.headers)
    writer.writerows(table.rows)
    return stream.getvalue().rstrip("\n")


def to_html(table: Table) -> str:
    """A ``<table>``; every text is escaped."""

    def line(row: Sequence[str], tag: str) -> str:
        cells = (
            f'<{tag} style="text-align:{"left" if k in table.left else "right"}">{html.escape(printable(c))}</{tag}>'
            for k, c in enumerate(row)
        )
        return "<tr>" + "".join(cells) + "</tr>"

    caption = f"<caption>{html.escape(printable(table.title))}</caption>" if table.title else ""
    head, body = line(table.headers, "th"), "".join(line(row, "td") for row in table.rows)
    return f"<table>{caption}<thead>{head}</thead><tbody>{body}</tbody></table>"


FORMATS: dict[str, Callable[[Table], str]] = {
    "text": to_text,
    "markdown": to_markdown,
    "latex": to_latex,
    "csv": to_csv,
    "html": to_html,
}


def exact(value: object) -> str:
    """An unrounded cell: every digit of a float, and nothing where a value is undefined."""
    if value is None or value != value:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def notes(lines: Sequence[str], signatures: Sequence[str], form: str) -> str:
    """What stands below a table: sentences, and signatures that are copied from there."""
    if form == "latex":
        return "\n".join(f"% {line}" for line in (*lines, *signatures))
    if form == "html":
        said = [f"<p>{html.escape(line)}</p>" for line in lines]
        return "\n".join([*said, *(f"<p><code>{html.escape(sign)}</code></p>" for sign in signatures)])
    if form == "markdown":
        return "  \n".join([*lines, *(f"`{sign}`" for sign in signatures)])
    return "\n".join([*lines, *signatures])


def as_json(value: object) -> str:
    """One JSON object for a person's eye; undefined numbers are null."""
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
