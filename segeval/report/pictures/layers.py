"""What a picture shows of one image: its truth, its prediction and where they differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.panoptic.rule import PanopticQuality
from segeval.metrics.semantic.rule import SemanticIoU
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
from segeval.samples.labels import as_labels, resize_nearest
from segeval.samples.pairs import Pair
from segeval.samples.taxonomy import Taxonomy, positions


@dataclass(frozen=True, eq=False)
class Layers:
    """Class positions (H, W), lines between segments, and kinds of error, at the size of display."""

    truth: NDArray[np.int64]
    truth_lines: NDArray[np.bool_]
    prediction: NDArray[np.int64]
    prediction_lines: NDArray[np.bool_]
    errors: NDArray[np.uint8]


def semantic_layers(rule: SemanticIoU, pair: Pair, taxonomy: Taxonomy, side: int) -> Layers:
    """Layers of two label maps."""
    truth, prediction = as_labels(pair.truth, "truth"), as_labels(pair.prediction, "prediction")
    if truth.shape != prediction.shape and rule.resize == "nearest":
        prediction = resize_nearest(prediction, *truth.shape)
    size = display_size(truth.shape[0], truth.shape[1], side)
    planes = []
    for labels, name in ((truth, "truth"), (prediction, "prediction")):
        values = sample(labels, *size).astype(np.int64).ravel()
        ids = rule.classes_of(values, name, np.zeros(values.size, np.int32), [pair.key], [None])
        planes.append(positions(ids, taxonomy.ids).reshape(size))
    a, b = planes
    none = len(taxonomy)
    errors = np.where(a == b, CORRECT, np.where(b == none, MISSED, WRONG_CLASS)).astype(np.uint8)
    errors[a == none] = VOID
    return Layers(a, borders(a), b, borders(b), errors)


def panoptic_layers(rule: PanopticQuality, pair: Pair, taxonomy: Taxonomy, side: int) -> Layers:
    """Layers of two panoptic maps: segments are told apart by lines, errors by what became of their segments."""
    from segeval.kernels.counting import overlap

    found = rule.match(pair)
    maps = [overlap.rgb_ids(p) if p.ndim == 3 else p for p in (pair.truth.pixels, pair.prediction.pixels)]
    size = display_size(maps[0].shape[0], maps[0].shape[1], side)
    ids = [sample(m, *size).astype(np.int64) for m in maps]
    tables = (found.truth, found.prediction)
    at = [positions(i, table[0]) for i, table in zip(ids, tables, strict=True)]
    classes = [np.append(table[1], len(taxonomy))[a] for a, table in zip(at, tables, strict=True)]
    # Per segment: 0 none, 1 matched, 2 an error of its own, 3 of the wrong class, 4 not counted.
    truth_fate = np.append(np.choose(found.truth_state, [0, 1, 2, 4]), 0)
    fate = np.append(np.choose(found.prediction[2], [0, 1, 2, 4]), 0)
    partner = np.full(found.truth.shape[1] + 1, -1, np.int64)
    for t, p, _, _, same, _ in found.matched.T.tolist():
        if same:
            partner[t] = p
        else:
            truth_fate[t] = 3
            if fate[p] == 2:
                fate[p] = 3
    t, p = truth_fate[at[0]], fate[at[1]]
    void = (classes[0] == len(taxonomy)) | (t == 4)
    agrees = (t == 1) & (partner[at[0]] == at[1])
    errors = np.full(size, POOR, np.uint8)
    errors[p == 2] = INVENTED
    errors[p == 3] = WRONG_CLASS
    errors[t == 2] = MISSED
    errors[t == 3] = WRONG_CLASS
    errors[void] = VOID
    errors[void & (p == 2)] = INVENTED
    errors[agrees] = CORRECT
    return Layers(classes[0], borders(ids[0]), classes[1], borders(ids[1]), errors)
