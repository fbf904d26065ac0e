"""The analysis of errors, as tables and curves."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from segeval.comparison.comparing import System
from segeval.metrics.diagnosis import Confusions, frequent_confusions, part_of
from segeval.metrics.instance.errors import ERRORS, ErrorCosts, ThresholdCurve
from segeval.metrics.means import ratio
from segeval.metrics.panoptic.quality_loss import QualityLoss
from segeval.metrics.semantic.borders import BorderSplit
from segeval.report.charts import Chart, precision_recall
from segeval.report.grids import Cell, Grid, Header, bar, bars, count, number, words
from segeval.results.tables import percent
from segeval.samples.taxonomy import Taxonomy

KINDS = {
    "class": "right place, wrong class",
    "localisation": "right class, IoU of 0.1 to 0.5",
    "both": "wrong class, IoU of 0.1 to 0.5",
    "duplicate": "of a truth that a better detection has found",
    "background": "no truth within IoU 0.1",
    "missed": "truths that no detection is about",
}


def confusions(system: System, taxonomy: Taxonomy, colours: Sequence[str], index: int) -> Grid | None:
    """The most frequent confusions of one run."""
    found = part_of(system.result, Confusions)
    if found is None:
        return None
    names, shades = [*taxonomy.names, "no class"], [*colours, ""]
    heads = (
        Header("truth", "text"),
        Header("taken for", "text"),
        Header("share", "drawing", "of the truth's class"),
        Header("%", about="of the truth's class"),
        Header(found.unit),
    )
    rows = []
    for c in frequent_confusions(found.matrix, 15):
        drawn = bars([bar(c.share, None, index)], c.share)
        sides = (words(names[k], swatch=shades[k]) for k in (c.truth, c.prediction))
        rows.append((*sides, drawn, number(c.share), count(c.amount)))
    return Grid(f"confusions-{index}", heads, tuple(rows), tall=True)


PARTS = {
    "segmentation": ("part-poor", "masks that match, but not perfectly: RQ × (1 − SQ)"),
    "wrong class": ("part-wrong", "segments that overlap one of another class by more than half"),
    "poor overlap": ("part-near", "segments that meet one of their class, by an IoU of 0.1 to 0.5"),
    "missed": ("part-missed", "truth segments that nothing overlaps by more than half"),
    "invented": ("part-invented", "predicted segments that overlap no true one by more than half"),
}


def lost_quality(system: System, taxonomy: Taxonomy, colours: Sequence[str], index: int) -> Grid | None:
    """What 1 - PQ is made of, over all classes and of each class; the largest loss first."""
    loss = part_of(system.result, QualityLoss)
    if loss is None:
        return None
    heads = [Header("class", "text"), Header("lost", "drawing", "1 − PQ in parts"), Header("1 − PQ")]
    heads += [Header(name, about=PARTS[name][1]) for name in loss.parts]

    def row(name: Cell, parts: Mapping[str, float]) -> tuple[Cell, ...]:
        values = [float(v) for v in parts.values()]
        whole = math.fsum(values)
        drawn = tuple((PARTS[p][0], round(100 * v, 2)) for p, v in zip(parts, values, strict=True) if v > 0)
        sort = None if whole != whole else whole
        return name, Cell(sort=sort, parts=drawn), number(whole), *(number(v) for v in values)

    rows = [row(words(f"all {n}" if n != "all" else "all classes", sort=""), m) for n, m in loss.mean.items()]
    each = [
        row(words(name, swatch=colours[k]), {p: float(v[k]) for p, v in loss.parts.items()})
        for k, name in enumerate(taxonomy.names)
        if loss.parts["segmentation"][k] == loss.parts["segmentation"][k]
    ]
    each.sort(key=lambda cells: -float(cells[2].sort or 0.0))
    legend = tuple((PARTS[p][0], p) for p in loss.parts)
    return Grid(f"loss-{index}", tuple(heads), (*rows, *each), legend=legend, tall=True)


def border_errors(system: System, taxonomy: Taxonomy, colours: Sequence[str], index: int) -> tuple[str, Grid] | None:
    """Errors near borders and away from them."""
    split = part_of(system.result, BorderSplit)
    if split is None:
        return None
    sentence = (
        f"The band of {split.reach} pixels around the truth's borders covers {percent(split.area)} % of the pixels and "
        f"holds {percent(split.share)} % of the errors."
    )
    heads = (
        Header("class", "text"),
        Header("wrong", "drawing", "share of the class's pixels there that are wrong"),
        Header("% wrong in band"),
        Header("% wrong inside"),
        Header("% of its pixels in band"),
        Header("% of its errors in band"),
    )
    rows = []
    for k, name in enumerate(taxonomy.names):
        pixels, errors = (v[:, k].astype(np.float64) for v in (split.pixels, split.errors))
        if not pixels.sum():
            continue
        wrong = [float(v) for v in ratio(errors, pixels)]
        drawn = tuple(b for kind, v in enumerate(wrong) if (b := bar(v, None, kind)) is not None)
        cells = [words(name, swatch=colours[k]), Cell(sort=wrong[0] if wrong[0] == wrong[0] else None, bars=drawn)]
        cells += [
            number(v) for v in (*wrong, float(ratio(pixels[0], pixels.sum())), float(ratio(errors[0], errors.sum())))
        ]
        rows.append(tuple(cells))
    legend = (("part-band", "in the band"), ("part-inner", "inside"))
    return sentence, Grid(f"border-{index}", heads, tuple(rows), legend=legend, tall=len(rows) > 24)


def detection_costs(systems: Sequence[System]) -> Grid | None:
    """The AP that repairing each kind of error would regain, system by system; None if any run did not keep it."""
    found = [part_of(s.result, ErrorCosts) for s in systems]
    known = [f for f in found if f is not None]
    if len(known) < len(systems):
        return None
    scale = max((f.costs[e] for f in known for e in ERRORS), default=0.0) * 1.05 or 1.0
    several = len(systems) > 1
    heads = [Header("error", "text"), Header("regained AP50", "drawing", "with this kind of error alone repaired")]
    heads += [Header(s.mark if several else "AP50", system=k if several else -1) for k, s in enumerate(systems)]
    heads += [Header(f"number {s.mark}" if several else "number") for s in systems]
    rows = []
    for e in ERRORS:
        costs = [f.costs[e] for f in known]
        drawn = bars([bar(max(0.0, c), None, k, scale) for k, c in enumerate(costs)], costs[0])
        name = Cell(e, e, note=KINDS[e])
        rows.append((name, drawn, *(number(c) for c in costs), *(count(int(f.counts[e].sum())) for f in known)))
    said = "AP50 as it is: " + ", ".join(
        f"{s.mark + ' ' if several else ''}{percent(f.ap)}" for s, f in zip(systems, known, strict=True)
    )
    caption = f"{said}. Repairs overlap, so these figures do not add up."
    return Grid("costs", tuple(heads), tuple(rows), caption)


def best_thresholds(systems: Sequence[System]) -> Grid | None:
    """Precision, recall and F1 at IoU 0.5 and the score at which F1 is best."""
    rows = []
    for s in systems:
        curve = part_of(s.result, ThresholdCurve)
        if curve is None or curve.best < 0:
            continue
        k = curve.best
        figures = (curve.precision[k], curve.recall[k], curve.f1[k])
        score = float(curve.scores[k])
        name = [words(s.name, letter=s.mark)] if len(systems) > 1 else []
        rows.append((*name, Cell(f"{score:.3g}", score), *(number(float(v)) for v in figures)))
    heads = (
        *([Header("system", "text")] if len(systems) > 1 else []),
        Header("best score", about="detections of at least this score, F1 is largest"),
        *(Header(n, about=f"{n} at IoU 0.5 of all classes together") for n in ("precision", "recall", "F1")),
    )
    return Grid("thresholds", heads, tuple(rows)) if rows else None


def recall_curves(systems: Sequence[System]) -> Chart | None:
    """Precision over recall, the mean over classes, at IoU 0.50 and 0.75 as far as the rule has them."""
    lines = []
    for k, s in enumerate(systems):
        precision = s.result.curves.get("precision")
        if precision is None or not precision.size:
            continue
        thresholds = np.array(s.result.metric.iou_thresholds)
        for level, dash in ((0.5, ""), (0.75, "6 4")):
            at = np.flatnonzero(thresholds == level)
            if not len(at):
                continue
            classes = precision[at[0], :, :, 0, -1]
            there = ~np.isnan(classes).all(0)
            if there.any():
                mean = classes[:, there].mean(1)
                label = f"{s.name + ', ' if len(systems) > 1 else ''}IoU {level:.2f}"
                lines.append((label, k, dash, np.linspace(0, 1, len(mean)), mean))
    return precision_recall(lines) if lines else None
