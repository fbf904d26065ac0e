"""From matched and ignored bits to precision, recall and the COCO numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import Rows
from segeval.samples.taxonomy import positions

RECALLS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Axes:
    """What curves and values are spread over, besides classes and recall levels.

    Parameters
    ----------
    thresholds
        IoU thresholds.
    areas
        Names of the ranges of areas; every area comes before them.
    max_dets
        Detections that count in an image and class, ascending.
    original
        AP at 100 detections whatever the largest number is, as pycocotools has it.
    """

    thresholds: tuple[float, ...]
    areas: tuple[str, ...]
    max_dets: tuple[int, ...]
    original: bool = False


def curves_of(detections: Rows, truths: Rows, ids: NDArray[np.int64], axes: Axes) -> dict[str, NDArray[Any]]:
    """Arrays `precision` and `scores` (T, R, K, A, M) and `recall` (T, K, A, M), NaN where a class has no truth.

    The axes are IoU thresholds, recall levels, classes by ascending id, area ranges (the first is every area) and
    `max_dets`.
    """
    from segeval.kernels.counting import curves

    place = positions(detections["class"], ids)
    # Rows lie by image and rank; stable sorts keep that order among equal scores.
    order = np.argsort(-detections["score"], kind="stable")
    order = order[np.argsort(place[order].astype(np.uint16 if len(ids) < 2**16 else np.int64), kind="stable")]
    counts = np.bincount(place, minlength=len(ids) + 1)[: len(ids)]
    total = np.zeros((len(ids) + 1, truths["truths"].shape[1]), np.int64)
    np.add.at(total, positions(truths["class"], ids), truths["truths"])
    sizes = (len(axes.thresholds), len(RECALLS), len(ids), total.shape[1], len(axes.max_dets))
    precision, scores = np.full(sizes, np.nan), np.full(sizes, np.nan)
    recall = np.full((sizes[0], *sizes[2:]), np.nan)
    widest = (sizes[0], int(counts.max(initial=0)))
    curves.accumulate(
        np.concatenate([[0], np.cumsum(counts)]),
        order,
        *(detections[c] for c in ("rank", "score", "matched", "ignored")),
        total[:-1],
        np.array(axes.max_dets, np.int64),
        RECALLS,
        precision,
        recall,
        scores,
        np.zeros(len(RECALLS), np.int64),
        np.zeros(widest, np.int64),
        np.zeros(widest, np.float64),
        *(np.zeros(sizes[0], np.int64) for _ in range(2)),
    )
    return {"precision": precision, "recall": recall, "scores": scores}


def values_of(curves: dict[str, NDArray[Any]], axes: Axes) -> dict[str, float]:
    """Headline numbers of the curves: means over what is defined, added in the official scorer's order."""
    precision, recall = curves["precision"], curves["recall"]
    ap = precision[..., 0, -1]
    if axes.original:  # which looks for 100 whatever the largest is
        ap = precision[..., 0, axes.max_dets.index(100)] if 100 in axes.max_dets else ap[:0]
    values = {"AP": mean_of(ap)}
    for name, threshold in (("AP50", 0.5), ("AP75", 0.75)):
        values[name] = mean_of(precision[np.array(axes.thresholds) == threshold][..., 0, -1])
    values |= {f"AP{name}": mean_of(precision[..., a + 1, -1]) for a, name in enumerate(axes.areas)}
    values |= {f"AR{most}": mean_of(recall[..., 0, m]) for m, most in enumerate(axes.max_dets)}
    values |= {f"AR{name}": mean_of(recall[..., a + 1, -1]) for a, name in enumerate(axes.areas)}
    return values


def mean_of(values: NDArray[np.float64]) -> float:
    """The mean of what is defined; NaN where nothing is."""
    defined = values[~np.isnan(values)]
    return float(np.mean(defined)) if defined.size else float("nan")


def best_cut(scores: NDArray[np.float64], true: NDArray[np.bool_], wanted: int) -> float:
    """The lowest score to keep so that F1 over all images is largest; the highest such score under ties."""
    if not len(scores):
        return 0.0
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(true[order])
    last = np.append(scores[order][1:] != scores[order][:-1], True)  # a cut keeps all equal scores
    f1 = 2 * hits[last] / (np.flatnonzero(last) + 1 + wanted)
    return float(scores[order][last][np.argmax(f1)])
