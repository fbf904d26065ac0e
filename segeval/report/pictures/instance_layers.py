"""What a picture shows of instances: masks over one another, and what became of each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.tally import Tally
from segeval.metrics.instance.kinds import KINDS
from segeval.metrics.instance.rule import InstanceAP
from segeval.report.pictures.layers import Layers
from segeval.report.pictures.painting import (
    CORRECT,
    INVENTED,
    MISSED,
    POOR,
    VOID,
    WRONG_CLASS,
    borders,
    display_size,
    sample,
)
from segeval.samples.decoding import Runs, Side
from segeval.samples.instances import Instances
from segeval.samples.masks import as_instances
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy, positions

# The colour of a false detection by its kind.
_FALSE = {"localisation": POOR, "class": WRONG_CLASS, "duplicate": INVENTED, "background": INVENTED, "both": INVENTED}


def instance_layers(rule: InstanceAP, seen: Tally, pair: Pair, taxonomy: Taxonomy, side: int, least: float) -> Layers:
    """Layers of two sets of instances.

    Parameters
    ----------
    seen
        The evidence of this image, counted with ``diagnose``.
    least
        The score from which on a detection is shown.
    """
    truth = as_instances(pair.truth, "truth")
    prediction = as_instances(pair.prediction, "prediction", size=(truth.height, truth.width))
    size = display_size(truth.height, truth.width, side)
    shapes, shown = _Shapes(truth, size, rule, True), _Shapes(prediction, size, rule, False)
    kinds = seen.tables["kinds"]
    # The rows are in the order of matching, beyond max_dets nothing.
    order = shown.order[_within(shown, rule)]
    visible = kinds["score"] >= least
    found = set(kinds["truth"][visible & (kinds["kind"] == 0)].tolist())
    errors = np.zeros(size, np.uint8)
    for place, g in enumerate(shapes.order.tolist()):
        if shapes.crowd[g] or place not in found:
            errors[shapes.mask(g)] = VOID if shapes.crowd[g] else MISSED
    for k in np.flatnonzero(visible).tolist():
        mask = shown.mask(order[k])
        kind = KINDS[int(kinds["kind"][k])]
        if kind == "found":
            other = shapes.mask(shapes.order[int(kinds["truth"][k])])
            errors[mask & other] = CORRECT
            errors[mask ^ other] = POOR
        elif kind in _FALSE:
            errors[mask] = _FALSE[kind]
    a, lines_a = shapes.painted(shapes.by_size(), taxonomy)
    b, lines_b = shown.painted([int(i) for i in order[visible][np.argsort(kinds["score"][visible])]], taxonomy)
    return Layers(a, lines_a, b, lines_b, errors)


def _within(shapes: _Shapes, rule: InstanceAP) -> NDArray[np.bool_]:
    """Which detections, in the order of matching, are among the best of their class."""
    classes = shapes.classes[shapes.order]
    if rule.class_agnostic:
        classes = np.zeros_like(classes)
    rank: NDArray[np.int64] = np.arange(len(classes)) - np.searchsorted(classes, classes)
    return rank < rule.max_dets[-1]


class _Shapes:
    """The masks or boxes of one side, at the size of display."""

    def __init__(self, instances: Instances, size: tuple[int, int], rule: InstanceAP, by_class: bool) -> None:
        self.side, self.runs, self.size = Side([instances], by_class), Runs(), size
        self.height, self.width = instances.height, instances.width
        self.agnostic = rule.class_agnostic
        self.masks = rule.iou == "segm"
        if self.masks:
            self.side.decode(self.runs, 0)
        columns, rows = instances.columns, self.side.rows
        self.classes, self.crowd = self.side.classes, columns.crowd[rows]
        scores = columns.scores[rows] if columns.scores.size else np.zeros(len(self.classes))
        # Truths lie by class already.
        every = np.arange(len(self.classes))
        self.order = every if by_class else self.side.sorted(self.classes, scores, rule.class_agnostic)

    def mask(self, k: int) -> NDArray[np.bool_]:
        """One instance, (h, w)."""
        from segeval.kernels.decoding import rle

        flat = np.zeros(self.height * self.width, np.uint8)
        if self.masks:
            rle.paint(self.runs.starts, self.runs.ends, self.side.first[k], self.side.stop[k], flat)
        else:
            x, y, w, h = (float(v) for v in self.side.boxes[k])
            box = flat.reshape(self.width, self.height)
            box[max(0, round(x)) : max(0, round(x + w)), max(0, round(y)) : max(0, round(y + h))] = 1
        # Runs go down the columns.
        return sample(flat.reshape(self.width, self.height).T, *self.size) > 0

    def by_size(self) -> list[int]:
        """Instances from the largest to the smallest, crowds first."""
        area = [int(self.mask(k).sum()) for k in range(len(self.classes))]
        return sorted(range(len(area)), key=lambda k: (not self.crowd[k], -area[k], k))

    def painted(self, which: list[int], taxonomy: Taxonomy) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Class positions with later instances on top, and the lines around instances."""
        none = len(taxonomy)
        places = np.zeros(len(self.classes), np.int64) if self.agnostic else positions(self.classes, taxonomy.ids)
        classes = np.full(self.size, none, np.int64)
        ids = np.zeros(self.size, np.int64)
        for number, k in enumerate(which, 1):
            mask = self.mask(k)
            classes[mask] = places[k]
            ids[mask] = number
        return classes, borders(ids)


__all__ = ["instance_layers"]
