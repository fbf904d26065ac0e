"""Why an AP will be 0 or undefined."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from segeval.checking.finding import Checks, Finding, Seen, listed, of_kind, sizes
from segeval.metrics.instance.rule import InstanceAP
from segeval.results.result import Result
from segeval.samples.masks import as_instances
from segeval.samples.pairs import Pair


def look(pair: Pair, rule: InstanceAP) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Sizes, classes, scores, and how the boxes of both sides lie."""
    for side, data in (("truth", pair.truth), ("prediction", pair.prediction)):
        found = as_instances(data, side, key=pair.key)
        rows = slice(found.low, found.high)
        columns = found.columns
        if side == "truth":
            yield ("size", found.width, found.height), 1
        for class_id, crowd in zip(columns.classes[rows].tolist(), columns.crowd[rows].tolist(), strict=True):
            yield ("crowd" if crowd and side == "truth" else side, class_id), 1
        yield ("images", side, "some" if found.high > found.low else "none"), 1
        boxes = columns.boxes[rows]
        boxes = boxes[np.isfinite(boxes).all(axis=1)]
        yield ("boxes", side), len(boxes)
        yield ("boxes in 0..1", side), int((boxes <= 1).all(axis=1).sum())
        if found.width and found.height:
            beyond = (boxes[:, 0] + boxes[:, 2] > found.width + 1) | (boxes[:, 1] + boxes[:, 3] > found.height + 1)
            corners = (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
            yield ("boxes beyond", side), int((beyond & corners).sum())
            yield ("boxes as corners", side), int(corners.sum())


def explain(seen: Seen, rule: InstanceAP, result: Result | None) -> Iterator[Finding]:
    """Notes on both sides, and the causes of zeros."""
    truth = {class_id: n for (class_id,), n in of_kind(seen, "truth").items()}
    predicted = {class_id: n for (class_id,), n in of_kind(seen, "prediction").items()}
    yield from sizes(seen)
    crowds = sum(of_kind(seen, "crowd").values())
    yield Finding("note", "truths", f"the truth holds {sum(truth.values())} instances of {len(truth)} classes")
    if crowds:
        yield Finding("note", "crowds", f"the truth holds {crowds} crowd regions, which are ignored")
    text = f"the prediction holds {sum(predicted.values())} instances of {len(predicted)} classes"
    yield Finding("note", "detections", text)
    images = sum(of_kind(seen, "images", "truth").values())
    if predicted and (empty := seen["images", "prediction", "none"]):
        yield Finding("note", "images-without-detections", f"{empty} of {images} images have no prediction")
    if not truth and images:
        yield Finding("warning", "no-truths", "the truth has no instance but crowds: every AP will be undefined")
    elif not predicted and images:
        yield Finding("warning", "no-predictions", "nothing is predicted: every AP will be 0")
    if truth and predicted and not rule.class_agnostic:
        yield from _classes(truth, predicted)
    if rule.iou == "bbox":
        yield from _boxes(seen)


def _classes(truth: dict[int, int], predicted: dict[int, int]) -> Iterator[Finding]:
    if not set(truth) & set(predicted):
        text = (
            f"truth (categories {listed(sorted(truth))}) and prediction ({listed(sorted(predicted))}) share no category"
        )
        yield Finding("warning", "classes-disjoint", f"{text}: AP will be 0; write the truth's category ids")
        return
    for ids, code, why in (
        (set(truth) - set(predicted), "classes-missed", "never predicted: their AP will be 0"),
        (set(predicted) - set(truth), "classes-predicted-only", "predicted but not in the truth, and left out"),
    ):
        if ids:
            level: Any = "warning" if code == "classes-missed" else "note"
            yield Finding(level, code, f"{len(ids)} classes are {why}: {listed(sorted(ids), 8)}")


def _boxes(seen: Seen) -> Iterator[Finding]:
    theirs, mine = seen["boxes", "prediction"], seen["boxes", "truth"]
    if not theirs or not mine:
        return
    if 2 * seen["boxes in 0..1", "prediction"] > theirs and 2 * seen["boxes in 0..1", "truth"] < mine:
        text = (
            f"{seen['boxes in 0..1', 'prediction']} of {theirs} predicted boxes lie within 0..1: they look normalised"
        )
        yield Finding("warning", "boxes-normalised", f"{text}, so AP will be about 0; write pixels")
    elif (
        10 * seen["boxes beyond", "prediction"] > theirs
        and 10 * seen["boxes as corners", "prediction"] > 9 * theirs
        and 10 * seen["boxes beyond", "truth"] < mine
    ):
        text = f"{seen['boxes beyond', 'prediction']} of {theirs} predicted boxes reach beyond their image"
        yield Finding(
            "warning", "boxes-corners", f"{text}: they look like [x1, y1, x2, y2]; write [x, y, width, height]"
        )


CHECKS = Checks(look, explain)
