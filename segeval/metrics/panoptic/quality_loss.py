"""What is lost of panoptic quality, in parts that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segeval.metrics.means import mean_over_classes, ratio
from segeval.results.result import Result
from segeval.results.tables import Table, percent
from segeval.samples.taxonomy import Taxonomy, positions

# The parts of 1 - PQ, in the order in which they are shown.
PQ_PARTS = ("segmentation", "wrong class", "poor overlap", "missed", "invented")


@dataclass(frozen=True)
class QualityLoss:
    """1 - PQ of each class in parts that add up to it.

    With size = TP + FP / 2 + FN / 2: 1 - PQ = RQ (1 - SQ) + FN / (2 size) + FP / (2 size). The first term is the price
    of masks that match but not perfectly. A FN or FP whose segment overlaps one of another class by more than half is
    of the wrong class; one that meets a segment of its own class by an IoU of 0.1 to 0.5 overlaps poorly (told apart
    only if the run kept what diagnosis needs); the others are missed and invented.

    Parameters
    ----------
    parts
        float64 (K) by the names of `PQ_PARTS`, without ``poor overlap`` if it was not kept; NaN for absent classes.
    mean
        Their means over all classes, things and stuff, which add up to 1 - PQ, 1 - PQ_th and 1 - PQ_st.
    """

    parts: Mapping[str, NDArray[np.float64]]
    mean: Mapping[str, Mapping[str, float]]

    def table(self, taxonomy: Taxonomy) -> Table:
        """The means."""
        cells = [(name, *(percent(v) for v in mean.values())) for name, mean in self.mean.items()]
        return Table(("", *self.parts), tuple(cells), (0,), "what is lost of PQ")


def quality_loss(result: Result) -> QualityLoss | None:
    """1 - PQ in parts; None if the run kept no rows."""
    if result.tally is None:
        return None
    taxonomy = result.taxonomy
    tp, fp, fn = (np.array([int(r[n]) for r in result.per_class], np.int64) for n in ("tp", "fp", "fn"))
    quality = np.array([float(r["SQ"]) for r in result.per_class])
    meetings = result.tally.tables["matches"]
    truth, prediction = (positions(meetings[side], taxonomy.ids) for side in ("truth", "prediction"))
    other = truth != prediction
    wrong = np.zeros((2, len(taxonomy)), np.int64)
    np.add.at(wrong[0], truth[other], meetings["matches"][other])
    np.add.at(wrong[1], prediction[other], (meetings["matches"] - meetings["excused"])[other])
    kept = result.tally.tables.get("poor")
    poor = np.zeros((2, len(taxonomy)), np.int64)
    if kept is not None:
        at = positions(kept["class"], taxonomy.ids)
        np.add.at(poor[0], at, kept["fn"])
        np.add.at(poor[1], at, kept["fp"])
    twice = 2 * tp + fp + fn
    parts = {
        "segmentation": np.where(twice > 0, ratio(2 * tp * (1 - quality), twice), np.nan),
        "wrong class": ratio(wrong.sum(0), twice),
        "poor overlap": ratio(poor.sum(0), twice),
        "missed": ratio(fn - wrong[0] - poor[0], twice),
        "invented": ratio(fp - wrong[1] - poor[1], twice),
    }
    if kept is None:
        del parts["poor overlap"]
    things = np.zeros(len(taxonomy), bool) if taxonomy.things is None else np.array(taxonomy.things, bool)
    groups = {"all": np.ones(len(taxonomy), bool)}
    if taxonomy.things is not None:
        groups |= {"things": things, "stuff": ~things}
    mean = {
        name: {part: float(mean_over_classes(v[which])) for part, v in parts.items()} for name, which in groups.items()
    }
    return QualityLoss(parts, mean)
