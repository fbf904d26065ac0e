"""A leaderboard of several tasks as one self-contained HTML page: tables, charts and pictures, no network."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from segeval.report.charts import Chart
from segeval.report.document import template_of
from segeval.report.grids import Grid
from segeval.report.pictures.strips import Strip, panels
from segeval.version import __version__


@dataclass(frozen=True)
class Section:
    """One table of systems that can be compared.

    Attributes
    ----------
    anchor, title, lead
        Its place, its heading, and a sentence below that.
    quality, costs
        The tables.
    failures
        Systems without a row of numbers, and why.
    notes
        What a reader of the table must know.
    signature
        Under which conventions it was scored.
    charts, strip
        Dots of the systems, and pictures.
    remarks
        What could not be shown.
    """

    anchor: str
    title: str
    quality: Grid
    lead: str = ""
    costs: Grid | None = None
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    signature: str = ""
    charts: tuple[Chart, ...] = ()
    strip: Strip | None = None
    remarks: tuple[str, ...] = ()

    @property
    def pictures(self) -> list[tuple[Any, Any]]:
        """Each row of the strip with its pictures."""
        return [(row, panels(self.strip, row)) for row in self.strip.rows] if self.strip else []


@dataclass(frozen=True)
class Page:
    """The whole page.

    Attributes
    ----------
    title, about, facts
        The head.
    sections
        One a task and data set.
    published
        Results of others, which are never mixed with the sections'.
    commands, notes
        How it was made.
    """

    title: str
    sections: tuple[Section, ...]
    about: str = ""
    facts: tuple[str, ...] = ()
    published: Grid | None = None
    commands: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def render_leaderboard(page: Page) -> str:
    """The page as text.

    Raises
    ------
    SegevalError
        If jinja2 is not installed.
    """
    script = resources.files(__package__).joinpath("report.js").read_text("utf-8")
    styles = resources.files(__package__).joinpath("report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    template = template_of("leaderboard.html.j2")
    return str(template.render(page=page, version=__version__, script=script, styles=styles, script_hash=digest))
