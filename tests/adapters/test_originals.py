"""The faces for other scorers' users give what the originals give."""

from __future__ import annotations

import contextlib
import copy
import io
from pathlib import Path
from typing import Any

import numpy as np
import panopticapi.evaluation as panopticapi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as mask_api
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval as Original

from segeval import SegevalError
from segeval.adapters.panopticapi_style import pq_compute
from segeval.adapters.pycocotools_style import COCOeval
from segeval.adapters.torchvision_style import CocoEvaluator
from tests.given.instance_problems import FEATURES, only, problem, write
from tests.given.problems import PanopticProblem, panoptic_image, write_problem

pytestmark = pytest.mark.parity


def _coco(data: Any) -> COCO:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = copy.deepcopy(data)
        truth.createIndex()
    return truth


def _run(kind: Any, truth: COCO, found: Any, iou: str, change: Any = None) -> tuple[Any, str]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        evaluation = kind(truth, found, iou)
        if change:
            change(evaluation.params)
        evaluation.evaluate()
        evaluation.accumulate()
        said.truncate(0)
        said.seek(0)
        evaluation.summarize()
    return evaluation, said.getvalue()


def _some_images(p: Any) -> None:
    p.imgIds = list(p.imgIds)[1:]


def _some_classes(p: Any) -> None:
    p.catIds = [2, 7]


def _no_classes(p: Any) -> None:
    p.useCats = 0


def _other_settings(p: Any) -> None:
    p.maxDets = [2, 5, 100]
    p.areaRng = [[0, 1e10], [0, 500], [500, 4000], [4000, 1e10]]
    p.iouThrs = np.array([0.5, 0.75, 0.9])


@pytest.mark.parametrize("change", [None, _some_images, _some_classes, _no_classes, _other_settings])
@pytest.mark.parametrize("iou", ["segm", "bbox"])
@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1), st.sets(st.sampled_from(sorted(FEATURES))), st.sampled_from(["both", "mask", "box"]))
def test_cocoeval(iou: str, change: Any, seed: int, features: set[str], given: str) -> None:
    data, results = problem(seed, features)
    fields = {"both": ("segmentation", "bbox"), "mask": ("segmentation",), "box": ("bbox",)}[given]
    truth = _coco(data)
    with contextlib.redirect_stdout(io.StringIO()):
        found = truth.loadRes(copy.deepcopy(only(results, *fields))) if results else None
    if found is None:
        return
    theirs, they_said = _run(Original, truth, found, iou, change)
    ours, we_said = _run(COCOeval, truth, found, iou, change)
    for name in ("precision", "recall", "scores"):
        assert np.array_equal(ours.eval[name], theirs.eval[name]), name
    assert ours.eval["counts"] == theirs.eval["counts"]
    assert np.array_equal(ours.stats, theirs.stats)
    assert we_said == they_said


def test_cocoeval_of_files(tmp_path: Path) -> None:
    data, results = problem(1, set())
    paths = write(tmp_path, data, results)
    ours, _ = _run(COCOeval, *map(str, paths), "segm")
    truth = _coco(data)
    with contextlib.redirect_stdout(io.StringIO()):
        found = truth.loadRes(results)
    assert np.array_equal(ours.stats, _run(Original, truth, found, "segm")[0].stats)
    assert ours.result.signature.get("protocol") == "pycocotools"


def test_cocoeval_refuses() -> None:
    with pytest.raises(SegevalError, match="iouType 'keypoints'"):
        COCOeval(iouType="keypoints")
    with pytest.raises(SegevalError, match="cocoGt is a int"):
        COCOeval(3)
    with pytest.raises(SegevalError, match="call evaluate first"):
        COCOeval().accumulate()
    with pytest.raises(SegevalError, match="call accumulate first"):
        COCOeval().summarize()


@pytest.mark.parametrize("seed", range(6))
def test_coco_evaluator(seed: int) -> None:
    torch = pytest.importorskip("torch")
    data, results = problem(seed, {"tie_within", "crowd"})
    truth = _coco(data)
    evaluator = CocoEvaluator(truth, ["segm", "bbox"])
    official: dict[str, list[Any]] = {"segm": [], "bbox": []}
    seen = [image["id"] for image in data["images"]][:-1]
    for key in seen:
        rows = [r for r in results if r["image_id"] == key]
        masks = [mask_api.decode({**r["segmentation"], "counts": r["segmentation"]["counts"].encode()}) for r in rows]
        boxes = np.array([r["bbox"] for r in rows], np.float64).reshape(-1, 4)
        corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
        size = (len(rows), 1, data["images"][0]["height"], data["images"][0]["width"])
        prediction = {
            "masks": torch.from_numpy(np.array(masks, np.float32).reshape(size) * 0.7),
            "boxes": torch.from_numpy(corners),
            "scores": torch.tensor([r["score"] for r in rows], dtype=torch.float64),
            "labels": torch.tensor([r["category_id"] for r in rows], dtype=torch.int64),
        }
        evaluator.update({key: prediction})
        for row, corner in zip(rows, corners, strict=True):
            base = {name: row[name] for name in ("image_id", "category_id", "score")}
            official["segm"].append({**base, "segmentation": row["segmentation"]})
            official["bbox"].append({**base, "bbox": [*corner[:2], *(corner[2:] - corner[:2])]})
    with contextlib.redirect_stdout(io.StringIO()):
        evaluator.synchronize_between_processes()
        evaluator.accumulate()
        evaluator.summarize()
    assert evaluator.img_ids == sorted(seen)

    def restrict(p: Any) -> None:
        p.imgIds = seen

    for iou in ("segm", "bbox"):
        with contextlib.redirect_stdout(io.StringIO()):
            found = truth.loadRes(copy.deepcopy(official[iou]))
        theirs, _ = _run(Original, truth, found, iou, restrict)
        assert np.array_equal(evaluator.coco_eval[iou].stats, theirs.stats)
    with pytest.raises(SegevalError, match="image 999: the truth does not list this image"):
        evaluator.update({999: {}})


@pytest.mark.parametrize("named", [False, True])
def test_pq_compute(named: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    problem_ = PanopticProblem([panoptic_image(rng) for _ in range(12)])
    gt, pred = write_problem(problem_, tmp_path)
    folders: dict[str, Any] = {}
    if named:
        for name, path in (("gt_folder", gt), ("pred_folder", pred)):
            folders[name] = str(path.with_suffix("").rename(tmp_path / name))
    with contextlib.redirect_stdout(io.StringIO()) as said:
        ours = pq_compute(str(gt), str(pred), **folders)
    with contextlib.redirect_stdout(io.StringIO()):
        theirs = panopticapi.pq_compute(str(gt), str(pred), **folders)
    assert ours.keys() == theirs.keys()
    for name in ("All", "Things", "Stuff"):
        assert ours[name] == pytest.approx(theirs[name], rel=1e-14)
        assert ours[name]["n"] == theirs[name]["n"]
    assert ours["per_class"].keys() == theirs["per_class"].keys()
    for row, other in zip(ours["per_class"].values(), theirs["per_class"].values(), strict=True):
        assert row == pytest.approx(other, rel=1e-14)
    assert f"All       | {100 * theirs['All']['pq']:5.1f}" in said.getvalue()
    with pytest.raises(SegevalError, match="no such folder of PNGs"):
        pq_compute(gt, pred, gt_folder=tmp_path / "nowhere")
