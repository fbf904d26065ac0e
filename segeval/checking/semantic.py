"""Why an IoU will be 0 or undefined."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.checking.finding import Checks, Finding, Seen, listed, of_kind, share, shift_between, sizes
from segeval.errors import SegevalError
from segeval.metrics.semantic.counting import Columns, count_blocks, in_blocks
from segeval.metrics.semantic.rule import SemanticIoU
from segeval.results.result import Result
from segeval.samples.labels import NOTHING
from segeval.samples.pairs import Pair

# Cityscapes: label id -> train id.
TRAIN_IDS = {
    **{7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9},
    **{23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18},
}

Joint = dict[tuple[int, int], int]


def look(pair: Pair, rule: SemanticIoU) -> Iterator[tuple[tuple[Any, ...], int]]:
    """Sizes, the values of each side, and the pixels of each pair of values where the sizes agree."""
    from segeval.kernels.counting import confusion

    if in_blocks(pair):
        with suppress(SegevalError):  # which the rule will say
            counted = count_blocks(pair)
            yield ("size", *counted.shape[::-1]), 1
            yield from _joint(counted[2:5])
        return
    maps: dict[str, NDArray[Any]] = {}
    for side in ("truth", "prediction"):
        with suppress(SegevalError):
            maps[side], _ = rule.label_map(pair, side, maps["truth"].shape if "truth" in maps else ())
    if "truth" in maps:
        yield ("size", maps["truth"].shape[1], maps["truth"].shape[0]), 1
    if len(maps) == 2 and maps["truth"].shape == maps["prediction"].shape:
        yield from _joint(confusion.confusion_rows_any(maps["truth"].ravel(), maps["prediction"].ravel()))
        return
    for side, labels in maps.items():
        values, counts = np.unique(labels, return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            yield (side, value), count


def _joint(rows: Columns) -> Iterator[tuple[tuple[Any, ...], int]]:
    """The pairs of values of an image, and those of each side."""
    for truth, prediction, pixels in zip(*(column.tolist() for column in rows), strict=True):
        yield ("joint", truth, prediction), pixels
        yield ("truth", truth), pixels
        if prediction != NOTHING:
            yield ("prediction", prediction), pixels


def explain(seen: Seen, rule: SemanticIoU, result: Result | None) -> Iterator[Finding]:
    """Notes on both sides, and the causes of zeros."""
    truth = {value: n for (value,), n in of_kind(seen, "truth").items()}
    predicted = {value: n for (value,), n in of_kind(seen, "prediction").items()}
    yield from sizes(seen)
    yield from _values(truth, predicted, rule)
    joint: Joint = {(t, p): n for (t, p), n in of_kind(seen, "joint").items()}
    # From here on in classes, as the rule maps raw values to them; what it refuses or calls void has none.
    to_true, to_predicted = _table(rule, truth, "truth"), _table(rule, predicted, "prediction")
    classes: Joint = Counter()
    for (t, p), n in joint.items():
        if to_true.get(t) is not None:
            classes[to_true[t], -1 if to_predicted.get(p) is None else to_predicted[p]] += n  # type: ignore[index]
    if truth and not any(c is not None for c in to_true.values()):
        text = f"the truth is void everywhere (values {listed(sorted(truth))}): every score will be undefined"
        yield Finding("warning", "truth-void", f"{text}; give --void none, or the value that is void")
        return
    if classes:
        yield from _zeros(classes, truth, predicted, rule)
    if result is not None:
        yield from _by_class(classes, result)


def _values(truth: dict[int, int], predicted: dict[int, int], rule: SemanticIoU) -> Iterator[Finding]:
    for side, values in (("truth", truth), ("prediction", predicted)):
        if values:
            text = f"the {side} holds {len(values)} values: {listed(sorted(values), 24)}"
            yield Finding("note", f"{side}-values", text)
    pixels = sum(truth.values())
    void = sum(n for v, n in truth.items() if _table(rule, [v], "truth")[v] is None)
    if pixels:
        yield Finding("note", "void-share", f"{share(void, pixels)} of the truth's {pixels} pixels are void")


def _table(rule: SemanticIoU, values: Iterable[int], side: str) -> dict[int, int | None]:
    """The class of each raw value, or None for void and for what the rule refuses."""
    return {value: rule.class_of(value, side) for value in values}


def _zeros(classes: Joint, truth: dict[int, int], predicted: dict[int, int], rule: SemanticIoU) -> Iterator[Finding]:
    true = {t for t, _ in classes}
    there = {p for _, p in classes if p >= 0}
    if not there:
        text = f"the prediction is void wherever the truth is not (values {listed(sorted(predicted))})"
        yield Finding("warning", "prediction-void", f"{text}: every IoU will be 0; write class ids")
        if _is_mask(predicted) and not _is_mask(truth):
            yield _mask("prediction", predicted)
        return
    if _is_mask(predicted) and not rule.binary:
        yield _mask("prediction", predicted)
    right = sum(n for (t, p), n in classes.items() if t == p)
    if not true & there:
        text = f"truth (classes {listed(sorted(true))}) and prediction ({listed(sorted(there))}) share no class"
        yield Finding("warning", "labels-disjoint", f"{text}: every IoU will be 0; give --map-pred FILE")
    elif not right:
        yield Finding("warning", "no-agreement", "no pixel is predicted right: every IoU will be 0")
    pairs = [(t, p, n) for (t, p), n in classes.items() if p >= 0]
    if (shift := shift_between(pairs)) is not None:
        remedy = "add 1 to the predictions" if shift < 0 else "subtract 1 from the predictions"
        if shift < 0:
            remedy = "give --reduce-zero-label if the truth's 0 is void, or add 1 to the predictions"
        text = f"predicted labels are mostly the truth's {'plus' if shift > 0 else 'minus'} one"
        yield Finding("warning", "labels-shifted", f"{text}; {remedy}")
    elif (which := _train_ids(pairs, right)) is not None:
        text = f"the {which[0]} holds Cityscapes label ids, the {which[1]} train ids"
        yield Finding("warning", "train-ids", f"{text}; give --map-{which[2]} with a table from one to the other")
    if len(there) == 1 and len(true) > 1:
        text = f"the prediction is class {min(there)} everywhere, the truth has {len(true)} classes"
        yield Finding("warning", "prediction-constant", f"{text}: all other IoUs will be 0")


def _is_mask(values: dict[int, int]) -> bool:
    return set(values) <= {0, 255} and 255 in values


def _mask(side: str, values: dict[int, int]) -> Finding:
    text = f"the {side} holds the values {listed(sorted(values))}, and 255 is void unless said otherwise"
    return Finding("warning", "mask-255", f"{text}; give --binary if 255 is the foreground")


def _train_ids(pairs: list[tuple[int, int, int]], right: int) -> tuple[str, str, str] | None:
    forward = sum(n for t, p, n in pairs if TRAIN_IDS.get(t) == p)
    backward = sum(n for t, p, n in pairs if TRAIN_IDS.get(p) == t)
    total = sum(n for _, _, n in pairs)
    if 2 * forward > total and forward > 2 * right:
        return "truth", "prediction", "pred"
    if 2 * backward > total and backward > 2 * right:
        return "prediction", "truth", "pred"
    return None


def _by_class(classes: Joint, result: Result) -> Iterator[Finding]:
    """Which classes will be 0 or undefined, and why."""
    true = {t for t, _ in classes}
    there = {p for _, p in classes}
    names = {row["id"]: row["name"] for row in result.per_class}

    def named(ids: Iterable[int]) -> str:
        return listed((f"{i} {names[i]}" if names[i] != str(i) else str(i) for i in ids), 8)

    for code, level, ids, why in (
        ("classes-missed", "warning", sorted((true - there) & set(names)), "never predicted: their IoU will be 0"),
        (
            "classes-predicted-only",
            "warning",
            sorted((there - true) & set(names)),
            "predicted but not in the truth: their IoU will be 0, and counts",
        ),
        (
            "classes-absent",
            "note",
            sorted(set(names) - true - there),
            "in neither truth nor prediction: their IoU will be undefined, and leaves the mean",
        ),
    ):
        if ids:
            yield Finding(level, code, f"{len(ids)} classes are {why}: {named(ids)}")  # type: ignore[arg-type]


CHECKS = Checks(look, explain)
