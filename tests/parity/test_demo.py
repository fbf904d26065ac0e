"""The demo's scores of both models, computed again by the official scorers."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from segeval_cli import main

from segeval.results.result import Result
from segeval.scenes import CLASSES, VOID
from segeval.scenes.models import MODELS

pytestmark = pytest.mark.parity

IMAGES = 16


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    out = tmp_path_factory.mktemp("demo") / "made"
    with contextlib.redirect_stdout(io.StringIO()):
        assert main(["demo", "--out", str(out), "--images", str(IMAGES), "--seed", "4", "--quiet"]) == 0
    return out


@pytest.mark.parametrize("model", MODELS)
def test_semantic_is_the_mean_over_a_pooled_confusion_matrix(demo: Path, model: str) -> None:
    count = len(CLASSES)
    confusion = np.zeros((count, count), np.int64)
    for path in sorted((demo / "truth" / "semantic").iterdir()):
        truth = np.array(Image.open(path)).astype(int)
        guess = np.array(Image.open(demo / model / "semantic" / path.name)).astype(int)
        known = truth != VOID
        for t, p in zip(truth[known].tolist(), guess[known].tolist(), strict=True):
            confusion[t, p] += 1
    hits, truths, guesses = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    iou = hits / (truths + guesses - hits)
    dice = 2 * hits / (truths + guesses)
    result = Result.load(demo / "runs" / f"{model}-semantic")
    assert result.images == IMAGES
    assert [row["IoU"] for row in result.per_class] == iou.tolist()
    expected = {
        "mIoU": iou.mean(),
        "fwIoU": (truths / truths.sum() * iou).sum(),
        "aAcc": hits.sum() / truths.sum(),
        "mAcc": (hits / truths).mean(),
        "mDice": dice.mean(),
    }
    assert dict(result.values) == pytest.approx(expected, abs=1e-14, rel=0)


@pytest.mark.parametrize("model", MODELS)
def test_panoptic_is_what_panopticapi_computes(demo: Path, model: str) -> None:
    evaluation = pytest.importorskip("panopticapi.evaluation")
    truth = json.loads((demo / "truth" / "panoptic.json").read_text())
    answers = {e["image_id"]: e for e in json.loads((demo / model / "panoptic.json").read_text())["annotations"]}
    pairs = [(entry, answers[entry["image_id"]]) for entry in truth["annotations"]]
    categories = {c["id"]: c for c in truth["categories"]}
    folders = (str(demo / "truth" / "panoptic"), str(demo / model / "panoptic"))
    with contextlib.redirect_stdout(io.StringIO()):
        stat = evaluation.pq_compute_single_core(0, pairs, *folders, categories)
    result = Result.load(demo / "runs" / f"{model}-panoptic")
    for row in result.per_class:
        theirs = stat[row["id"]]
        assert (row["tp"], row["fp"], row["fn"]) == (theirs.tp, theirs.fp, theirs.fn)
    for tail, things in (("", None), ("_th", True), ("_st", False)):
        average, _ = stat.pq_average(categories, isthing=things)
        for name in ("pq", "sq", "rq"):
            assert result.values[name.upper() + tail] == pytest.approx(average[name], abs=1e-14, rel=0)


@pytest.mark.parametrize("model", MODELS)
def test_instances_are_what_pycocotools_computes(demo: Path, model: str) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(demo / "truth" / "instances.json"))
        answers = truth.loadRes(str(demo / model / "instances.json"))
        official = cocoeval.COCOeval(truth, answers, "segm")
        official.evaluate()
        official.accumulate()
        official.summarize()
    result = Result.load(demo / "runs" / f"{model}-instance")
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
    ours = [result.values[name] for name in names]
    assert [-1.0 if np.isnan(v) else v for v in ours] == official.stats.tolist()
    for name in ("precision", "recall", "scores"):
        mine = result.curves[name]
        assert np.array_equal(np.where(np.isnan(mine), -1.0, mine), official.eval[name])


def test_the_demo_holds_what_makes_scorers_disagree(demo: Path) -> None:
    instances = json.loads((demo / "truth" / "instances.json").read_text())["annotations"]
    assert any(entry["iscrowd"] for entry in instances)
    assert {entry["image_id"] for entry in instances} < set(range(IMAGES))
    areas = [entry["area"] for entry in instances]
    assert min(areas) < 32**2 < 96**2 < max(areas)
    for model in MODELS:
        scores = [entry["score"] for entry in json.loads((demo / model / "instances.json").read_text())]
        assert len(set(scores)) < len(scores)
