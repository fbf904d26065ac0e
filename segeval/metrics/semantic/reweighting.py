"""A semantic run's rows under weights of its images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import split_iou
from segeval.metrics.reweighting import Figures, ReweightedCounts
from segeval.metrics.semantic import figures as confusions
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy

SEMANTIC_FIGURES = ("IoU", "Acc", "Dice", "precision", "recall")


def counts_of(
    keys: Sequence[Key],
    taxonomy: Taxonomy,
    areas: NDArray[np.int64],
    in_means: NDArray[np.bool_],
    absent: str,
    average: str,
) -> ReweightedCounts:
    """Common, truth and predicted pixels (3, images, K); or, for averages over images, the figures of each image."""
    images, k = areas.shape[1:]

    def figures_of(areas: NDArray[np.int64]) -> Figures:
        classes = confusions.figures(areas)
        means = confusions.summary(classes, in_means, absent)
        return Figures(
            np.stack([means[n] for n in names], axis=-1), np.stack([classes[n] for n in SEMANTIC_FIGURES], axis=-1)
        )

    names = tuple(confusions.summary(confusions.figures(areas[:, :0].sum(axis=1)), in_means, absent))
    common: dict[str, Any] = {
        "keys": tuple(keys),
        "values": names,
        "figures": SEMANTIC_FIGURES,
        "class_ids": taxonomy.ids,
        "class_names": taxonomy.names,
        "presence": areas[1] > 0,
    }
    if average == "dataset":
        rows = areas.transpose(1, 0, 2).reshape(images, 3 * k).astype(np.float64)
        return ReweightedCounts(
            **common, rows=rows, formulas=lambda sums: figures_of(sums.reshape(-1, 3, k).transpose(1, 0, 2))
        )
    return _averages(common, *figures_of(areas))


def _averages(common: dict[str, Any], values: NDArray[np.float64], classes: NDArray[np.float64]) -> ReweightedCounts:
    """Averages over images: every image's figures are the columns, in the exact parts that the score adds up too."""
    images, headlines = values.shape
    flat = np.concatenate([values, classes.reshape(images, -1)], axis=1)
    defined = ~np.isnan(flat)
    high, low = split_iou(np.nan_to_num(flat))

    def formulas(sums: NDArray[np.int64]) -> Figures:
        mean = confusions.mean_of_parts(*np.split(sums, 3, axis=1))
        return Figures(mean[:, :headlines], mean[:, headlines:].reshape(-1, *classes.shape[1:]))

    rows = np.concatenate([high, low, defined], axis=1).astype(np.float64)
    return ReweightedCounts(**common, rows=rows, formulas=formulas)
