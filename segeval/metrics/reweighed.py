"""A run's rows as dense matrices, from which any reweighting of its images is scored with the task's own formulas.

Counts are integers, and a float64 product of integers is exact while every partial sum stays below 2^53. So weights of
one give the score itself, and integer weights the score of a data set that repeats its images, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.evidence.rows import split_iou
from segeval.metrics.instance.reweighting import detections_of
from segeval.metrics.panoptic import figures as panoptic_figures
from segeval.metrics.panoptic import rule as panoptic
from segeval.metrics.reweighting import Evidence, Figures
from segeval.metrics.semantic import figures as confusions
from segeval.metrics.semantic import rule as semantic
from segeval.metrics.tasks import saved_rule
from segeval.results.result import Result
from segeval.samples.pairs import Key

SEMANTIC_FIGURES = ("IoU", "Acc", "Dice", "precision", "recall")
PANOPTIC_FIGURES = ("PQ", "SQ", "RQ")


@dataclass(frozen=True, eq=False)
class CountEvidence:
    """Rows of counts that add: (images, columns), and the formulas on their sums (R, columns)."""

    keys: tuple[Key, ...]
    values: tuple[str, ...]
    figures: tuple[str, ...]
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    presence: NDArray[np.bool_]
    rows: NDArray[np.float64]
    formulas: Callable[[NDArray[np.int64]], Figures]
    most_blocks: int = 1 << 62

    def at(self, weights: NDArray[np.float64]) -> Figures:
        """The figures under whole weights (R, images)."""
        return self.formulas(exact_product(weights, self.rows))

    def without(self, block: NDArray[np.int64], indices: range) -> Figures:
        """The figures without one block of images at a time; `block` (images) says which block each is in."""
        inside = (block >= indices.start) & (block < indices.stop)
        sums = np.zeros((len(indices), self.rows.shape[1]), np.int64)
        np.add.at(sums, block[inside] - indices.start, self.rows[inside].astype(np.int64))
        return self.formulas(self.rows.astype(np.int64).sum(axis=0) - sums)

    def exchanged(self, other: Evidence, swaps: NDArray[np.float64]) -> tuple[Figures, Figures] | None:
        """The figures of two runs after the images with a 1 (R, images) changed sides; None if they can't change."""
        if not isinstance(other, CountEvidence) or other.class_ids != self.class_ids:
            return None
        moved = exact_product(swaps, other.rows - self.rows)
        ones = np.ones((1, len(self.keys)))
        mine, theirs = exact_product(ones, self.rows) + moved, exact_product(ones, other.rows) - moved
        return self.formulas(mine), other.formulas(theirs)


def exact_product(weights: NDArray[np.float64], rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """``weights @ rows`` in whole numbers; through BLAS where no partial sum can reach 2^53."""
    most = weights.sum(axis=1).max(initial=0.0) * np.abs(rows).max(initial=0.0)
    if most < 2.0**53:
        return (weights @ rows).astype(np.int64)
    return weights.astype(np.int64) @ rows.astype(np.int64)


def evidence_of(result: Result) -> Evidence:
    """The rows of a run.

    Raises
    ------
    SegevalError
        If the run kept no rows by image, or has no image.
    """
    tally = result.tally
    if tally is None or tally.folded:
        raise SegevalError("this run keeps no rows by image", remedy="score again with --out, without collapsing")
    if not tally.keys:
        raise SegevalError("this run has no image", remedy="score at least one")
    rule = saved_rule(dict(result.rule))
    if result.task == "semantic":
        return _semantic(rule, tally)
    if result.task == "panoptic":
        return _panoptic(rule, tally)
    if result.task == "instance":
        return detections_of(rule, tally)
    raise SegevalError(
        f"the task {result.task!r} can't be resampled", remedy="compare semantic, panoptic or instance runs"
    )


def _semantic(rule: semantic.SemanticIoU, tally: Any) -> CountEvidence:
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
    common = {
        "keys": tally.keys,
        "values": names,
        "figures": SEMANTIC_FIGURES,
        "class_ids": taxonomy.ids,
        "class_names": taxonomy.names,
        "presence": areas[1] > 0,
    }
    if rule.average == "dataset":
        rows = areas.transpose(1, 0, 2).reshape(images, 3 * k).astype(np.float64)
        return CountEvidence(
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
    return CountEvidence(**common, rows=rows, formulas=averages)


def _panoptic(rule: panoptic.PanopticQuality, tally: Any) -> CountEvidence:
    taxonomy = rule.taxonomy
    assert taxonomy is not None
    counts = rule.sums(tally, per_image=True)
    k = len(taxonomy)
    things = taxonomy.things
    names = tuple(
        panoptic_figures.summary(panoptic_figures.figures({n: c[:0] for n, c in counts.items()}), things, rule.absent)
    )

    def formulas(sums: NDArray[np.int64]) -> Figures:
        parts = {n: np.ascontiguousarray(sums[:, i * k : (i + 1) * k]) for i, n in enumerate(panoptic.COUNTS)}
        classes = panoptic_figures.figures(parts)
        means = panoptic_figures.summary(classes, things, rule.absent)
        return Figures(
            np.stack([means[n] for n in names], axis=-1), np.stack([classes[n] for n in PANOPTIC_FIGURES], axis=-1)
        )

    return CountEvidence(
        keys=tally.keys,
        values=names,
        figures=PANOPTIC_FIGURES,
        class_ids=taxonomy.ids,
        class_names=taxonomy.names,
        presence=counts["tp"] + counts["fn"] > 0,
        rows=np.concatenate([counts[n] for n in panoptic.COUNTS], axis=1).astype(np.float64),
        formulas=formulas,
    )
