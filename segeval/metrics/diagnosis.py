"""The reason behind the number: what is taken for what, where errors lie, and what each kind of error costs."""

from __future__ import annotations

from typing import Any, TypeVar

from segeval.errors import SegevalError
from segeval.metrics.confusions import Confusion, Confusions, frequent_confusions
from segeval.metrics.metric import Metric
from segeval.results.result import Result
from segeval.results.tables import Table

T = TypeVar("T")


def part_of(result: Result, kind: type[T]) -> T | None:
    """One part of what is known about a run's errors, by its type; None if the rule has none or the run kept none."""
    make = result.metric.diagnoses.get(kind) if result.rule else None
    found: T | None = None if make is None else make(result)
    return found


def worst_images(result: Result, limit: int = 20) -> list[dict[str, Any]]:
    """The rows of `Metric.per_image` with the worst figure; images without one are left out.

    Raises
    ------
    SegevalError
        If the run kept no rows.
    """
    if result.tally is None:
        raise SegevalError("the run holds no evidence per image", remedy="score again with --out")
    rule: Metric = result.metric
    name = image_figure(rule)
    return [row for row in rule.per_image(result.tally) if row[name] == row[name]][:limit]


def image_figure(rule: Metric) -> str:
    """The figure by which images are compared."""
    return rule.image_figure or rule.headline


def diagnosis_tables(result: Result) -> list[Table]:
    """What a terminal shows of the analysis of errors."""
    parts = [part_of(result, kind) for kind in (result.metric.diagnoses if result.rule else ())]
    tables = []
    for part in parts:
        if isinstance(part, Table):
            tables.append(part)
        elif part is not None and hasattr(part, "table"):
            tables.append(part.table(result.taxonomy))
    return tables


__all__ = [
    "Confusion",
    "Confusions",
    "diagnosis_tables",
    "frequent_confusions",
    "image_figure",
    "part_of",
    "worst_images",
]
