"""Ranks of torch.distributed: whatever their number, every one of them gets the bits of one process."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segeval import Accumulator, Tally, Taxonomy
from segeval.adapters.torchmetrics_style import SegmentationMetric
from segeval.adapters.torchvision_style import CocoEvaluator
from tests.given.instance_problems import problem

torch = pytest.importorskip("torch")

IMAGES = 10


def _image(i: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(i)
    return rng.integers(0, 3, (5, 7)), rng.integers(0, 3, (5, 7))


def _whole() -> Tally:
    seen = Accumulator("semantic", classes=3)
    for i in range(IMAGES):
        prediction, truth = _image(i)
        seen.update(prediction=prediction, truth=truth, key=f"image {i}")
    return seen.tally


def _rank(rank: int, world: int, folder: str) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    seen = Accumulator("semantic", classes=3)
    share = -(-IMAGES // world)
    for i in range(rank, world * share, world):  # a padded sampler's: the first images come again at the end
        prediction, truth = _image(i % IMAGES)
        seen.update(prediction=prediction, truth=truth, key=f"image {i % IMAGES}")
    own = len(seen.tally)
    whole = seen.gather()
    whole.tally.save(Path(folder) / f"{rank}.npz")
    Path(folder, f"{rank}.txt").write_text(f"{own} {len(seen.tally)} {whole.tally.duplicates}")
    empty = Accumulator("semantic", classes=3)
    if rank == 0:
        empty.update(prediction=[[0]], truth=[[1]], key="only")
    assert len(empty.gather().tally) == 1
    dist.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32", reason="gloo's file store")
@pytest.mark.parametrize("world", [1, 2, 3])
def test_every_rank_has_the_same_bits(world: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_rank, (world, folder), nprocs=world)
        for rank in range(world):
            assert Tally.load(Path(folder) / f"{rank}.npz") == _whole()
            own, after, duplicates = map(int, Path(folder, f"{rank}.txt").read_text().split())
            assert own == after
            assert duplicates == -(-IMAGES // world) * world - IMAGES


def _observed(task: str, images: Sequence[int]) -> Accumulator:
    """Images of a task, under their keys."""
    options: dict[str, Any] = {"classes": 3}
    if task == "panoptic":
        options = {"classes": Taxonomy((0, 1, 2), things=(True, True, False))}
    seen = Accumulator(task, **options)
    for i in images:
        rng = np.random.default_rng(i)
        sides = []
        for _ in range(2):
            masks = rng.random((3, 6, 7)) < 0.4
            ids = np.where(masks.any(0), masks.argmax(0) + 1, 0)
            listed = [{"id": int(k), "category_id": int(k) - 1} for k in np.unique(ids) if k]
            instances = {"masks": masks, "labels": np.arange(3), "scores": rng.integers(1, 4, 3) / 4}
            sides.append({"semantic": np.maximum(ids - 1, 0), "panoptic": (ids, listed), "instance": instances}[task])
        truth, prediction = sides
        if task == "instance":
            truth = {name: truth[name] for name in ("masks", "labels")}
        seen.update(prediction=prediction, truth=truth, key=i)
    return seen


def _every_task(rank: int, world: int, folder: str) -> None:
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    share = -(-IMAGES // world)
    mine = [i % IMAGES for i in range(rank, world * share, world)]
    for task in ("semantic", "panoptic", "instance"):
        whole = _observed(task, mine).gather()
        assert whole.tally == _observed(task, range(IMAGES)).tally
        assert whole.compute().values == pytest.approx(
            _observed(task, range(IMAGES)).compute().values, nan_ok=True, abs=0
        )
    metric = SegmentationMetric("semantic", classes=3)
    for i in mine:
        prediction, truth = _image(i)
        metric.update(prediction[None], truth[None], keys=[f"image {i}"])
    assert metric.result().tally == _whole()
    assert metric.result().images == IMAGES
    data, results = problem(3, {"tie_across", "crowd"})
    keys = [image["id"] for image in data["images"]]
    stats = []
    for some in (keys[rank::world], keys):  # the second time every rank sees all, and each image counts once
        evaluator = CocoEvaluator(data, ["bbox"])
        for key in some:
            rows = [r for r in results if r["image_id"] == key]
            boxes = np.array([r["bbox"] for r in rows], np.float64).reshape(-1, 4)
            found = {"boxes": np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)}
            found |= {"scores": np.array([r["score"] for r in rows], np.float64)}
            found |= {"labels": np.array([r["category_id"] for r in rows], np.int64)}
            evaluator.update({key: found})
        evaluator.synchronize_between_processes()
        evaluator.accumulate()
        with contextlib.redirect_stdout(io.StringIO()):
            evaluator.summarize()
        assert evaluator.img_ids == sorted(keys)
        stats.append(evaluator.coco_eval["bbox"].stats)
    assert np.array_equal(*stats)
    dist.destroy_process_group()


@pytest.mark.skipif(sys.platform == "win32", reason="gloo's file store")
@pytest.mark.parametrize("world", [2, 3])
def test_every_task_and_adapter_joins_the_ranks(world: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(_every_task, (world, folder), nprocs=world)


def test_without_ranks_it_is_a_copy() -> None:
    seen = Accumulator("semantic", classes=2)
    seen.update(prediction=[[0, 1]], truth=[[0, 0]], key="a")
    copy = seen.gather()
    seen.reset()
    assert copy.compute()["aAcc"] == 0.5
