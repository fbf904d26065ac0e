"""PQ, SQ and RQ from counts, for one data set or a stack of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import join_iou
from segeval.metrics.means import mean_over_classes, ratio

COUNTS = ("tp", "fp", "fn", "iou_high", "iou_low")


def figures(counts: dict[str, NDArray[np.int64]]) -> dict[str, NDArray[np.float64]]:
    """PQ, SQ and RQ of each class (..., K); NaN for a class without tp, fp and fn, SQ 0 for one without tp."""
    tp, fp, fn = counts["tp"], counts["fp"], counts["fn"]
    iou = join_iou(counts["iou_high"], counts["iou_low"])
    there = (tp + fp + fn) > 0
    size = tp + 0.5 * fp + 0.5 * fn
    quality = ratio(iou, tp)
    return {
        "PQ": ratio(iou, size),
        "SQ": np.where(there & (tp == 0), 0.0, quality),
        "RQ": ratio(tp, size),
    }


def summary(
    classes: dict[str, NDArray[np.float64]], things: tuple[bool, ...] | None, absent: str
) -> dict[str, NDArray[np.float64]]:
    """Means over all classes, things and stuff, from per-class figures (..., K)."""
    count = classes["PQ"].shape[-1]
    none = np.zeros(count, bool)
    is_thing = none if things is None else np.array(things, bool)
    is_stuff = none if things is None else ~is_thing
    values = {}
    for tail, which in (("", np.ones(count, bool)), ("_th", is_thing), ("_st", is_stuff)):
        for name in ("PQ", "SQ", "RQ"):
            column = classes[name][..., which]
            values[name + tail] = mean_over_classes(np.nan_to_num(column) if absent == "zero" else column)
    return values
