"""The reason behind the number: what is taken for what, where errors lie, and what each kind of error costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.errors import SegevalError
from segeval.evidence.rows import Rows
from segeval.evidence.tally import Tally
from segeval.metrics.means import mean_over_classes, ratio
from segeval.metrics.tasks import saved_rule
from segeval.results.result import Result
from segeval.results.tables import Table, percent
from segeval.samples.taxonomy import Taxonomy

# The parts of 1 - PQ, in the order in which they are shown.
PQ_PARTS = ("segmentation", "wrong class", "poor overlap", "missed", "invented")


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


@dataclass(frozen=True)
class BorderSplit:
    """Errors of a semantic run near the truth's borders and away from them.

    Parameters
    ----------
    reach
        The width of the band in pixels on either side of a border.
    pixels, errors
        int64 (2, K): scored pixels of each truth class, and those predicted as another; row 0 the band, row 1 the
        interior.
    """

    reach: int
    pixels: NDArray[np.int64]
    errors: NDArray[np.int64]

    @property
    def share(self) -> float:
        """The part of all wrong pixels that lies in the band; NaN without errors."""
        return float(ratio(self.errors[0].sum(), self.errors.sum()))

    @property
    def area(self) -> float:
        """The part of all scored pixels that lies in the band; NaN without pixels."""
        return float(ratio(self.pixels[0].sum(), self.pixels.sum()))


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


def evidence_of(result: Result) -> Tally:
    """The tally behind a result.

    Raises
    ------
    SegevalError
        If it was not kept.
    """
    if result.tally is None:
        raise SegevalError("the run holds no evidence per image", remedy="score again with --out")
    return result.tally


def taxonomy_of(result: Result) -> Taxonomy:
    """The classes of a result in the order of its rows, with the colours that the rule knows."""
    ids = tuple(int(row["id"]) for row in result.per_class)
    names = tuple(str(row["name"]) for row in result.per_class)
    rule = saved_rule(dict(result.rule)) if result.rule else None
    given: Taxonomy | None = None if rule is None or getattr(rule, "class_agnostic", False) else rule.taxonomy
    if given is None or not set(ids) <= set(given.ids):
        return Taxonomy(ids, names)
    at = [given.ids.index(i) for i in ids]
    things = None if given.things is None else tuple(given.things[k] for k in at)
    return Taxonomy(ids, names, things, tuple(given.colours[k] for k in at))


def confusion_of(result: Result) -> NDArray[np.int64] | None:
    """(K, K + 1) truth by prediction, the last column "no class": pixels, or matched segments for panoptic runs.

    A panoptic truth segment stands in the column of the class that overlaps it by more than half of the union, whatever
    that class is; one that no segment overlaps so stands in the last column.
    """
    if result.task != "panoptic" or result.tally is None:
        return result.confusion
    taxonomy = taxonomy_of(result)
    k = len(taxonomy)
    meetings = result.tally.tables["matches"]
    matrix = np.zeros((k, k + 1), np.int64)
    truth, prediction = (_at(meetings[side], taxonomy) for side in ("truth", "prediction"))
    np.add.at(matrix, (truth, prediction), meetings["matches"])
    truths = np.array([int(r["tp"]) + int(r["fn"]) for r in result.per_class], np.int64)
    matrix[:, k] = truths - matrix[:, :k].sum(1)
    return matrix


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


def border_split(result: Result) -> BorderSplit | None:
    """Errors in the border band and in the interior; None if the run did not keep them."""
    tally = result.tally
    if tally is None or "band" not in tally.tables:
        return None
    taxonomy = taxonomy_of(result)
    whole, near = (_class_counts(tally.tables[name], taxonomy) for name in ("pixels", "band"))
    planes = np.stack([near, whole - near])  # (band or interior, right or all, class)
    return BorderSplit(int(dict(result.rule)["band"]), planes[:, 1], planes[:, 1] - planes[:, 0])


def quality_loss(result: Result) -> QualityLoss | None:
    """1 - PQ in parts; None for other tasks."""
    if result.task != "panoptic" or result.tally is None:
        return None
    taxonomy = taxonomy_of(result)
    tp, fp, fn = (np.array([int(r[n]) for r in result.per_class], np.int64) for n in ("tp", "fp", "fn"))
    quality = np.array([float(r["SQ"]) for r in result.per_class])
    meetings = result.tally.tables["matches"]
    truth, prediction = (_at(meetings[side], taxonomy) for side in ("truth", "prediction"))
    other = truth != prediction
    wrong = np.zeros((2, len(taxonomy)), np.int64)
    np.add.at(wrong[0], truth[other], meetings["matches"][other])
    np.add.at(wrong[1], prediction[other], (meetings["matches"] - meetings["excused"])[other])
    kept = result.tally.tables.get("poor")
    poor = np.zeros((2, len(taxonomy)), np.int64)
    if kept is not None:
        at = _at(kept["class"], taxonomy)
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


def worst_images(result: Result, limit: int = 20) -> list[dict[str, Any]]:
    """The rows of `Metric.per_image` with the lowest figure; images without one are left out."""
    rule = saved_rule(dict(result.rule))
    rows: list[dict[str, Any]] = rule.per_image(evidence_of(result))
    return [row for row in rows if row[rule.headline] == row[rule.headline]][:limit]


def diagnosis_tables(result: Result, limit: int = 12) -> list[Table]:
    """What a terminal shows of the analysis of errors."""
    taxonomy = taxonomy_of(result)
    names = [*taxonomy.names, "no class"]
    tables = []
    matrix = confusion_of(result)
    if matrix is not None:
        unit = "pixels" if result.task == "semantic" else "segments"
        rows = [
            (names[c.truth], names[c.prediction], str(c.amount), percent(c.share))
            for c in frequent_confusions(matrix, limit)
        ]
        tables.append(
            Table(("truth", "taken for", unit, "% of truth"), tuple(rows), (0, 1), "most frequent confusions")
        )
    if (loss := quality_loss(result)) is not None:
        cells = [(name, *(percent(v) for v in mean.values())) for name, mean in loss.mean.items()]
        tables.append(Table(("", *loss.parts), tuple(cells), (0,), "what is lost of PQ"))
    if (split := border_split(result)) is not None:
        cells = [
            (
                where,
                *(
                    percent(float(v))
                    for v in (p.sum() / split.pixels.sum(), ratio(e.sum(), split.errors.sum()), ratio(e.sum(), p.sum()))
                ),
            )
            for where, e, p in zip((f"border ({split.reach} px)", "interior"), split.errors, split.pixels, strict=True)
        ]
        heads = ("", "% of pixels", "% of errors", "% wrong there")
        tables.append(Table(heads, tuple(cells), (0,), "errors at borders and inside"))
    return tables


def _class_counts(rows: Rows, taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Pixels of each truth class that are predicted right, and all of them (2, K), outside the truth's void."""
    k = len(taxonomy)
    truth, prediction = _at(rows["truth"], taxonomy), _at(rows["prediction"], taxonomy)
    out = np.zeros((2, k + 1), np.int64)
    same = truth == prediction
    np.add.at(out[0], truth[same], rows["pixels"][same])
    np.add.at(out[1], truth, rows["pixels"])
    return out[:, :k]


def _at(ids: NDArray[Any], taxonomy: Taxonomy) -> NDArray[np.int64]:
    """Positions of class ids; the number of classes for those that are none."""
    position = {ident: k for k, ident in enumerate(taxonomy.ids)}
    distinct, where = np.unique(ids, return_inverse=True)
    known = np.array([position.get(int(i), len(taxonomy)) for i in distinct], np.int64)
    return known[where] if len(ids) else np.zeros(0, np.int64)
