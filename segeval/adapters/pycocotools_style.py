"""``COCOeval`` with the face of pycocotools: ``from segeval.adapters.pycocotools_style import COCOeval``.

The numbers and arrays are those of pycocotools, its defects included (`InstanceAP` says which, and what the default
protocol does about them). `evalImgs` stays empty: the evidence is in `tally`.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segeval.adapters.coco_datasets import as_file, dataset_of
from segeval.errors import SegevalError
from segeval.evidence.tally import Tally
from segeval.metrics.instance.figures import RECALLS
from segeval.metrics.instance.rule import ALL_AREAS, IOU_THRESHOLDS, InstanceAP
from segeval.readers.reading import Reading
from segeval.readers.sources import open_pairs
from segeval.results.result import Result
from segeval.scoring.evaluation import evaluate


class Params:
    """What may be changed before `COCOeval.evaluate`, under pycocotools' names.

    Attributes
    ----------
    imgIds, catIds
        The images and categories that count; all of the truth's to begin with.
    iouThrs, maxDets, areaRng, areaRngLbl
        Thresholds, counts and area ranges; the first range is every area.
    recThrs
        101 recall levels; others are refused.
    useCats
        0 matches without regard to categories.
    """

    def __init__(self, iouType: str = "segm") -> None:
        if iouType not in ("segm", "bbox"):
            raise SegevalError(f"iouType {iouType!r}", remedy="give segm or bbox")
        self.iouType = iouType
        self.imgIds: list[Any] = []
        self.catIds: list[int] = []
        self.iouThrs: Any = np.array(IOU_THRESHOLDS)
        self.recThrs: Any = RECALLS.copy()
        self.maxDets = [1, 10, 100]
        self.areaRng: list[list[float]] = [list(ALL_AREAS), [0, 32**2], [32**2, 96**2], [96**2, 1e10]]
        self.areaRngLbl = ["all", "small", "medium", "large"]
        self.useCats = 1


class COCOeval:
    """Drop-in for ``pycocotools.cocoeval.COCOeval``.

    Parameters
    ----------
    cocoGt, cocoDt
        `pycocotools.coco.COCO` objects, paths, or plain JSON data.
    iouType
        ``segm`` or ``bbox``.

    Attributes
    ----------
    params
        See `Params`.
    eval
        After `accumulate`: ``precision`` (T, R, K, A, M), ``recall`` (T, K, A, M), ``scores``, -1 where undefined.
    stats
        After `summarize`: the twelve numbers, -1 where undefined.
    result
        After `accumulate`: the `Result`, with its signature.
    """

    def __init__(self, cocoGt: Any = None, cocoDt: Any = None, iouType: str = "segm") -> None:
        self.cocoGt, self.cocoDt = cocoGt, cocoDt
        self.params = Params(iouType)
        self.eval: dict[str, Any] = {}
        self.evalImgs: list[Any] = []
        self.stats: NDArray[np.float64] = np.zeros(0)
        self.result: Result | None = None
        self.tally: Tally | None = None
        self.rule: Any = None
        if cocoGt is not None:
            truth = dataset_of(cocoGt, "cocoGt")
            self.params.imgIds = sorted(image["id"] for image in truth["images"])
            self.params.catIds = sorted(category["id"] for category in truth["categories"])

    def evaluate(self) -> None:
        """Match every image's detections.

        Raises
        ------
        SegevalError
            For bad data, and recall levels or area ranges that pycocotools' defaults do not begin with.
        """
        p = self.params
        truth = dataset_of(self.cocoGt, "cocoGt")
        results = dataset_of(self.cocoDt, "cocoDt")
        images, categories = set(p.imgIds), set(p.catIds) if p.useCats else None
        kept = {
            "images": [image for image in truth["images"] if image["id"] in images],
            "categories": [c for c in truth["categories"] if categories is None or c["id"] in categories],
            "annotations": _some(truth["annotations"], images, categories),
        }
        rows = _results(results["annotations"] if isinstance(results, dict) else results, p.iouType)
        with as_file(kept) as gt, as_file(_some(rows, images, categories)) as pred:
            source = open_pairs(Reading(pred, gt), "instance", masks=p.iouType == "segm")
            self.rule = replace(rule_of(p), taxonomy=source.taxonomy)
            self.tally = evaluate(source, self.rule)

    def accumulate(self, p: Any = None) -> None:
        """Make the curves of what `evaluate` found."""
        if self.tally is None:
            raise SegevalError("nothing was evaluated", remedy="call evaluate first")
        self.result = self.rule.score(self.tally)
        arrays = {name: np.where(np.isnan(array), -1.0, array) for name, array in self.result.curves.items()}
        counts = list(arrays["precision"].shape)
        now = datetime.datetime.now().strftime("%Y-%m-%d %H:%M:%S")
        self.eval = {"params": self.params, "counts": counts, "date": now, **arrays}

    def summarize(self) -> None:
        """Print the twelve numbers, and keep them in `stats`."""
        if self.result is None:
            raise SegevalError("nothing was accumulated", remedy="call accumulate first")
        rows = summary_rows(self.result, self.params)
        self.stats = np.array([value for _, value in rows])
        for line, value in rows:
            print(f"{line} = {value:0.3f}")


def summary_rows(result: Result, p: Params) -> list[tuple[str, float]]:
    """Pycocotools' lines and their values, -1 where undefined."""
    most = p.maxDets[-1]
    names = [("AP", "all", most), ("AP50", "all", most), ("AP75", "all", most)]
    names += [(f"AP{label}", label, most) for label in p.areaRngLbl[1:]]
    names += [(f"AR{m}", "all", m) for m in p.maxDets]
    names += [(f"AR{label}", label, most) for label in p.areaRngLbl[1:]]
    rows = []
    span = f"{p.iouThrs[0]:0.2f}:{p.iouThrs[-1]:0.2f}"
    for name, area, dets in names:
        title = "Average Precision" if name.startswith("AP") else "Average Recall"
        iou = {"AP50": "0.50", "AP75": "0.75"}.get(name, span)
        value = result.values[name]
        line = f" {title:<18} ({name[:2]}) @[ IoU={iou:<9} | area={area:>6s} | maxDets={dets:>3d} ]"
        rows.append((line, -1.0 if np.isnan(value) else value))
    return rows


def rule_of(p: Params) -> InstanceAP:
    """The rule that the parameters ask for.

    Raises
    ------
    SegevalError
        For recall levels, or a first area range, that no rule has.
    """
    if not np.array_equal(p.recThrs, RECALLS):
        raise SegevalError("recThrs are no 101 levels from 0 to 1", remedy="leave them as they are")
    if tuple(p.areaRng[0]) != ALL_AREAS or len(p.areaRng) != len(p.areaRngLbl):
        raise SegevalError(f"areaRng begins with {p.areaRng[:1]}", remedy="let [0, 1e10] be the first, labelled all")
    ranges = tuple((label, *map(float, span)) for label, span in zip(p.areaRngLbl[1:], p.areaRng[1:], strict=True))
    return InstanceAP(
        iou=p.iouType,
        max_dets=tuple(p.maxDets),
        area_ranges=ranges,  # type: ignore[arg-type]
        iou_thresholds=tuple(np.asarray(p.iouThrs, np.float64).tolist()),
        class_agnostic=not p.useCats,
        protocol="pycocotools",
    )


def _some(rows: list[Any], images: set[Any], categories: set[int] | None) -> list[Any]:
    return [
        row for row in rows if row["image_id"] in images and (categories is None or row["category_id"] in categories)
    ]


def _results(rows: list[Any], iou: str) -> list[Any]:
    """Results as they were before `loadRes` gave all of them boxes, areas and masks.

    It takes areas from boxes where the first result has one, and from masks otherwise; the former shows in that every
    area is its box's.
    """
    by_box = all(
        "area" not in row or ("bbox" in row and row["area"] == row["bbox"][2] * row["bbox"][3]) for row in rows
    )
    gone = {"area", "id", "iscrowd"} | ({"segmentation"} if by_box and iou == "bbox" else set())
    gone |= set() if by_box else {"bbox"}
    return [{name: value for name, value in row.items() if name not in gone} for row in rows]
