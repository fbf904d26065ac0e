"""From confusion rows (image, truth class, predicted class, pixels) to the figures of the IoU family."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import Rows, join_iou, split_iou
from segeval.evidence.tally import Tally
from segeval.metrics.means import mean_over_classes, ratio, sum_over_classes
from segeval.samples.taxonomy import Taxonomy, positions


def figures(areas: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
    """Per-class figures from common, truth and predicted pixels (3, ..., K); NaN where undefined."""
    common, truth, predicted = areas.astype(np.float64)
    accuracy = ratio(common, truth)
    return {
        "IoU": ratio(common, truth + predicted - common),
        "Acc": accuracy,
        "Dice": ratio(2 * common, truth + predicted),
        "precision": ratio(common, predicted),
        "recall": accuracy,
        "truth": truth,
        "common": common,
    }


def summary(
    classes: dict[str, NDArray[np.float64]], in_means: NDArray[np.bool_], absent: str
) -> dict[str, NDArray[np.float64]]:
    """Headline values (...) from per-class figures (..., K).

    fwIoU weights the IoU of the classes in the means by their share of the truth; aAcc counts every class.
    """

    def mean(name: str) -> NDArray[np.float64]:
        column = classes[name][..., in_means]
        return mean_over_classes(np.nan_to_num(column) if absent == "zero" else column)

    truth = classes["truth"][..., in_means]
    iou = np.nan_to_num(classes["IoU"][..., in_means])
    return {
        "mIoU": mean("IoU"),
        "fwIoU": ratio(sum_over_classes(truth * iou), sum_over_classes(truth)),
        "aAcc": ratio(sum_over_classes(classes["common"]), sum_over_classes(classes["truth"])),
        "mAcc": mean("Acc"),
        "mDice": mean("Dice"),
    }


def confusion_matrix_of(tally: Tally, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """(K, K + 1) pixels: truth by prediction, the last column predicted as no class."""
    rows = tally.tables["pixels"]
    k = len(taxonomy)
    truth, predicted = (positions(rows[c], taxonomy.ids) for c in ("truth", "prediction"))
    matrix = np.zeros((k, k + 1), np.int64)
    which = truth < k
    np.add.at(matrix, (truth[which], predicted[which]), rows["pixels"][which])
    return matrix


def add_up(
    image: NDArray[np.int32], truth: NDArray[np.int64], predicted: NDArray[np.int64], pixels: NDArray[np.int64]
) -> Rows:
    """Rows sorted by image, truth and prediction, one for each combination (several raw values may be one class)."""
    order = np.lexsort((predicted, truth, image))
    image, truth, predicted, pixels = image[order], truth[order], predicted[order], pixels[order]
    fresh = np.ones(len(order), bool)
    fresh[1:] = (image[1:] != image[:-1]) | (truth[1:] != truth[:-1]) | (predicted[1:] != predicted[:-1])
    starts = np.flatnonzero(fresh)
    sums = np.add.reduceat(pixels, starts) if len(starts) else pixels
    return Rows(image[starts], {"truth": truth[starts], "prediction": predicted[starts]}, {"pixels": sums})


def mean_of_parts(high: NDArray[np.int64], low: NDArray[np.int64], defined: NDArray[np.int64]) -> NDArray[np.float64]:
    """The mean of figures from the sums of their exact parts (`tally.split_iou`) and how many were defined."""
    return ratio(join_iou(high, low), defined)


def mean_over_images(values: NDArray[np.float64]) -> Any:
    """Mean over the first axis of what is defined; summed in whole numbers, so that the order is no matter."""
    high, low = split_iou(np.nan_to_num(values))
    mean = mean_of_parts(high.sum(axis=0), low.sum(axis=0), (~np.isnan(values)).sum(axis=0))
    return float(mean) if mean.ndim == 0 else mean
