"""The COCO numbers and the arrays behind them, bit for bit as pycocotools computes them."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.instance_inputs import generate
from segeval.metrics.instance.rule import AREA_RANGES, InstanceAP
from segeval.readers.coco.instances import CocoInstances, CocoResults
from segeval.results.result import Result
from segeval.samples.pairs import Pair
from tests.given.datasets import dataset
from tests.given.instance_problems import FEATURES, features_of, official, only, problem, write

pytestmark = pytest.mark.parity

FIELDS = {"segm": ("segmentation",), "bbox": ("bbox",)}


def score(truth: Path, results: Path, iou: str, **options: Any) -> Result:
    gt = CocoInstances(truth, iou == "segm")
    dt = CocoResults(results, gt, iou == "segm")
    rule = InstanceAP(taxonomy=gt.taxonomy, iou=iou, **options)
    return rule.score(rule.observe(Pair(k, gt.load(k), dt.load(k), str(truth), str(results)) for k in gt.keys()))


def assert_equal(result: Result, evaluation: Any, stats: bool = True) -> None:
    for name in ("precision", "recall", "scores"):
        ours, theirs = result.curves[name], evaluation.eval[name]
        assert ours.shape == theirs.shape
        assert (np.where(np.isnan(ours), -1.0, ours) == theirs).all(), name
    if stats:
        values = np.array(list(result.values.values()))
        assert (np.where(np.isnan(values), -1.0, values) == evaluation.stats).all()


def assert_classes_equal(result: Result, evaluation: Any) -> None:
    for k, row in enumerate(result.per_class):
        own = evaluation.eval["precision"][:, :, k, 0, -1]
        for name, part in (("AP", own), ("AP50", own[0]), ("AP75", own[5])):
            expected = np.mean(part[part > -1]) if (part > -1).any() else None
            assert (None if np.isnan(row[name]) else row[name]) == expected


@pytest.mark.parametrize("iou", ["segm", "bbox"])
def test_random_problems_are_equal_and_hold_every_case(iou: str, tmp_path: Path) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(FEATURES)))
    def check(seed: int, wanted: set[str]) -> None:
        data, results = problem(seed, wanted)
        results = results or [{**r, "score": 0.5} for r in problem(seed, {"half"})[1][-1:]]
        held = features_of(data, results, iou)
        assert wanted - {"half"} <= held
        seen.update(["cases", *held])
        files = write(tmp_path, data, only(results, *FIELDS[iou]))
        result = score(*files, iou)
        evaluation = official(data, only(results, *FIELDS[iou]), iou)
        assert_equal(result, evaluation)
        assert_classes_equal(result, evaluation)

    check()
    for feature in FEATURES:
        assert seen[feature] >= 0.05 * seen["cases"], (feature, seen)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(FEATURES)), st.sampled_from(["segm", "bbox"]))
def test_without_regard_to_classes(tmp_path_factory: Any, seed: int, wanted: set[str], iou: str) -> None:
    data, results = problem(seed, wanted | {"half"})
    files = write(tmp_path_factory.mktemp("coco"), data, only(results, *FIELDS[iou]))

    def change(parameters: Any) -> None:
        parameters.useCats = 0

    result = score(*files, iou, class_agnostic=True)
    assert_equal(result, official(data, only(results, *FIELDS[iou]), iou, change))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.integers(0, 2**32 - 1),
    st.sets(st.sampled_from(FEATURES)),
    st.sets(st.integers(1, 120), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000)), max_size=9),
    st.sets(st.integers(1, 20), min_size=1, max_size=12),
)
def test_other_parameters(
    tmp_path_factory: Any, seed: int, wanted: set[str], most: set[int], areas: list[Any], steps: set[int]
) -> None:
    data, results = problem(seed, wanted | {"half"})
    files = write(tmp_path_factory.mktemp("coco"), data, only(results, "segmentation"))
    ranges = [(f"r{i}", float(min(a)), float(max(a))) for i, a in enumerate(areas)]
    thresholds = [s / 20 for s in sorted(steps)]

    def change(parameters: Any) -> None:
        parameters.maxDets = sorted(most)
        parameters.areaRng = [[0.0, 1e10], *([low, high] for _, low, high in ranges)]
        parameters.areaRngLbl = ["all", *(name for name, _, _ in ranges)]
        parameters.iouThrs = np.array(thresholds)

    result = score(*files, "segm", max_dets=tuple(most), area_ranges=tuple(ranges), iou_thresholds=tuple(thresholds))
    # Its summary knows the default parameters only.
    with np.errstate(all="ignore"):
        evaluation = _accumulated(data, only(results, "segmentation"), change)
    assert_equal(result, evaluation, stats=False)


def _accumulated(data: Any, results: Any, change: Any) -> Any:
    def changed(parameters: Any) -> None:
        change(parameters)
        parameters.maxDets = [*parameters.maxDets]

    from unittest.mock import patch

    from pycocotools.cocoeval import COCOeval

    with patch.object(COCOeval, "summarize", lambda self: None):
        return official(data, results, "segm", changed)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(FEATURES)), st.sampled_from(["segm", "bbox"]))
def test_the_official_defects_on_request(tmp_path_factory: Any, seed: int, wanted: set[str], iou: str) -> None:
    """Annotation id 0 loses its matches; results with mask and box take the box's area."""
    data, results = problem(seed, wanted | {"half"})
    for annotation in data["annotations"]:
        annotation["id"] -= 1
    both = only(results, "segmentation", "bbox")
    files = write(tmp_path_factory.mktemp("coco"), data, both)
    assert_equal(score(*files, iou, protocol="pycocotools"), official(data, both, iou))
    codes = {c.code for c in score(*files, iou).warnings}
    assert "annotation-id-0" in codes
    assert ("area-of-mask" in codes) == (iou == "segm")


def test_boxes_of_masks(tmp_path: Path) -> None:
    """Results with masks alone can be scored by their boxes; their areas stay the masks'."""
    data, results = problem(5, set(FEATURES))
    files = write(tmp_path, data, only(results, "segmentation"))
    assert_equal(score(*files, "bbox"), official(data, only(results, "segmentation"), "bbox"))


def test_text_ids_give_what_numbers_in_that_order_give(tmp_path: Path) -> None:
    data, results = problem(8, set(FEATURES))
    evaluation = official(data, only(results, "segmentation"), "segm")
    for record, field in [
        *((i, "id") for i in data["images"]),
        *((r, "image_id") for r in data["annotations"] + results),
    ]:
        record[field] = f"bild-{record[field]:05d}-ä"
    assert_equal(score(*write(tmp_path, data, only(results, "segmentation")), "segm"), evaluation)


@pytest.mark.parametrize(("iou", "stem"), [("segm", "fakesegm100"), ("bbox", "fakebbox100")])
def test_published_fixture(iou: str, stem: str) -> None:
    folder = dataset("fixtures") / "coco_instances_100"
    truth = folder / "instances_val2014_100.json"
    results = folder / f"instances_val2014_{stem}_results.json"
    expected = json.loads((folder / "expected.json").read_text())
    result = score(truth, results, iou)
    assert tuple(result.values) == tuple(expected["stats_order"])
    # Published with other versions of numpy, whose sums group terms otherwise.
    assert np.abs(np.array(list(result.values.values())) - expected["published"][iou]).max() < 1e-12
    per_class = expected["computed_pycocotools_2.0.11"][f"{iou}_AP_per_category"]
    assert len(per_class) == len(result.per_class) == 80
    for row in result.per_class:
        assert (None if np.isnan(row["AP"]) else row["AP"]) == per_class[row["name"]]
    evaluation = official(json.loads(truth.read_text()), json.loads(results.read_text()), iou)
    assert_equal(result, evaluation)
    assert_classes_equal(result, evaluation)


@pytest.mark.parametrize("iou", ["segm", "bbox"])
def test_a_realistic_set(iou: str, tmp_path: Path) -> None:
    truth, masks, boxes = generate(300, seed=3)
    results = masks if iou == "segm" else boxes
    result = score(*write(tmp_path, truth, results), iou)
    evaluation = official(truth, results, iou)
    assert_equal(result, evaluation)
    assert_classes_equal(result, evaluation)


def test_default_area_ranges_are_the_official_ones() -> None:
    from pycocotools.cocoeval import Params

    parameters = Params("segm")
    assert [[0.0, 1e10], *([low, high] for _, low, high in AREA_RANGES)] == parameters.areaRng
    assert list(InstanceAP().iou_thresholds) == parameters.iouThrs.tolist()
