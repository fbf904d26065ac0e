"""The detections of a run, sorted once, from which AP and AR of any reweighting of its images are accumulated anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.tally import Tally
from segeval.metrics.instance.figures import RECALLS, Axes, values_of
from segeval.metrics.reweighting import Figures, Reweighted, left_out
from segeval.samples.pairs import Key
from segeval.samples.taxonomy import Taxonomy, positions

INSTANCE_FIGURES = ("AP", "AP50", "AP75")

# Leave-out evaluations: each accumulates everything anew, and blocks of images estimate the same acceleration.
MOST_BLOCKS = 400

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class ReweightedDetections:
    """Detections by class and descending score, and the truths of each image and class."""

    axes: Axes
    keys: tuple[Key, ...]
    values: tuple[str, ...]
    class_ids: tuple[int, ...]
    class_names: tuple[str, ...]
    presence: NDArray[np.bool_]
    offsets: NDArray[np.int64]
    image: NDArray[np.int64]
    columns: tuple[Array, ...]
    truth_image: NDArray[np.int64]
    truth_place: NDArray[np.int64]
    truths: NDArray[np.int64]
    figures: tuple[str, ...] = INSTANCE_FIGURES
    most_blocks: int = field(default=MOST_BLOCKS)

    def at(self, weights: NDArray[np.float64]) -> Figures:
        """The figures under whole weights (R, images); integer weights are the data set with repeated images."""
        space = _Space(self.axes, len(self.class_ids), self.truths.shape[1])
        parts = [self._once(row.astype(np.int64), space) for row in weights]
        values = np.array([p[0] for p in parts]).reshape(len(parts), len(self.values))
        classes = np.array([p[1] for p in parts]).reshape(len(parts), len(self.class_ids), len(self.figures))
        return Figures(values, classes)

    def without(self, block: NDArray[np.int64], indices: range) -> Figures:
        """The figures without one block of images at a time; `block` (images) says which block each is in."""
        return self.at(left_out(block, indices))

    def exchanged(self, other: Reweighted, swaps: NDArray[np.float64]) -> tuple[Figures, Figures] | None:
        """None: swapping detections would take the scores of two systems for exchangeable."""
        return None

    def _once(self, weights: NDArray[np.int64], space: _Space) -> tuple[list[float], Array]:
        from segeval.kernels.counting import resample

        total = np.zeros((len(self.class_ids) + 1, self.truths.shape[1]), np.int64)
        np.add.at(total, self.truth_place, self.truths * weights[self.truth_image, None])
        resample.accumulate_weighted(
            self.offsets,
            self.image,
            *self.columns,
            np.ascontiguousarray(total[:-1]),
            weights,
            len(self.axes.thresholds),
            space.most,
            space.shown,
            RECALLS,
            space.precision,
            space.recall,
        )
        values = values_of({"precision": space.curves(), "recall": space.recall}, self.axes)
        return [values[name] for name in self.values], self._classes(space.precision[space.shown[-1], 0])

    def _classes(self, precision: Array) -> Array:
        """AP of each class (K, F) from precision (T, R, K): means along one axis, as the score adds them."""
        own = np.ascontiguousarray(precision.transpose(2, 0, 1))
        thresholds = np.array(self.axes.thresholds)
        out = np.full((len(own), len(self.figures)), np.nan)
        out[:, 0] = own.reshape(len(own), -1).mean(axis=1)
        for column, threshold in ((1, 0.5), (2, 0.75)):
            if (thresholds == threshold).any():
                out[:, column] = np.ascontiguousarray(own[:, thresholds == threshold][:, 0]).mean(axis=1)
        return out


class _Space:
    """Arrays that one thread fills again and again."""

    def __init__(self, axes: Axes, classes: int, areas: int) -> None:
        self.most = np.array(axes.max_dets, np.int64)
        wanted = [len(self.most) - 1]
        if axes.original and 100 in axes.max_dets[:-1]:
            wanted.insert(0, axes.max_dets.index(100))
        self.shown = np.full(len(self.most), -1, np.int64)
        self.shown[wanted] = np.arange(len(wanted))
        limit = len(axes.thresholds)
        self.precision = np.full((len(wanted), areas, limit, len(RECALLS), classes), np.nan)
        self.recall = np.full((limit, classes, areas, len(self.most)), np.nan)

    def curves(self) -> Array:
        """Precision as (T, R, K, A, M); where no one asks for an m, that of the largest stands there."""
        view = self.precision.transpose(2, 3, 4, 1, 0)
        if view.shape[-1] == 1:
            return np.broadcast_to(view, (*view.shape[:-1], len(self.most)))
        return view[..., np.where(self.shown >= 0, self.shown, view.shape[-1] - 1)]


def detections_of(tally: Tally, taxonomy: Taxonomy, axes: Axes) -> ReweightedDetections:
    """The rows of a run, sorted as its score sorts them."""
    ids = np.array(sorted(taxonomy.ids), np.int64)
    detections, truths = tally.tables["detections"], tally.tables["truths"]
    place = positions(detections["class"], ids)
    order = np.argsort(-detections["score"], kind="stable")
    order = order[np.argsort(place[order], kind="stable")]
    truth_place = positions(truths["class"], ids)
    presence = np.zeros((len(tally.keys), len(ids) + 1), bool)
    counted = truths["truths"][:, 0] > 0
    presence[truths.image[counted], truth_place[counted]] = True
    nothing = {
        "precision": np.zeros((len(axes.thresholds), 1, 0, 1 + len(axes.areas), len(axes.max_dets))),
        "recall": np.zeros((len(axes.thresholds), 0, 1 + len(axes.areas), len(axes.max_dets))),
    }
    return ReweightedDetections(
        axes=axes,
        keys=tally.keys,
        values=tuple(values_of(nothing, axes)),
        class_ids=tuple(ids.tolist()),
        class_names=tuple(taxonomy.names[taxonomy.index_of(i)] for i in ids.tolist()),
        presence=presence[:, :-1],
        offsets=np.searchsorted(place[order], np.arange(len(ids) + 1)).astype(np.int64),
        image=detections.image[order].astype(np.int64),
        columns=tuple(np.ascontiguousarray(detections[c][order]) for c in ("rank", "matched", "ignored")),
        truth_image=truths.image.astype(np.int64),
        truth_place=truth_place,
        truths=truths["truths"],
    )
