"""Scoring rows that were saved: what is wrong with them is told, and a defect of ours is not told as theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segeval.errors import SegevalError
from segeval.evidence.tally import Tally
from segeval.metrics.metric import Metric
from segeval.results.result import Result

# The columns that hold classes, by table; others of these names hold places.
_CLASSES = dict.fromkeys(("pixels", "band", "matches"), ("truth", "prediction"))


def rescored(rule: Metric, tally: Tally, parts: Sequence[tuple[Path, Tally]]) -> Result:
    """The score that saved rows give.

    Parameters
    ----------
    rule
        The rule that the runs name.
    tally
        All rows.
    parts
        The files that they came from, each with its own.

    Raises
    ------
    SegevalError
        If a part holds rows that the rule never writes. Any other error is the rule's own, and raised as it is.
    """
    try:
        return rule.score(tally)
    except SegevalError:
        raise
    except Exception:
        for path, part in parts:
            if wrong := _strange_rows(rule, part):
                raise SegevalError(f"damaged run ({wrong})", file=path, remedy="score again") from None
        raise


def _strange_rows(rule: Metric, tally: Tally) -> str:
    """What rows hold that the rule never writes; nothing where they could be its own."""
    known = None if rule.taxonomy is None or getattr(rule, "class_agnostic", False) else {-1, *rule.taxonomy.ids}
    for name, wanted in rule.observe([]).tables.items():
        rows = tally.tables.get(name)
        if rows is None:
            return f"the rows lack the table {name!r}"
        for column, values in wanted.columns().items():
            found = rows.columns().get(column)
            if found is None or found.shape[1:] != values.shape[1:] or found.dtype.kind != values.dtype.kind:
                return f"the rows lack the column {column!r} of {name!r}"
        for column in ("class", *_CLASSES.get(name, ())):
            strange = set(rows.groups[column].tolist() if column in rows.groups else ())
            if known is not None and (strange := strange - known):
                return f"the rows of {name!r} hold the class {min(strange)}"
        for column, values in rows.counts.items():
            if values.size and int(values.min()) < 0:
                return f"the rows of {name!r} hold a negative number of {column!r}"
    return ""
