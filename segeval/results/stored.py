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
    for name, kind in _FIELDS.items():
        if name not in data:
            raise DamagedRunError(f"no {name!r}")
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise DamagedRunError(f"{name!r} is a {type(data[name]).__name__}")
    if not 0 <= data["images"] <= MOST_IMAGES:
        raise DamagedRunError(f"'images' is {data['images']}")
    for caution in data["warnings"]:
        if not isinstance(caution, dict) or not all(isinstance(caution.get(k), str) for k in ("code", "message")):
            raise DamagedRunError("'warnings' hold something else")
    for name, pair in data["intervals"].items():
        _require_pair(name, pair)
    _require_numbers("values", data["values"])
    for row in data["per_class"]:
        if not isinstance(row, dict) or not {"id", "name"} <= set(row):
            raise DamagedRunError("a class without 'id' or 'name'")
        _require_numbers("per_class", {k: v for k, v in row.items() if k != "name"})
        if type(row["id"]) is not int or not isinstance(row["name"], str):
            raise DamagedRunError(f"the class {row['id']!r:.40}")
    for row in data.get("class_intervals", ()):
        if not isinstance(row, dict) or "id" not in row:
            raise DamagedRunError("'class_intervals' hold something else")
        for name, pair in row.items():
            if name != "id":
                _require_pair(name, pair)
    if data["confusion"] is not None:
        _require_matrix(data["confusion"])


MOST_IMAGES = 2**53

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


def _require_numbers(name: str, row: Mapping[str, Any]) -> None:
    for figure, value in row.items():
        if not isinstance(value, (int, float, type(None))):
            raise DamagedRunError(f"{figure!r} in {name!r} is a {type(value).__name__}")


def _require_pair(name: str, pair: Any) -> None:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(v, (int, float, type(None))) for v in pair):
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
