"""Plain functions on arrays: no objects, no files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.options import whole_numbers
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.result import Result
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy
from segeval.scoring.accumulator import Accumulator

Classes = Taxonomy | int | Sequence[str]


def confusion_matrix(
    *, prediction: Any, truth: Any, classes: Classes, void: int | Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Pixels by truth class and predicted class.

    Parameters
    ----------
    prediction, truth
        Label maps (H, W) of integers.
    classes
        A taxonomy, a count or names.
    void
        The value, or the values, that are left out of the truth, 255 unless given. A void prediction counts as missed.

    Returns
    -------
    matrix
        int64 (K, K + 1): rows truth, columns prediction, the last column predicted as void.

    Raises
    ------
    SegevalError
        For sizes that differ, labels outside the classes, arrays that are no label maps, and truth of exactly 0 and
        255 without a word on what 255 is.

    Examples
    --------
    >>> truth, prediction = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    >>> confusion_matrix(prediction=prediction, truth=truth, classes=2).tolist()
    [[1, 1, 0], [0, 1, 0]]
    """
    rule = SemanticIoU(Taxonomy.of(classes), void=None if void is None else whole_numbers(void, "void"))
    confusion = rule.score(rule.observe([Pair(0, truth, prediction)])).confusion
    assert confusion is not None
    return confusion.copy()


def _semantic(
    prediction: Any, truth: Any, classes: Classes, void: int | Sequence[int] | None, figure: str
) -> NDArray[np.float64]:
    seen = Accumulator(SemanticIoU(Taxonomy.of(classes), void=None if void is None else whole_numbers(void, "void")))
    seen.update(prediction=prediction, truth=truth)
    return np.array([row[figure] for row in seen.compute().per_class])


def iou(
    *, prediction: Any, truth: Any, classes: Classes, void: int | Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Intersection over union of each class: i / (t + p - i); NaN for a class in neither map.

    Parameters
    ----------
    prediction, truth, classes, void
        As for `confusion_matrix`.

    Returns
    -------
    iou
        float64 (K). mIoU is ``np.nanmean`` of it.

    Examples
    --------
    >>> truth, prediction = np.array([[0, 0, 1, 255]]), np.array([[0, 1, 1, 1]])
    >>> iou(prediction=prediction, truth=truth, classes=["road", "car", "tram"]).tolist()
    [0.5, 0.5, nan]
    """
    return _semantic(prediction, truth, classes, void, "IoU")


def dice(
    *, prediction: Any, truth: Any, classes: Classes, void: int | Sequence[int] | None = None
) -> NDArray[np.float64]:
    """Dice coefficient (F1) of each class: 2 i / (t + p); NaN for a class in neither map.

    Parameters
    ----------
    prediction, truth, classes, void
        As for `confusion_matrix`.

    Returns
    -------
    dice
        float64 (K).

    Examples
    --------
    >>> truth, prediction = np.array([[0, 0, 0, 0, 1]]), np.array([[0, 0, 0, 1, 0]])
    >>> dice(prediction=prediction, truth=truth, classes=2).tolist()
    [0.75, 0.0]
    """
    return _semantic(prediction, truth, classes, void, "Dice")


def panoptic_quality(*, prediction: Any, truth: Any, classes: Taxonomy) -> Result:
    """PQ, SQ and RQ of one image.

    Parameters
    ----------
    prediction, truth
        (ids, segments): ids (H, W) integers with 0 for void, or RGB (H, W, 3) uint8; segments a list of
        ``{"id": ..., "category_id": ..., "iscrowd": 0}``.
    classes
        A taxonomy; its `things` tell the means over things and stuff.

    Returns
    -------
    result
        ``result["PQ"]`` and so on.

    Raises
    ------
    SegevalError
        For sizes that differ, and ids listed on one side of pixels and segments only.

    Examples
    --------
    >>> classes = Taxonomy((1, 2), ("person", "sky"), things=(True, False))
    >>> segments = [{"id": 10, "category_id": 1}, {"id": 20, "category_id": 2}]
    >>> truth = np.array([[10, 10, 10, 10, 20, 20]]), segments
    >>> prediction = np.array([[10, 10, 10, 0, 20, 20]]), segments
    >>> result = panoptic_quality(prediction=prediction, truth=truth, classes=classes)
    >>> result["PQ"], result["PQ_th"], result["PQ_st"]
    (0.875, 0.75, 1.0)
    """
    seen = Accumulator("panoptic", classes=classes)
    seen.update(prediction=prediction, truth=truth)
    return seen.compute()
