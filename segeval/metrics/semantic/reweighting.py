"""A semantic run's rows under weights of its images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import split_iou
from segeval.evidence.tally import Tally
from segeval.metrics.reweighting import Figures, ReweightedCounts
from segeval.metrics.semantic import figures as confusions

if TYPE_CHECKING:
    from segeval.metrics.semantic.rule import SemanticIoU

SEMANTIC_FIGURES = ("IoU", "Acc", "Dice", "precision", "recall")


def counts_of(rule: SemanticIoU, tally: Tally) -> ReweightedCounts:
    """Common, truth and predicted pixels of each image and class; or, for averages over images, their figures."""
    taxonomy = rule.taxonomy_of(tally)
    excluded = {taxonomy.resolve(c) for c in rule.exclude}
    in_means = np.array([i not in excluded for i in taxonomy.ids], bool)
    areas = rule.areas(tally, taxonomy, per_image=True)
    images, k = areas.shape[1:]

    def figures_of(areas: NDArray[np.int64]) -> Figures:
        classes = confusions.figures(areas)
        means = confusions.summary(classes, in_means, rule.absent)
        return Figures(
            np.stack([means[n] for n in names], axis=-1), np.stack([classes[n] for n in SEMANTIC_FIGURES], axis=-1)
        )

    names = tuple(confusions.summary(confusions.figures(areas[:, :0].sum(axis=1)), in_means, rule.absent))
    common: dict[str, Any] = {
        "keys": tally.keys,
        "values": names,
        "figures": SEMANTIC_FIGURES,
        "class_ids": taxonomy.ids,
        "class_names": taxonomy.names,
        "presence": areas[1] > 0,
    }
    if rule.average == "dataset":
        rows = areas.transpose(1, 0, 2).reshape(images, 3 * k).astype(np.float64)
        return ReweightedCounts(
            **common, rows=rows, formulas=lambda sums: figures_of(sums.reshape(-1, 3, k).transpose(1, 0, 2))
        )
    # Averages over images: every image's figures are the columns, in the exact parts that the score adds up too.
    values, classes = figures_of(areas)
    flat = np.concatenate([values, classes.reshape(images, -1)], axis=1)
    defined = ~np.isnan(flat)
    high, low = split_iou(np.nan_to_num(flat))

    def averages(sums: NDArray[np.int64]) -> Figures:
        mean = confusions.mean_of_parts(*np.split(sums, 3, axis=1))
        return Figures(mean[:, : len(names)], mean[:, len(names) :].reshape(-1, k, len(SEMANTIC_FIGURES)))

    rows = np.concatenate([high, low, defined], axis=1).astype(np.float64)
    return ReweightedCounts(**common, rows=rows, formulas=averages)
