"""What each kind of error costs a detector, and what it does at one score threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally
from segeval.metrics.instance.figures import Axes, curves_of, values_of
from segeval.metrics.instance.kinds import KINDS
from segeval.metrics.means import ratio
from segeval.results.result import Result

# The kinds of error, in the order in which they are shown.
ERRORS = ("class", "localisation", "both", "duplicate", "background", "missed")


@dataclass(frozen=True)
class ErrorCosts:
    """AP at IoU 0.5, and what each kind of error takes from it.

    Parameters
    ----------
    ap
        AP at IoU 0.5 as it is.
    costs
        By the names of `ERRORS`: AP with that kind of error alone repaired by an oracle, minus `ap` (Bolya et al.
        2020). The costs do not add up, because one repair uncovers or hides another.
    counts
        int64 (K,) by the names of `ERRORS`: how many there are, by the detection's class (missed: the truth's).
    ids
        The class ids of the counts.
    """

    ap: float
    costs: Mapping[str, float]
    counts: Mapping[str, NDArray[np.int64]]
    ids: tuple[int, ...]


@dataclass(frozen=True)
class ThresholdCurve:
    """Precision, recall and F1 at IoU 0.5 of the detections that reach a score, over all classes and images.

    Parameters
    ----------
    scores
        Distinct scores, descending.
    precision, recall, f1
        With all detections of at least that score; recall is NaN without truths.
    """

    scores: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    @property
    def best(self) -> int:
        """Where F1 is largest; the highest such score under ties. -1 without detections."""
        return int(np.argmax(self.f1)) if len(self.f1) else -1

    def at(self, score: float) -> int:
        """Where the detections are those that reach a score; -1 if none does."""
        return int(np.searchsorted(-self.scores, -score, side="right")) - 1


def threshold_curve(result: Result) -> ThresholdCurve | None:
    """Precision, recall and F1 at every score threshold; None if the run kept no rows."""
    tally = result.tally
    if tally is None:
        return None
    thresholds = result.metric.iou_thresholds
    rows = tally.tables["detections"]
    bit = np.uint64(thresholds.index(0.5) if 0.5 in thresholds else 0)
    counted = rows["ignored"][:, 0] >> bit & np.uint64(1) == 0
    order = np.argsort(-rows["score"][counted], kind="stable")
    scores = rows["score"][counted][order]
    hits = np.cumsum((rows["matched"][:, 0] >> bit & np.uint64(1) == 1)[counted][order])
    truths = int(tally.tables["truths"]["truths"][:, 0].sum())
    last = np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(scores) else np.zeros(0, np.int64)
    tp = hits[last].astype(np.float64)
    taken = last + 1.0
    return ThresholdCurve(
        scores[last], ratio(tp, taken), ratio(tp, np.full(len(tp), truths)), ratio(2 * tp, taken + truths)
    )


def error_costs(result: Result) -> ErrorCosts | None:
    """AP regained by repairing each kind of error; None if the run did not keep what that needs."""
    tally = result.tally
    if tally is None or "kinds" not in tally.tables:
        return None
    axes = replace(result.metric.axes, thresholds=(0.5,), areas=(), max_dets=result.metric.max_dets[-1:])
    ids = tuple(sorted(result.metric.taxonomy_of(tally).ids))
    kinds, unmet = tally.tables["kinds"], tally.tables["unmet"]
    truths = _truths(tally)
    right = kinds["kind"] == KINDS.index("found")
    classes = kinds["class"]
    everything = np.ones(len(kinds), bool)
    ap = _ap(axes, ids, kinds, classes, right, everything, truths)
    fixed: dict[str, float] = {}
    counts: dict[str, NDArray[np.int64]] = {}
    for name in ERRORS[:-1]:
        wrong = kinds["kind"] == KINDS.index(name)
        counts[name] = _count(classes[wrong], ids)
        repaired = _repairable(kinds, wrong) if name in ("class", "localisation") else np.zeros(len(kinds), bool)
        moved = np.where(repaired, kinds["truth_class"], classes)
        fixed[name] = _ap(axes, ids, kinds, moved, right | repaired, ~wrong | repaired, truths)
    counts["missed"] = _count(unmet["class"], ids, unmet["missed"])
    fixed["missed"] = _ap(axes, ids, kinds, classes, right, everything, _without(truths, unmet))
    return ErrorCosts(ap, {name: fixed[name] - ap for name in ERRORS}, counts, ids)


def _repairable(kinds: Rows, wrong: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of the errors about one truth that nothing has found, the one of the highest score: an oracle makes it right."""
    where = np.flatnonzero(wrong & (kinds["free"] == 1))
    order = where[np.lexsort((where, -kinds["score"][where], kinds["truth"][where], kinds.image[where]))]
    first = np.ones(len(order), bool)
    image, truth = kinds.image[order], kinds["truth"][order]
    first[1:] = (image[1:] != image[:-1]) | (truth[1:] != truth[:-1])
    out = np.zeros(len(kinds), bool)
    out[order[first]] = True
    return out


def _truths(tally: Tally) -> Rows:
    rows = tally.tables["truths"]
    return Rows(rows.image, dict(rows.groups), {"truths": rows["truths"][:, :1], "crowds": rows["crowds"]})


def _without(truths: Rows, unmet: Rows) -> Rows:
    """The truths without those that nothing is about."""
    less = Rows(
        unmet.image, {"class": unmet["class"]}, {"truths": -unmet["missed"][:, None], "crowds": unmet["missed"] * 0}
    )
    columns = {k: np.concatenate([truths[k], less[k]]) for k in ("class", "truths", "crowds")}
    image = np.concatenate([truths.image, less.image])
    return Rows(image, {"class": columns["class"]}, {k: columns[k] for k in ("truths", "crowds")})


def _ap(
    axes: Axes,
    ids: tuple[int, ...],
    kinds: Rows,
    classes: NDArray[Any],
    right: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    truths: Rows,
) -> float:
    """AP at IoU 0.5 with detections of these classes, right or wrong, as far as they are kept."""
    crowd = kinds["kind"] == KINDS.index("on crowd")
    groups = {
        "class": classes[kept].astype(np.int32),
        "score": kinds["score"][kept],
        "rank": kinds["rank"][kept],
        "matched": (right | crowd)[kept].astype(np.uint64)[:, None],
        "ignored": crowd[kept].astype(np.uint64)[:, None],
    }
    rows = Rows(kinds.image[kept], groups, {})
    return values_of(curves_of(rows, truths, np.array(ids, np.int64), axes), axes)["AP"]


def _count(classes: NDArray[Any], ids: tuple[int, ...], amounts: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    out = np.zeros(len(ids), np.int64)
    known = np.array(ids, np.int64)
    there = np.isin(classes, known)  # a prediction's class may be none of the truth's
    np.add.at(out, np.searchsorted(known, classes[there]), 1 if amounts is None else amounts[there])
    return out
