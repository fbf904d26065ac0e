"""A panoptic run's rows under weights of its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.panoptic import figures as panoptic_figures
from segeval.metrics.reweighting import Figures, ReweightedCounts
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy

PANOPTIC_FIGURES = ("PQ", "SQ", "RQ")


def counts_of(
    keys: Sequence[Key], taxonomy: Taxonomy, counts: dict[str, NDArray[np.int64]], absent: str
) -> ReweightedCounts:
    """True positives, false ones, misses and the exact parts of IoU (images, K)."""
    k = len(taxonomy)
    things = taxonomy.things
    names = tuple(
        panoptic_figures.summary(panoptic_figures.figures({n: c[:0] for n, c in counts.items()}), things, absent)
    )

    def formulas(sums: NDArray[np.int64]) -> Figures:
        parts = {n: np.ascontiguousarray(sums[:, i * k : (i + 1) * k]) for i, n in enumerate(panoptic_figures.COUNTS)}
        classes = panoptic_figures.figures(parts)
        means = panoptic_figures.summary(classes, things, absent)
        return Figures(
            np.stack([means[n] for n in names], axis=-1), np.stack([classes[n] for n in PANOPTIC_FIGURES], axis=-1)
        )

    return ReweightedCounts(
        keys=tuple(keys),
        values=names,
        figures=PANOPTIC_FIGURES,
        class_ids=taxonomy.ids,
        class_names=taxonomy.names,
        presence=counts["tp"] + counts["fn"] > 0,
        rows=np.concatenate([counts[n] for n in panoptic_figures.COUNTS], axis=1).astype(np.float64),
        formulas=formulas,
    )
