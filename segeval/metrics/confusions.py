"""What is taken for what: a matrix of classes, and its most frequent confusions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.results.tables import Table, percent
from segeval.samples.taxonomy import Taxonomy


@dataclass(frozen=True, eq=False)
class Confusions:
    """Truth by prediction.

    Parameters
    ----------
    matrix
        int64 (K, K + 1): truth class by predicted class, the last column "no class".
    unit
        What is counted: ``pixels`` or ``segments``.
    """

    matrix: NDArray[np.int64]
    unit: str

    def table(self, taxonomy: Taxonomy, limit: int = 12) -> Table:
        """The most frequent confusions."""
        names = [*taxonomy.names, "no class"]
        rows = [
            (names[c.truth], names[c.prediction], str(c.amount), percent(c.share))
            for c in frequent_confusions(self.matrix, limit)
        ]
        heads = ("truth", "taken for", self.unit, "% of truth")
        return Table(heads, tuple(rows), (0, 1), "most frequent confusions")


@dataclass(frozen=True)
class Confusion:
    """One class taken for another.

    Parameters
    ----------
    truth, prediction
        Class positions; `prediction` may be the number of classes, which says "no class".
    amount
        Pixels (semantic) or segments (panoptic).
    share
        The part of the truth's class that `amount` is.
    """

    truth: int
    prediction: int
    amount: int
    share: float


def frequent_confusions(matrix: NDArray[np.int64], limit: int = 20) -> list[Confusion]:
    """The largest entries off the diagonal of a confusion matrix (K, K + 1), largest first."""
    k = len(matrix)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    totals = matrix.sum(1)
    flat = wrong.ravel()
    order = np.argsort(-flat, kind="stable")[:limit]
    return [
        Confusion(int(i // (k + 1)), int(i % (k + 1)), int(flat[i]), float(flat[i] / totals[i // (k + 1)]))
        for i in order
        if flat[i]
    ]
