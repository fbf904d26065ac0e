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


def check_figures(data: dict[str, Any], columns: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a saved run whose figures are incomplete or no numbers, before anything is made of them."""
    panoptic = data["task"] == "panoptic"
    needed = {"id", "name", *columns.get(data["task"], ())} | ({"isthing"} if panoptic else set())
    heads = {n + tail for n in ("PQ", "SQ", "RQ") for tail in ("", "_th", "_st")} if panoptic else set()
    if "shard" in data["provenance"]:  # rows, and no figures yet
        heads = set()
    for row, names in ((data["values"], heads), *((row, needed) for row in data["per_class"])):
        if names - set(row):
            raise KeyError(min(names - set(row)))
        for name, value in row.items():
            if name != "name" and not isinstance(value, (int, float, type(None))):
                raise TypeError(name)
    texts = [w[k] for w in data["warnings"] for k in ("code", "message")]
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("warnings")


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
