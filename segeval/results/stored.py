"""The parts of a saved run: figures that JSON can hold, and their checks on the way back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np


def bounds(pair: list[float | None]) -> tuple[float, float]:
    low, high = (math.nan if v is None else float(v) for v in pair)
    return low, high


class DamagedRunError(Exception):
    """What is wrong with a saved run; `str` names the field."""


def check_run(data: Mapping[str, Any]) -> None:
    """Refuse a saved run whose fields are absent or of other types, before anything is made of them.

    Raises
    ------
    DamagedRunError
        Naming the field.
    """
    for name, kind in (_FIELDS | {n: k for n, k in _MAYBE.items() if n in data}).items():
        if name not in data:
            raise DamagedRunError(f"no {name!r}")
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise DamagedRunError(f"{name!r} is a {type(data[name]).__name__}")
    for name in ("rule", "provenance"):
        _require_shallow(name, data[name])
    if "shard" in data["provenance"]:
        _require_shard(data["provenance"]["shard"])
    _require_figures(data)
    _require_bounds(data)
    if data["confusion"] is not None:
        _require_matrix(data["confusion"])


def _require_figures(data: Mapping[str, Any]) -> None:
    """Refuse values, classes and cautions that are none."""
    if not 0 <= data["images"] <= MOST_IMAGES:
        raise DamagedRunError(f"'images' is {data['images']}")
    for caution in data["warnings"]:
        if not isinstance(caution, dict) or not all(isinstance(caution.get(k), str) for k in ("code", "message")):
            raise DamagedRunError("'warnings' hold something else")
    _require_numbers("values", data["values"])
    for row in data["per_class"]:
        if not isinstance(row, dict) or not {"id", "name"} <= set(row):
            raise DamagedRunError("a class without 'id' or 'name'")
        _require_numbers("per_class", {k: v for k, v in row.items() if k != "name"})
        if type(row["id"]) is not int or not isinstance(row["name"], str):
            raise DamagedRunError(f"the class {row['id']!r:.40}")
    _require_alike("per_class", data["per_class"])


def _require_bounds(data: Mapping[str, Any]) -> None:
    """Refuse intervals that are none, of values that are not there, or of other classes."""
    for name, pair in data["intervals"].items():
        _require_pair(name, pair)
        if name not in data["values"]:
            raise DamagedRunError(f"an interval of {name!r}, and no such value")
    rows = data.get("class_intervals", [])
    for row in rows:
        if not isinstance(row, dict) or "id" not in row:
            raise DamagedRunError("'class_intervals' hold something else")
        for name, pair in row.items():
            if name != "id":
                _require_pair(name, pair)
    _require_alike("class_intervals", rows)
    if (rows or data["intervals"]) and [row["id"] for row in rows] != [row["id"] for row in data["per_class"]]:
        raise DamagedRunError("'class_intervals' are of other classes than 'per_class'")


MOST_IMAGES = 2**53
# Levels of lists and mappings within a rule, or what a run says of its making.
MOST_LEVELS = 50

_FIELDS: dict[str, Any] = {
    "task": str,
    "signature": str,
    "images": int,
    "values": dict,
    "per_class": list,
    "warnings": list,
    "intervals": dict,
    "confusion": (list, type(None)),
    "rule": dict,
    "provenance": dict,
    "saved": list,
}
_MAYBE: dict[str, Any] = {"class_intervals": list, "interval_signature": str}


def _require_numbers(name: str, row: Mapping[str, Any]) -> None:
    for figure, value in row.items():
        if not isinstance(value, (int, float, type(None))):
            raise DamagedRunError(f"{figure!r} in {name!r} is a {type(value).__name__}")
        if not _is_figure(value):
            raise DamagedRunError(f"{figure!r} in {name!r} is {value!r:.40}")


def _is_figure(value: Any) -> bool:
    """Whether a value is undefined, a float, or a whole number that a float can hold."""
    return value is None or isinstance(value, float) or (isinstance(value, int) and abs(value) < 2**63)


def _require_alike(name: str, rows: list[dict[str, Any]]) -> None:
    """Refuse rows of which some lack a figure that others have."""
    names = dict.fromkeys(figure for row in rows for figure in row)
    for row in rows:
        if absent := [figure for figure in names if figure not in row]:
            raise DamagedRunError(f"no {absent[0]!r} of the class {row['id']!r:.40} in {name!r}")


def _require_shallow(name: str, value: Any) -> None:
    level = [value]
    for _ in range(MOST_LEVELS):
        level = [v for one in level if isinstance(one, (dict, list)) for v in _inside(one)]
    if level:
        raise DamagedRunError(f"{name!r} is nested more than {MOST_LEVELS} deep")


def _inside(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _require_shard(about: Any) -> None:
    """Refuse what is no description of a shard (as `segeval.scoring.shards.partial_result` writes it)."""
    kinds = {"index": int, "of": int, "images": int, "keys": str, "spans": list, "cautions": list}
    if not isinstance(about, dict):
        raise DamagedRunError(f"'shard' is a {type(about).__name__}")
    for name, kind in kinds.items():
        if type(about.get(name)) is not kind:
            raise DamagedRunError(f"{name!r} in 'shard' is {about.get(name)!r:.40}")
    if not 1 <= about["index"] <= about["of"] or len(about["spans"]) != about["of"]:
        raise DamagedRunError(f"'shard' is {about['index']!r:.40} of {about['of']!r:.40}")
    spans = [(type(v) for v in span) for span in about["spans"] if isinstance(span, list)]
    cautions = [(type(v) for v in pair) for pair in about["cautions"] if isinstance(pair, list)]
    for name, rows, row in (("spans", spans, [str, str, int]), ("cautions", cautions, [str, str])):
        if [list(kinds) for kinds in rows] != [row] * len(about[name]):
            raise DamagedRunError(f"{name!r} in 'shard' hold something else")


def _require_pair(name: str, pair: Any) -> None:
    if not isinstance(pair, list) or len(pair) != 2 or not all(map(_is_figure, pair)):
        raise DamagedRunError(f"the interval of {name!r} is no pair of numbers")


def _require_matrix(rows: list[Any]) -> None:
    for row in rows:
        whole = isinstance(row, list) and all(type(v) is int and 0 <= v < 2**63 for v in row)
        if not whole or len(row) != len(rows) + 1:
            raise DamagedRunError("'confusion' is no matrix of counts")


def undefined(row: Mapping[str, Any]) -> dict[str, Any]:
    return {k: math.nan if v is None and k != "isthing" else v for k, v in row.items()}


def plain(value: Any) -> Any:
    """JSON has no NaN: undefined is null."""
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
